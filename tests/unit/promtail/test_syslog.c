/* Syslog: framing of connections and the two grammars. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/targets/syslog_frame.h"
#include "promtail/targets/syslog_parse.h"

struct seen {
    struct buf text; /* messages, each in brackets */
};

static void on_message(void *arg, str message)
{
    buf_printf(&((struct seen *)arg)->text, "[%.*s]", STR_ARG(message));
}

/* Feeds `input` in pieces; the messages, then "!" if the stream failed. */
static void feed(const char *input, size_t piece, bool is_timeout, struct buf *out)
{
    struct seen seen;
    struct syslog_frame f;
    buf_init(&seen.text, 65536);
    syslog_frame_init(&f, 64, on_message, &seen);
    int rc = 0;
    for (str rest = str_c(input); rc == 0 && rest.len > 0; rest = str_from(rest, piece))
        rc = syslog_frame_feed(&f, str_sub(rest, 0, piece), NULL);
    if (rc == 0)
        rc = syslog_frame_end(&f, is_timeout, NULL);
    if (rc != 0)
        buf_append_char(&seen.text, '!');
    syslog_frame_deinit(&f);
    buf_append_str(out, buf_str(&seen.text));
    buf_deinit(&seen.text);
}

static void expect(const char *input, bool is_timeout, const char *want)
{
    for (size_t piece = 1; piece <= strlen(input) + 1; piece++) {
        struct buf got;
        buf_init(&got, 65536);
        feed(input, piece, is_timeout, &got);
        cr_assert_str_eq(buf_c(&got), want, "pieces of %zu bytes", piece);
        buf_deinit(&got);
    }
}

Test(promtail_syslog, counted_messages_are_cut_by_their_length)
{
    expect("3 <a>4 <b\n>", false, "[<a>][<b\n>]");
    expect("3 <a>", false, "[<a>]");
}

Test(promtail_syslog, counted_messages_may_be_followed_by_a_newline)
{
    expect("3 <a>\n4 <b\n>\n3 <c>", false, "[<a>][<b\n>][<c>]");
    expect("3 <a>\n", false, "[<a>]!"); /* then another is expected */
    expect("3 <a>\n\n3 <b>", false, "[<a>]!");
}

Test(promtail_syslog, a_bad_count_ends_the_connection)
{
    expect("3 <a>x", false, "[<a>]!");
    expect("3 <a>65 <", false, "[<a>]!");
    expect("3 abc", false, "!");
    expect("0 <a>", false, "!");
    expect("5 <a>", false, "!");
}

Test(promtail_syslog, lines_end_where_the_next_begins)
{
    expect("<a\n<b\n", false, "[<a][<b]");
    expect("<a\nmore\n<b", false, "[<a\nmore][<b]");
    expect("<a\nb", false, "[<a][b]");
}

Test(promtail_syslog, a_line_that_nothing_follows_for_a_while_is_whole)
{
    struct seen seen;
    struct syslog_frame f;
    buf_init(&seen.text, 65536);
    syslog_frame_init(&f, 64, on_message, &seen);
    syslog_frame_feed(&f, STR("<a\nmore\n"), NULL);
    cr_assert_str_eq(buf_c(&seen.text), "");
    syslog_frame_quiet(&f);
    cr_assert_str_eq(buf_c(&seen.text), "[<a\nmore]");
    syslog_frame_quiet(&f);
    syslog_frame_feed(&f, STR("<b"), NULL);
    syslog_frame_quiet(&f); /* not to its end */
    cr_assert_str_eq(buf_c(&seen.text), "[<a\nmore]");
    syslog_frame_feed(&f, STR("\n<c\n"), NULL);
    syslog_frame_end(&f, false, NULL);
    cr_assert_str_eq(buf_c(&seen.text), "[<a\nmore][<b][<c]");
    syslog_frame_deinit(&f);
    buf_deinit(&seen.text);
}

Test(promtail_syslog, after_a_time_out_a_line_without_end_is_lost)
{
    expect("<a\n<b", true, "[<a]");
}

Test(promtail_syslog, an_unknown_framing_is_refused)
{
    expect("hello\n", false, "!");
}

static int parse(const char *text, struct arena *a, struct syslog_message *m)
{
    arena_init(a, SIZE_MAX);
    return syslog_parse_5424(str_c(text), a, m, NULL);
}

Test(promtail_syslog, reads_all_parts_of_rfc5424)
{
    struct arena a;
    struct syslog_message m;
    cr_assert_eq(parse("<165>1 2023-10-11T22:14:15.003Z host app 8710 ID47 "
                       "[ex@1 k=\"a \\\" \\] b\"][e2] the text",
                       &a, &m),
                 0);
    cr_assert_eq(m.priority, 165);
    cr_assert_eq(m.ts_ns, INT64_C(1697062455003000000));
    cr_assert(str_eq_c(m.hostname, "host") && str_eq_c(m.app_name, "app"));
    cr_assert(str_eq_c(m.proc_id, "8710") && str_eq_c(m.msg_id, "ID47"));
    cr_assert_eq(m.n_params, 3);
    cr_assert(str_eq_c(m.params[1].value, "a \" ] b"));
    cr_assert(str_eq_c(m.text, "the text"));
    cr_assert_str_eq(syslog_severity_name(&m), "notice");
    cr_assert_str_eq(syslog_facility_name(&m), "local4");
    arena_deinit(&a);
}

Test(promtail_syslog, nil_values_are_absent)
{
    struct arena a;
    struct syslog_message m;
    cr_assert_eq(parse("<0>1 - - - - - -", &a, &m), 0);
    cr_assert(m.hostname.ptr == NULL && m.msg_id.ptr == NULL && m.text.ptr == NULL);
    cr_assert(!m.has_time);
    arena_deinit(&a);
}

Test(promtail_syslog, refuses_what_does_not_fit_rfc5424)
{
    static const char *const bad[] = {
        "",
        "<13>",
        "<192>1 - - - - - - x",
        "<013>1 - - - - - - x",
        "<13>0 - - - - - - x",
        "<13>1 2023-99-99T00:00:00Z h a - - - x",
        "<13>1 2023-01-01T00:00:00 h a - - - x",
        "<13>1 2023-01-01T00:00:00.1234567Z h a - - - x",
        "<13>1 - h a - - x",
        "<13>1 - h a - - [x",
        "<13>1 - h a - - [x y=z] t",
        "<13>1 - h a - - [x y=\"\\n\"] t",
        "<13>1 - h a - - [x][x] t",
        "<13>1 - h a - - -x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct arena a;
        struct syslog_message m;
        cr_assert_eq(parse(bad[i], &a, &m), E_PARSE, "%s", bad[i]);
        arena_deinit(&a);
    }
}

Test(promtail_syslog, prints_rfc5424_anew_with_sorted_data)
{
    struct arena a;
    struct syslog_message m;
    struct buf out;
    buf_init(&out, 4096);
    cr_assert_eq(
        parse("<13>1 2023-10-11T22:14:15.500+00:00 h - - - [z b=\"2\" a=\"\\\"\"][c] x", &a, &m),
        0);
    syslog_print_5424(&m, &out);
    cr_assert_str_eq(buf_c(&out),
                     "<13>1 2023-10-11T22:14:15.5Z h - - - [c][z a=\"\\\"\" b=\"2\"] x");
    buf_deinit(&out);
    arena_deinit(&a);
}

static void check_3164(const char *text, const char *host, const char *app, const char *pid,
                       const char *want)
{
    struct arena a;
    struct syslog_message m;
    arena_init(&a, SIZE_MAX);
    cr_assert_eq(syslog_parse_3164(str_c(text), INT64_C(1700000000) * NS_PER_S, &a, &m, NULL), 0,
                 "%s", text);
    cr_assert(str_eq(m.hostname, str_c(host)), "host of %s", text);
    cr_assert(str_eq(m.app_name, str_c(app)), "tag of %s", text);
    cr_assert(str_eq(m.proc_id, str_c(pid)), "pid of %s", text);
    cr_assert(str_eq_c(m.text, want), "text of %s", text);
    arena_deinit(&a);
}

Test(promtail_syslog, reads_rfc3164_with_and_without_host_and_tag)
{
    check_3164("<34>Oct 11 22:14:15 box su[12]: one two", "box", "su", "12", "one two");
    check_3164("<34>Oct 11 22:14:15 box su: one", "box", "su", "", "one");
    check_3164("<34>Oct  1 22:14:15 su[1]: one", "", "su", "1", "one");
    check_3164("<34>Oct 11 22:14:15 box plain text here", "box", "", "", "plain text here");
    check_3164("<34>Oct 11 22:14:15 word\n", "", "", "", "word");
}

Test(promtail_syslog, what_a_reading_of_rfc3164_found_stays_if_it_fails)
{
    check_3164("<34>Oct 11 22:14:15 box http://x is down", "box", "http", "", "http://x is down");
    check_3164("<34>Oct 11 22:14:15 http://x is down", "", "http", "", "http://x is down");
    check_3164("<34>Oct 11 22:14:15 box su[12] one", "box", "su", "12", "12] one");
    check_3164("<34>Oct 11 22:14:15 box su[]: one", "box", "su", "su[", "one");
    check_3164("<34>Oct 11 22:14:15 box ", "box", "", "", "box ");
    check_3164("<34>Oct 11 22:14:15   box   su:  one ", "box", "su", "", " one ");
    check_3164("<34>Oct 11 22:14:15 - -: one", "", "", "", "one");
    check_3164("<34>Oct 11 22:14:15 box su: one\ntwo", "box", "su", "", "one");
    check_3164("<34>Oct 11 22:14:15 box \xe2\x82\xac one", "box", "", "", "\xe2\x82\xac one");
}

Test(promtail_syslog, rfc3164_has_no_text_where_a_control_character_is_in_it)
{
    check_3164("<34>Oct 11 22:14:15 box su: o\tne", "box", "su", "", "");
    check_3164("<34>Oct 11 22:14:15 box su: one\r\n", "box", "su", "", "");
    check_3164("<34>Oct 11 22:14:15.123 box su: one", "", "", "", "");
    check_3164("<34>Oct 11 22:14:15", "", "", "", "");
}

Test(promtail_syslog, a_time_too_far_away_does_not_lose_the_message)
{
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {{"<13>1 0000-02-29T00:00:00Z h a - - - x", true},
                 {"<13>1 9999-12-31T23:59:59.999999+23:59 h a - - - x", true},
                 {"<13>1 9999-02-29T00:00:00Z h a - - - x", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a;
        struct syslog_message m;
        cr_assert_eq(parse(cases[i].text, &a, &m) == 0, cases[i].is_good, "%s", cases[i].text);
        cr_assert(!m.has_time);
        cr_assert(!cases[i].is_good || str_eq_c(m.text, "x"));
        arena_deinit(&a);
    }
}

Test(promtail_syslog, the_year_of_rfc3164_is_the_last_that_fits)
{
    struct arena a;
    struct syslog_message m;
    int64_t now_ns = INT64_C(1704067200) * NS_PER_S; /* 2024-01-01 */
    arena_init(&a, SIZE_MAX);
    cr_assert_eq(syslog_parse_3164(STR("<1>Dec 31 23:59:59 h x"), now_ns, &a, &m, NULL), 0);
    cr_assert_eq(m.ts_ns, now_ns - NS_PER_S);
    arena_deinit(&a);
}

Test(promtail_syslog, refuses_what_does_not_fit_rfc3164)
{
    static const char *const bad[] = {"<34>Foo 11 22:14:15 h x", "<34>Oct 41 22:14:15 h x",
                                      "<34>Oct 11 25:14:15 h x", "<34>Oct 11 22:14:15 h \x01x",
                                      "<34>Oct 11 22:14:15 "};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct arena a;
        struct syslog_message m;
        arena_init(&a, SIZE_MAX);
        cr_assert_neq(syslog_parse_3164(str_c(bad[i]), 0, &a, &m, NULL), 0, "%s", bad[i]);
        arena_deinit(&a);
    }
}
