# Language level, warnings, sanitizers and where things land.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON) # gnu17: POSIX and a few builtins
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(LOGE_SANITIZE "" CACHE STRING "Sanitizers, comma separated: address,undefined or thread")
option(LOGE_FUZZ "Build the libFuzzer targets (clang only)" OFF)

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(loge_flags INTERFACE)
target_include_directories(loge_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(loge_flags INTERFACE _GNU_SOURCE LOGE_VERSION="${PROJECT_VERSION}")
target_compile_options(loge_flags INTERFACE -Wall -Wextra -Wshadow -Werror -fno-strict-aliasing
    -Wno-missing-field-initializers # tables leave what they do not use at zero
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wvla>)
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(loge_flags INTERFACE -O2 -g1)
endif()
if(LOGE_SANITIZE)
    target_compile_options(loge_flags INTERFACE -fsanitize=${LOGE_SANITIZE} -fno-omit-frame-pointer -O1 -g)
    target_link_options(loge_flags INTERFACE -fsanitize=${LOGE_SANITIZE})
    if(LOGE_SANITIZE MATCHES "undefined")
        target_compile_options(loge_flags INTERFACE -fno-sanitize-recover=undefined)
    endif()
endif()
if(LOGE_FUZZ)
    target_compile_options(loge_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
