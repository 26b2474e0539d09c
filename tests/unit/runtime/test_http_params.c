#include "runtime/http_params.h"

#include <criterion/criterion.h>

#include "base/status.h"
#include "runtime/http_server.h"

static struct http_params parse(struct arena *a, const char *query)
{
    struct http_params p = {0};
    arena_init(a, 1 << 20);
    http_params_parse(&p, str_c(query), a);
    return p;
}

static void check_pair(const struct http_params *p, size_t i, const char *name, const char *value)
{
    cr_assert_lt(i, p->list.len);
    cr_assert(str_eq_c(p->list.items[i].name, name));
    cr_assert(str_eq_c(p->list.items[i].value, value), "%.*s", STR_ARG(p->list.items[i].value));
}

Test(runtime_http_params, keeps_order_and_repeated_names)
{
    struct arena a;
    struct http_params p = parse(&a, "match=a&x&match=b=c&=v&&y=");
    cr_assert_eq(p.list.len, 5);
    check_pair(&p, 0, "match", "a");
    check_pair(&p, 1, "x", "");
    check_pair(&p, 2, "match", "b=c");
    check_pair(&p, 3, "", "v");
    check_pair(&p, 4, "y", "");
    cr_assert_null(p.error.ptr);
    cr_assert(str_eq_c(http_params_get(&p, STR("match")), "a"));
    cr_assert_null(http_params_get(&p, STR("nosuch")).ptr);
    arena_deinit(&a);
}

Test(runtime_http_params, decodes_plus_and_percent)
{
    struct arena a;
    struct http_params p = parse(&a, "q%3D=%7Ba%3D%22b+c%22%7D&nul=%00&high=%ff%C3%bc");
    check_pair(&p, 0, "q=", "{a=\"b c\"}");
    cr_assert(str_eq(p.list.items[1].value, STR("\0")));
    check_pair(&p, 2, "high", "\xff\xc3\xbc");
    arena_deinit(&a);
}

Test(runtime_http_params, leaves_out_malformed_pairs_and_tells_the_first)
{
    struct arena a;
    struct http_params p = parse(&a, "a=1&b=%4&c=%zz&d=x;y&e=5");
    cr_assert_eq(p.list.len, 2);
    check_pair(&p, 0, "a", "1");
    check_pair(&p, 1, "e", "5");
    cr_assert(str_eq_c(p.error, "invalid URL escape \"%4\""), "%.*s", STR_ARG(p.error));
    arena_deinit(&a);
    p = parse(&a, "x=1;y=2");
    cr_assert(str_eq_c(p.error, "invalid semicolon separator in query"));
    arena_deinit(&a);
    p = parse(&a, "%\"\x01=1");
    cr_assert(str_eq_c(p.error, "invalid URL escape \"%\\\"\\x01\""), "%.*s", STR_ARG(p.error));
    arena_deinit(&a);
}

Test(runtime_http_params, escapes_as_go_does)
{
    struct buf out;
    buf_init(&out, 1 << 10);
    http_query_escape(&out, STR("{a=\"b c\"} ~-_./&+\xc3\xbc"));
    cr_assert(str_eq_c(buf_str(&out), "%7Ba%3D%22b+c%22%7D+~-_.%2F%26%2B%C3%BC"));
    buf_reset(&out);
    http_path_escape(&out, STR("a b/c&d=e:f@g+h$i;j,k"));
    cr_assert(str_eq_c(buf_str(&out), "a%20b%2Fc&d=e:f@g+h$i%3Bj%2Ck"), "%s", buf_c(&out));
    buf_deinit(&out);
}

/* "hello hello hello hello" by gzip, zlib and raw deflate. */
static const char text[] = "hello hello hello hello";
#define GZIP_HEAD "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
#define RAW       "\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x27\x01"
#define GZIP_TAIL "\xe3\x51\x3d\x8d\x17\x00\x00\x00"

static int decode(struct buf *out, size_t max, str body, const char *encoding)
{
    buf_init(out, max);
    return http_decode_body(body, str_c(encoding), out);
}

Test(runtime_http_decode, inflates_gzip_zlib_and_raw_deflate)
{
    struct buf out;
    cr_assert_eq(decode(&out, 100, STR(GZIP_HEAD RAW GZIP_TAIL), "gzip"), 0);
    cr_assert(str_eq_c(buf_str(&out), text));
    buf_deinit(&out);
    cr_assert_eq(decode(&out, 100, STR(GZIP_HEAD RAW GZIP_TAIL GZIP_HEAD RAW GZIP_TAIL), "GZIP"),
                 0);
    cr_assert_eq(out.len, 2 * strlen(text)); /* two members */
    buf_deinit(&out);
    cr_assert_eq(decode(&out, 100, STR(RAW), "deflate"), 0);
    cr_assert(str_eq_c(buf_str(&out), text));
    buf_deinit(&out);
    cr_assert_eq(decode(&out, 100, STR("\x78\x9c" RAW "\x68\x03\x08\xb1"), "deflate"), 0);
    cr_assert(str_eq_c(buf_str(&out), text));
    buf_deinit(&out);
    cr_assert_eq(decode(&out, 100, STR("plain"), ""), 0);
    cr_assert(str_eq_c(buf_str(&out), "plain"));
    buf_deinit(&out);
}

Test(runtime_http_decode, stops_at_the_limit_exactly)
{
    struct buf out;
    cr_assert_eq(decode(&out, strlen(text), STR(GZIP_HEAD RAW GZIP_TAIL), "gzip"), 0);
    cr_assert_eq(out.len, strlen(text));
    buf_deinit(&out);
    cr_assert_eq(decode(&out, strlen(text) - 1, STR(GZIP_HEAD RAW GZIP_TAIL), "gzip"), E_TOO_LARGE);
    buf_deinit(&out);
    cr_assert_eq(decode(&out, 4, STR("plain"), ""), E_TOO_LARGE);
    buf_deinit(&out);
}

Test(runtime_http_decode, refuses_malformed_cut_and_unknown)
{
    str whole = STR(GZIP_HEAD RAW GZIP_TAIL);
    struct buf out;
    for (size_t n = 0; n < whole.len; n++) {
        cr_assert_eq(decode(&out, 100, str_sub(whole, 0, n), "gzip"), E_INVALID, "cut at %zu", n);
        buf_deinit(&out);
    }
    cr_assert_eq(decode(&out, 100, STR("not gzip at all"), "gzip"), E_INVALID);
    buf_deinit(&out);
    cr_assert_eq(decode(&out, 100, STR("x"), "br"), E_UNSUPPORTED);
    buf_deinit(&out);
}
