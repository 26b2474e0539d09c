/* sprig's urlParse and urlJoin. */
#include "base/gourl.h"
#include "logql/template/funcs.h"

static int parse(struct template_call *c, str text, struct gourl *ret)
{
    struct error err = {0};
    if (gourl_parse(text, c->arena, ret, &err) != 0)
        return template_call_fail(c, "unable to parse url: %s", err.text);
    return 0;
}

static int put(struct template_call *c, struct tmap *m, const char *key, str value)
{
    return tmap_put(m, c->arena, str_c(key), tval_str(value)) ? 0 : E_LIMIT;
}

static int user_text(struct template_call *c, const struct gourl *u, str *ret)
{
    struct buf b;
    struct tval text;
    template_call_buf(c, &b);
    gourl_append_user(&b, u);
    int rc = template_call_take(c, &b, &text);
    if (rc == 0)
        *ret = text.s;
    return rc;
}

static int f_parse(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct gourl u;
    str user = STR_EMPTY;
    int rc = parse(c, args[0].s, &u);
    struct tmap *m = rc == 0 ? tmap_new(c->arena, TMAP_ANY) : NULL;
    if (m == NULL)
        return rc != 0 ? rc : E_LIMIT;
    rc = user_text(c, &u, &user);
    const struct {
        const char *key;
        str value;
    } parts[] = {
        {"scheme", u.scheme},     {"host", u.host},   {"hostname", gourl_host_name(&u)},
        {"path", u.path},         {"query", u.query}, {"opaque", u.opaque},
        {"fragment", u.fragment}, {"userinfo", user},
    };
    for (size_t i = 0; rc == 0 && i < sizeof parts / sizeof parts[0]; i++)
        rc = put(c, m, parts[i].key, parts[i].value);
    *ret = (struct tval){.type = TVAL_MAP, .map = m};
    return rc;
}

static int get(struct template_call *c, const struct tmap *m, const char *key, str *ret)
{
    const struct tval *v = tmap_get(m, str_c(key));
    *ret = STR_EMPTY;
    if (v == NULL)
        return 0;
    if (v->type != TVAL_STRING)
        return template_call_fail(c, "unable to parse %s key, must be of type string, but %s found",
                                  key, tval_type_name(v));
    *ret = v->s;
    return 0;
}

static int f_join(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tmap *m;
    struct buf b;
    struct gourl u = {.has_user = false}, with_user;
    str user = STR_EMPTY;
    const struct {
        const char *key;
        str *value;
    } parts[] = {{"scheme", &u.scheme}, {"host", &u.host},     {"path", &u.path},
                 {"query", &u.query},   {"opaque", &u.opaque}, {"fragment", &u.fragment},
                 {"userinfo", &user}};
    int rc = template_call_map(c, &args[0], &m);
    for (size_t i = 0; rc == 0 && i < sizeof parts / sizeof parts[0]; i++)
        rc = get(c, m, parts[i].key, parts[i].value);
    if (rc == 0 && user.len > 0) {
        rc = parse(c, arena_printf(c->arena, "proto://%.*s@host", STR_ARG(user)), &with_user);
        u.has_user = true;
        u.has_password = rc == 0 && with_user.has_password;
        u.user = rc == 0 ? with_user.user : STR_EMPTY;
        u.password = u.has_password ? with_user.password : STR_EMPTY;
    }
    if (rc != 0)
        return rc;
    template_call_buf(c, &b);
    gourl_append(&b, &u);
    return template_call_take(c, &b, ret);
}

static const struct template_func funcs[] = {
    {"urlParse", "s", f_parse},
    {"urlJoin", "m", f_join},
};

const struct template_func_table template_funcs_url = TEMPLATE_TABLE(funcs);
