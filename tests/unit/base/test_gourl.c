#include <criterion/criterion.h>

#include "base/gourl.h"

static struct arena arena;

static void init(void)
{
    arena_init(&arena, 1u << 20);
}

static void fini(void)
{
    arena_deinit(&arena);
}

TestSuite(base_gourl, .init = init, .fini = fini);

static struct gourl parsed(const char *text)
{
    struct gourl u;
    struct error err = {0};
    cr_assert_eq(gourl_parse(str_c(text), &arena, &u, &err), 0, "%s: %s", text, err.text);
    return u;
}

#define EXPECT(part, wanted) cr_expect(str_eq_c(part, wanted), "%s: \"%.*s\"", #part, STR_ARG(part))

Test(base_gourl, a_whole_url_is_taken_apart)
{
    struct gourl u = parsed("HTTPS://u%40x:p:q@ex.com:80/a%20b?x=1&y=%20#f%21");
    EXPECT(u.scheme, "https");
    EXPECT(u.user, "u@x");
    EXPECT(u.password, "p:q");
    EXPECT(u.host, "ex.com:80");
    EXPECT(gourl_host_name(&u), "ex.com");
    EXPECT(u.path, "/a b");
    EXPECT(u.query, "x=1&y=%20");
    EXPECT(u.fragment, "f!");
}

Test(base_gourl, what_has_no_slashes_is_opaque_or_a_path)
{
    struct gourl u = parsed("localhost:3100");
    EXPECT(u.scheme, "localhost");
    EXPECT(u.opaque, "3100");
    u = parsed("mailto:a@b?c");
    EXPECT(u.opaque, "a@b");
    EXPECT(u.query, "c");
    u = parsed("a/b:c");
    EXPECT(u.path, "a/b:c");
    u = parsed("//host/p");
    EXPECT(u.host, "host");
    u = parsed("///p");
    EXPECT(u.path, "///p");
}

Test(base_gourl, an_address_in_brackets_keeps_its_zone)
{
    struct gourl u = parsed("http://[fe80::1%25en0]:80/");
    EXPECT(u.host, "[fe80::1%en0]:80");
    EXPECT(gourl_host_name(&u), "fe80::1%en0");
}

Test(base_gourl, faults_are_told_as_go_does)
{
    static const char *const cases[][2] = {
        {"http://[::1", "parse \"http://[::1\": missing ']' in host"},
        {"http://h:x/", "parse \"http://h:x/\": invalid port \":x\" after host"},
        {"http://a b/", "parse \"http://a b/\": invalid character \" \" in host name"},
        {"http://%zz/", "parse \"http://%zz/\": invalid URL escape \"%zz\""},
        {"http://%41/", "parse \"http://%41/\": invalid URL escape \"%41\""},
        {"http://h/%4", "parse \"http://h/%4\": invalid URL escape \"%4\""},
        {":x", "parse \":x\": missing protocol scheme"},
        {"1:x", "parse \"1:x\": first path segment in URL cannot contain colon"},
        {" http://h/", "parse \" http://h/\": first path segment in URL cannot contain colon"},
        {"http://u<@h", "parse \"http://u<@h\": net/url: invalid userinfo"},
        {"a\tb", "parse \"a\\tb\": net/url: invalid control character in URL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gourl u;
        struct error err = {0};
        cr_expect_eq(gourl_parse(str_c(cases[i][0]), &arena, &u, &err), E_PARSE, "%s", cases[i][0]);
        cr_expect_str_eq(err.text, cases[i][1]);
    }
}

Test(base_gourl, what_is_written_can_be_read_again)
{
    static const char *const urls[] = {"https://u:p%40@h:1/a%20b?q=1#f%20g",
                                       "mailto:a@b",
                                       "/a/b",
                                       "./a:b",
                                       "file:/x",
                                       "http://h?",
                                       "*",
                                       "http://[fe80::1]:80/"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct gourl u = parsed(urls[i]);
        struct buf b;
        buf_init(&b, 1u << 16);
        if (i == 3)
            u.path = STR("a:b");
        gourl_append(&b, &u);
        cr_expect_str_eq(buf_c(&b), urls[i]);
        buf_deinit(&b);
    }
}
