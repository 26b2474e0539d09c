/* One request of logectl, and the query strings it is made of. */
#include <jansson.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/gotime.h"
#include "base/mem.h"
#include "cmd/logectl.h"
#include "runtime/http_client.h"
#include "runtime/http_params.h"

#define CTL_ANSWER_BYTES_MAX (1u << 30)
#define CTL_HEADERS_MAX      64
#define CTL_URL_BYTES_MAX    (8u << 20)

void ctl_url(struct ctl *c, struct buf *url, const char *path)
{
    buf_init(url, CTL_URL_BYTES_MAX);
    str addr = str_c(c->addr);
    while (addr.len > 0 && addr.ptr[addr.len - 1] == '/')
        addr.len--;
    if (!str_contains(addr, STR("://")))
        buf_append_c(url, "http://");
    buf_append_str(url, addr);
    buf_append_c(url, path);
    buf_append_char(url, '?');
}

void ctl_param(struct buf *url, const char *name, str value)
{
    if (url->ptr[url->len - 1] != '?')
        buf_append_char(url, '&');
    buf_printf(url, "%s=", name);
    http_query_escape(url, value);
}

void ctl_param_i64(struct buf *url, const char *name, int64_t value)
{
    struct buf digits;
    buf_init(&digits, 32);
    buf_append_i64(&digits, value);
    ctl_param(url, name, buf_str(&digits));
    buf_deinit(&digits);
}

/* RFC 3339, or unix seconds (with a fraction) or ns as Loki takes them. */
static int parse_time(const char *text, int64_t *ret_ns)
{
    struct gotime t;
    int64_t n;
    if (str_to_i64(str_c(text), &n)) {
        *ret_ns = strlen(text) <= 10 ? n * NS_PER_S : n;
        return 0;
    }
    if (gotime_parse(GOTIME_RFC3339_NANO, str_c(text), NULL, NULL, &t, NULL) != 0)
        return ctl_fail("\"%s\" is no time: use RFC 3339 (2026-11-21T10:00:00Z) or unix time",
                        text);
    *ret_ns = gotime_ns(t);
    return 0;
}

int ctl_param_range(struct ctl *c, struct buf *url, int64_t default_since_ns)
{
    int64_t end = clock_now_ns(), start;
    if (c->to[0] != '\0' && parse_time(c->to, &end) != 0)
        return 1;
    start = end - (c->since_ns > 0 ? c->since_ns : default_since_ns);
    if (c->from[0] != '\0' && parse_time(c->from, &start) != 0)
        return 1;
    ctl_param_i64(url, "start", start);
    ctl_param_i64(url, "end", end);
    return 0;
}

const char *const *ctl_headers(struct ctl *c, const char *extra)
{
    const char **list = ARENA_ARRAY(&c->arena, const char *, CTL_HEADERS_MAX);
    size_t n = 0;
    if (c->org_id[0] != '\0')
        list[n++] = arena_printf(&c->arena, "X-Scope-OrgID: %s", c->org_id).ptr;
    if (extra != NULL)
        list[n++] = extra;
    for (size_t i = 0; i < c->headers.n && n < CTL_HEADERS_MAX - 1; i++)
        list[n++] = c->headers.items[i];
    return list;
}

int ctl_fetch(struct ctl *c, const char *url, const str *body, const char *content_type,
              struct buf *out)
{
    struct http_client_config config = {
        .user_agent = "logectl/" LOGE_VERSION,
        .username = c->username[0] ? c->username : NULL,
        .password = c->password[0] ? c->password : NULL,
        .bearer_token = c->bearer_token[0] ? c->bearer_token : NULL,
        .bearer_token_file = c->bearer_token_file[0] ? c->bearer_token_file : NULL,
        .follow_redirects = true,
        .tls = {.ca_file = c->ca_cert[0] ? c->ca_cert : NULL,
                .insecure_skip_verify = c->tls_skip_verify},
    };
    struct http_call call = {
        .method = body != NULL ? "POST" : "GET",
        .url = url,
        .headers =
            ctl_headers(c, content_type == NULL
                               ? NULL
                               : arena_printf(&c->arena, "Content-Type: %s", content_type).ptr),
        .body = body != NULL ? *body : STR_EMPTY,
        .response_bytes_max = CTL_ANSWER_BYTES_MAX,
    };
    struct error err = {0};
    int http_status = 0;
    buf_init(out, CTL_ANSWER_BYTES_MAX);
    if (http_client_fetch(&config, &call, &http_status, out, &err) != 0)
        return ctl_fail("%s: %s", c->addr, err.text);
    if (http_status / 100 != 2)
        return ctl_fail("the server answered %d: %.*s", http_status,
                        STR_ARG(str_trim(buf_str(out))));
    return 0;
}

json_t *ctl_fetch_json(struct ctl *c, const char *url)
{
    struct buf body;
    json_t *root = NULL;
    if (ctl_fetch(c, url, NULL, NULL, &body) == 0) {
        json_error_t why;
        root = json_loadb(buf_c(&body), body.len, 0, &why);
        if (root == NULL)
            ctl_fail("the answer is no JSON: %s", why.text);
    }
    buf_deinit(&body);
    return root;
}
