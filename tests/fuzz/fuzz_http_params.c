/* links: runtime base */
/* URL parameters: whatever is parsed must survive being escaped and parsed again. */
#include "base/mem.h"
#include "runtime/http_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct http_params p = {0}, again = {0};
    struct buf text;
    arena_init(&a, 64 << 20);
    buf_init(&text, 64 << 20);
    http_params_parse(&p, (str){(const char *)data, size}, &a);
    for (size_t i = 0; i < p.list.len; i++) {
        if (i > 0)
            buf_append_char(&text, '&');
        http_query_escape(&text, p.list.items[i].name);
        buf_append_char(&text, '=');
        http_query_escape(&text, p.list.items[i].value);
    }
    http_params_parse(&again, buf_str(&text), &a);
    ASSERT(again.error.ptr == NULL);
    ASSERT(again.list.len == p.list.len);
    for (size_t i = 0; i < p.list.len; i++) {
        ASSERT(str_eq(p.list.items[i].name, again.list.items[i].name));
        ASSERT(str_eq(p.list.items[i].value, again.list.items[i].value));
    }
    buf_deinit(&text);
    arena_deinit(&a);
    return 0;
}
