/* links: base proto */
/* Push JSON, both forms: never crashes, an error always has a text. */
#include "base/mem.h"
#include "proto/push_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct push_request r;
    arena_init(&a, 1 << 20);
    for (int legacy = 0; legacy < 2; legacy++) {
        struct error err = {0};
        str body = str_make((const char *)data, size);
        int code =
            legacy ? push_json_read_legacy(body, &a, &r, &err) : push_json_read(body, &a, &r, &err);
        ASSERT(code == 0 || err.text[0] != '\0');
        size_t bytes = 0;
        for (size_t i = 0; code == 0 && i < r.n_streams; i++)
            for (size_t k = 0; k < r.streams[i].n_entries; k++)
                bytes += r.streams[i].entries[k].line.len;
        ASSERT(bytes <= size);
    }
    arena_deinit(&a);
    return 0;
}
