# A room is one folder and one static library.  Sources are taken by glob, so a new file needs no list.

# loge_room(name LINKS lib... ) : library `name` from ${CMAKE_CURRENT_SOURCE_DIR}/**/*.c, *.cc, *.re and *.y
function(loge_room name)
    cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.c *.cc)
    file(GLOB_RECURSE lexers CONFIGURE_DEPENDS *.re)
    foreach(lexer ${lexers})
        file(RELATIVE_PATH rel ${CMAKE_CURRENT_SOURCE_DIR} ${lexer})
        string(REGEX REPLACE "\\.re$" ".c" out ${CMAKE_CURRENT_BINARY_DIR}/${rel})
        get_filename_component(dir ${out} DIRECTORY)
        file(MAKE_DIRECTORY ${dir})
        add_custom_command(OUTPUT ${out} DEPENDS ${lexer}
            COMMAND ${RE2C} -W -i --no-generation-date --no-version -o ${out} ${lexer}
            COMMENT "re2c ${name}/${rel}" VERBATIM)
        list(APPEND sources ${out})
    endforeach()
    file(GLOB_RECURSE grammars CONFIGURE_DEPENDS *.y)
    foreach(grammar ${grammars})
        file(RELATIVE_PATH rel ${CMAKE_CURRENT_SOURCE_DIR} ${grammar})
        string(REGEX REPLACE "\\.y$" "" out ${CMAKE_CURRENT_BINARY_DIR}/${rel})
        add_custom_command(OUTPUT ${out}.c ${out}.h DEPENDS ${grammar}
            COMMAND ${BISON} -Wall -Werror --no-lines --header=${out}.h -o ${out}.c ${grammar}
            COMMENT "bison ${name}/${rel}" VERBATIM)
        list(APPEND sources ${out}.c ${out}.h)
    endforeach()
    if(NOT sources) # a room that is only headers yet
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE loge_flags ${ARG_LINKS})
        return()
    endif()
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC loge_flags ${ARG_LINKS})
    if(grammars) # "logql/grammar.h" is found in the build folder
        target_include_directories(${name} PRIVATE ${CMAKE_BINARY_DIR})
    endif()
endfunction()

# loge_program(name SOURCES file... LINKS lib...) : bin/name
function(loge_program name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE loge_flags ${ARG_LINKS})
endfunction()

# loge_unit_tests(room LINKS lib...) : bin/unit_<room> from tests/unit/<room>/test_*.c (Criterion)
function(loge_unit_tests room)
    cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${room}/test_*.c)
    if(sources)
        if(LOGE_SANITIZE) # Criterion's sandbox and sanitizers do not get on: see the file
            list(APPEND sources ${CMAKE_SOURCE_DIR}/tests/support/plain_runner.c)
        endif()
        add_executable(unit_${room} ${sources})
        target_link_libraries(unit_${room} PRIVATE loge_flags ${room} ${ARG_LINKS} pkg_criterion)
        add_test(NAME unit_${room} COMMAND unit_${room} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    endif()
endfunction()
