/* links: runtime base */
/* Content-Encoding of bodies: the first byte chooses the encoding and the limit. */
#include "base/mem.h"
#include "runtime/http_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const encodings[] = {"gzip", "deflate", "zlib", "", "br", "x-gzip"};
    static const size_t limits[] = {0, 1, 100, 1 << 16, 1 << 20};
    if (size == 0)
        return 0;
    struct buf out;
    size_t limit = limits[(data[0] >> 4) % ARRAY_LEN(limits)];
    buf_init(&out, limit);
    http_decode_body((str){(const char *)data + 1, size - 1},
                     str_c(encodings[(data[0] & 15) % ARRAY_LEN(encodings)]), &out);
    ASSERT(out.len <= limit);
    buf_deinit(&out);
    return 0;
}
