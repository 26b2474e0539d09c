/* Numbers, strings, durations, sizes and runes as Go prints and reads them: golden/gostyle. */
#include <math.h>

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/utf8.h"
#include "tests/support/golden.h"

static void float_forms(struct buf *b, str s)
{
    double d;
    memcpy(&d, s.ptr, sizeof d);
    gofmt_float(b, d, 'f', -1);
    buf_append_char(b, ' ');
    gofmt_float_v(b, d);
    buf_append_char(b, ' ');
    gofmt_float(b, d, 'e', -1);
    buf_append_char(b, ' ');
    gofmt_float_json(b, d);
    buf_append_char(b, ' ');
    gofmt_float(b, d, 'f', 2);
    buf_append_char(b, ' ');
    gofmt_float(b, d, 'g', 5);
}

static void parsed_float(struct buf *b, str s, struct error *err)
{
    double d;
    int rc = goparse_float(s, &d);
    if (rc != 0)
        goparse_error(err, "ParseFloat", s, rc);
    if (rc != E_PARSE)
        gofmt_float_v(b, d);
}

static void parsed_int(struct buf *b, str s, bool any_base, struct error *err)
{
    int64_t v;
    int rc = goparse_int(s, any_base ? 0 : 10, 64, &v);
    if (rc != 0)
        goparse_error(err, any_base ? "ParseInt" : "Atoi", s, rc);
    if (rc != E_PARSE)
        buf_append_i64(b, v);
}

static void quoted(struct buf *b, str s)
{
    goquote(b, s);
    buf_append_char(b, ' ');
    goquote_ascii(b, s);
    buf_append_c(b, goquote_can_backquote(s) ? " y" : " n");
}

static void prom_duration(struct buf *b, str s, struct error *err)
{
    int64_t ns;
    if (duration_parse_prom(s, &ns, err) != 0)
        return;
    buf_append_i64(b, ns);
    buf_append_char(b, ' ');
    duration_append_prom(b, ns);
}

static void human_size(struct buf *b, str s, struct error *err)
{
    uint64_t v;
    if (bytesize_parse(s, &v, err) != 0)
        return;
    buf_append_u64(b, v);
    buf_append_char(b, ' ');
    bytesize_append(b, v);
    buf_append_char(b, ' ');
    bytesize_append_binary(b, v);
}

static void cases(struct buf *b, str s)
{
    utf8_append_lower(b, s);
    buf_append_char(b, ' ');
    utf8_append_upper(b, s);
    buf_append_char(b, ' ');
    utf8_append_title(b, s);
    buf_append_char(b, ' ');
    utf8_append_valid(b, s, STR("?"));
    buf_append_char(b, '[');
    buf_append_str(b, utf8_trim_space(s));
    buf_append_char(b, ']');
    buf_append_u64(b, utf8_count(s));
}

static void answer(char kind, str s, struct buf *b)
{
    struct error err = {0};
    int64_t ns;
    uint64_t bytes;
    switch (kind) {
    case 'f':
        float_forms(b, s);
        break;
    case 'F':
        parsed_float(b, s, &err);
        break;
    case 'I':
    case 'A':
        parsed_int(b, s, kind == 'I', &err);
        break;
    case 'Q':
        quoted(b, s);
        break;
    case 'U':
        if (gounquote(s, b) != 0)
            buf_append_c(b, "ERR");
        break;
    case 'D':
        if (duration_parse_go(s, &ns, &err) == 0)
            duration_append_go(b, ns);
        break;
    case 'P':
        prom_duration(b, s, &err);
        break;
    case 'B':
        human_size(b, s, &err);
        break;
    case 'S':
        if (bytesize_parse_setting(s, &bytes, &err) == 0)
            bytesize_append_setting(b, bytes);
        break;
    case 'L':
        cases(b, s);
        break;
    default:
        cr_assert_fail("unknown kind %c", kind);
    }
    buf_append_c(b, err.text);
}

Test(base_gostyle, numbers_strings_durations_and_sizes_are_spelled_as_go_spells_them)
{
    struct golden g;
    int n = 0;
    for (golden_open(&g, "gostyle/numbers.txt"); golden_next(&g) > 0; n++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        answer(g.words[0].ptr[0], buf_str(&g.words[1]), &b);
        cr_expect(str_eq(buf_str(&b), buf_str(&g.words[2])), "line %d: %s, want %s", g.number,
                  buf_c(&b), buf_c(&g.words[2]));
        buf_deinit(&b);
    }
    cr_expect_gt(n, 1000);
}

Test(base_gofmt, integers_in_any_base)
{
    struct buf b;
    buf_init(&b, 1024);
    gofmt_int(&b, INT64_MIN, 10);
    buf_append_char(&b, ' ');
    gofmt_int(&b, -255, 16);
    buf_append_char(&b, ' ');
    gofmt_uint(&b, UINT64_MAX, 36);
    buf_append_char(&b, ' ');
    gofmt_uint(&b, 0, 2);
    cr_expect_str_eq(buf_c(&b), "-9223372036854775808 -ff 3w5e11264sgsf 0");
    buf_deinit(&b);
}

Test(base_gofmt, narrow_integers_keep_their_range)
{
    int64_t v;
    cr_expect_eq(goparse_int(STR("-128"), 10, 8, &v), 0);
    cr_expect_eq(v, -128);
    cr_expect_eq(goparse_int(STR("128"), 10, 8, &v), E_LIMIT);
    cr_expect_eq(v, 127);
    bool b;
    cr_expect_eq(goparse_bool(STR("T"), &b), 0);
    cr_expect(b);
    cr_expect_eq(goparse_bool(STR("yes"), &b), E_PARSE);
}

Test(base_gofmt, a_full_buffer_says_so)
{
    struct buf b;
    buf_init(&b, 4);
    cr_expect_not(gofmt_float(&b, 1e100, 'f', -1));
    cr_expect(b.failed);
    buf_deinit(&b);
}

Test(base_duration, settings_take_both_spellings)
{
    int64_t ns;
    cr_expect_eq(duration_parse_any(STR("1d"), &ns, NULL), 0);
    cr_expect_eq(ns, INT64_C(86400000000000));
    cr_expect_eq(duration_parse_any(STR("1.5s"), &ns, NULL), 0);
    cr_expect_eq(ns, INT64_C(1500000000));
    cr_expect_neq(duration_parse_any(STR("1d1.5s"), &ns, NULL), 0);
}

Test(base_utf8, offsets_count_runes)
{
    str s = STR("h\xc3\xa9\xe6\x97\xa5\xff!");
    cr_expect_eq(utf8_count(s), 5);
    cr_expect_eq(utf8_offset(s, 2), 3);
    cr_expect_eq(utf8_offset(s, 99), s.len);
    uint32_t rune;
    cr_expect_eq(utf8_decode_last(str_sub(s, 0, 6), &rune), 3);
    cr_expect_eq(rune, 0x65e5);
    cr_expect_eq(utf8_decode_last(str_sub(s, 0, 7), &rune), 1);
    cr_expect_eq(rune, RUNE_ERROR);
    cr_expect(utf8_eq_fold(STR("STRA\xc3\x89"), STR("stra\xc3\xa9")));
}
