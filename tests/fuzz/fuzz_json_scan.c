/* links: base proto */
/* JSON: the scanner never reads beyond the text; each string unescapes to no more bytes than it
 * has, and what the writer makes of it is JSON again. */
#include "base/mem.h"
#include "proto/json_scan.h"
#include "proto/json_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(str raw)
{
    struct buf plain, quoted;
    buf_init(&plain, BUF_NO_LIMIT);
    buf_init(&quoted, BUF_NO_LIMIT);
    bool ok = json_unescape(raw, &plain);
    ASSERT(ok && plain.len <= raw.len);
    json_append_string(&quoted, buf_str(&plain));
    struct json_scan j = json_scan_make(buf_str(&quoted));
    str again;
    ok = json_read_raw_string(&j, &again, NULL) && json_at_end(&j);
    ASSERT(ok);
    buf_deinit(&plain);
    buf_deinit(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_make((const char *)data, size), key;
    struct json_scan j = json_scan_make(text);
    json_skip(&j);
    ASSERT(json_offset(&j) <= size);
    j = json_scan_make(text);
    j.is_lax = true;
    json_skip(&j);
    ASSERT(json_offset(&j) <= size);
    j = json_scan_make(text);
    if (json_peek(&j) == JSON_OBJECT && json_object_begin(&j))
        while (json_object_next(&j, &key)) {
            check_string(key);
            if (!json_skip(&j))
                break;
        }
    return 0;
}
