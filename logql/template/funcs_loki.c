/* The functions of line_format and label_format, and Loki's own among them. */
#include "base/bytesize.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/escape.h"
#include "logql/template/funcs.h"
#include "logql/template/matches.h"

static int f_count(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    const struct regex *re;
    struct matches m;
    int rc = template_call_regex(c, args[0].s, &re);
    if (rc != 0)
        return rc;
    int64_t count = 0;
    for (matches_start(&m, re, args[1].s); matches_next(&m);)
        count++;
    *ret = tval_int(count);
    return 0;
}

static int f_urlencode(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    template_call_buf(c, &b);
    escape_url_query(&b, args[0].s);
    return template_call_take(c, &b, ret);
}

static int f_urldecode(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    struct error err = {0};
    template_call_buf(c, &b);
    if (unescape_url_query(&b, args[0].s, &err) != 0) {
        buf_deinit(&b);
        return template_call_fail_with(c, &err);
    }
    return template_call_take(c, &b, ret);
}

static int f_bytes(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    uint64_t bytes;
    struct error err = {0};
    if (bytesize_parse(args[0].s, &bytes, &err) != 0)
        return template_call_fail_with(c, &err);
    *ret = tval_float((double)bytes);
    return 0;
}

static int f_duration(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    int64_t ns;
    struct error err = {0};
    if (duration_parse_go(args[0].s, &ns, &err) != 0)
        return template_call_fail_with(c, &err);
    /* whole seconds and the rest apart, as Seconds() adds them */
    *ret = tval_float((double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9);
    return 0;
}

/* Exactly `count` runes: blanks are added, or runes cut, at the far end. */
static int align(struct template_call *c, const struct tval *args, bool left, struct tval *ret)
{
    str s = args[1].s;
    int64_t count = args[0].i, have = (int64_t)utf8_count(s);
    struct buf b;
    if (count < 0 || count == have)
        return template_return_str(ret, s);
    template_call_buf(c, &b);
    if (count < have) { /* malformed bytes become U+FFFD on their way through []rune */
        str rest = left ? str_sub(s, 0, utf8_offset(s, (size_t)count))
                        : str_from(s, utf8_offset(s, (size_t)(have - count)));
        utf8_append_valid(&b, rest, STR("\xef\xbf\xbd"));
        return template_call_take(c, &b, ret);
    }
    if (left)
        buf_append_str(&b, s);
    buf_append_repeated(&b, STR(" "), (uint64_t)(count - have));
    if (!left)
        buf_append_str(&b, s);
    return template_call_take(c, &b, ret);
}

static int f_align_left(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return align(c, args, true, ret);
}

static int f_align_right(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return align(c, args, false, ret);
}

static const struct template_func own[] = {
    {"count", "ss", f_count},          {"urlencode", "s", f_urlencode},
    {"urldecode", "s", f_urldecode},   {"bytes", "s", f_bytes},
    {"duration", "s", f_duration},     {"duration_seconds", "s", f_duration},
    {"alignLeft", "is", f_align_left}, {"alignRight", "is", f_align_right},
};

static const struct template_func_table own_table = TEMPLATE_TABLE(own);

const struct template_funcs template_funcs_loki = {{
    &template_funcs_go,
    &own_table,
    &template_funcs_time_loki,
    &template_funcs_text,
    &template_funcs_math,
    &template_funcs_json,
    &template_funcs_time,
}};
