/* links: base proto */
/* Label text: what parses prints as text that parses to the same set. */
#include "base/mem.h"
#include "proto/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct labels ls, again;
    struct error err = {0};
    arena_init(&a, BUF_NO_LIMIT);
    int code = labels_parse(str_make((const char *)data, size), &a, &ls, &err);
    ASSERT(code == 0 || err.text[0] != '\0');
    if (code == 0) {
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        bool printed = labels_print(&ls, &b);
        ASSERT(printed);
        code = labels_parse(buf_str(&b), &a, &again, NULL);
        ASSERT(code == 0);
        ASSERT(labels_eq(&ls, &again));
        buf_deinit(&b);
    }
    arena_deinit(&a);
    return 0;
}
