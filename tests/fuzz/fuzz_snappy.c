/* links: base proto */
/* Snappy blocks: bounded memory whatever they claim; what was packed comes back. */
#include "base/mem.h"
#include "proto/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = str_make((const char *)data, size);
    struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    snappy_decode(in, &a);
    ASSERT(a.len <= 1 << 20);
    buf_reset(&a);
    if (snappy_encode(in, &a) == 0) {
        ASSERT(snappy_decode(buf_str(&a), &b) == 0);
        ASSERT(str_eq(buf_str(&b), in));
    }
    buf_deinit(&a);
    buf_deinit(&b);
    return 0;
}
