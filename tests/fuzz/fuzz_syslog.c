/* links: promtail */
/* The bytes of a syslog connection: framing, then both grammars on each message. */
#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/syslog_frame.h"
#include "promtail/targets/syslog_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(str part, size_t limit)
{
    ASSERT(part.ptr == NULL || part.len <= limit);
}

static void on_message(void *arg, str message)
{
    (void)arg;
    struct arena a;
    struct syslog_message m;
    struct buf out;
    arena_init(&a, SIZE_MAX);
    buf_init(&out, 64u << 20);
    if (syslog_parse_5424(message, &a, &m, NULL) == 0) {
        ASSERT(syslog_facility_name(&m) != NULL && syslog_severity_name(&m) != NULL);
        check_within(m.text, message.len);
        check_within(m.hostname, 255);
        syslog_print_5424(&m, &out);
        /* What is printed is a message again, and printed the same. */
        struct syslog_message again;
        struct buf twice;
        buf_init(&twice, 64u << 20);
        ASSERT(syslog_parse_5424(buf_str(&out), &a, &again, NULL) == 0);
        syslog_print_5424(&again, &twice);
        ASSERT(str_eq(buf_str(&out), buf_str(&twice)));
        buf_deinit(&twice);
    }
    if (syslog_parse_3164(message, 1700000000 * NS_PER_S, &a, &m, NULL) == 0)
        check_within(m.text, message.len);
    buf_deinit(&out);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct syslog_frame f;
    if (size < 1)
        return 0;
    size_t piece = data[0] % 32 + 1;
    str rest = str_make((const char *)data + 1, size - 1);
    int rc = 0;
    syslog_frame_init(&f, 8192, on_message, NULL);
    while (rc == 0 && rest.len > 0) {
        rc = syslog_frame_feed(&f, str_sub(rest, 0, piece), NULL);
        rest = str_from(rest, piece);
    }
    syslog_frame_end(&f, (data[0] & 128) != 0, NULL);
    syslog_frame_deinit(&f);
    return 0;
}
