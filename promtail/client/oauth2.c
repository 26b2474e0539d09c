#include "promtail/client/oauth2.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "promtail/config/check.h"
#include "proto/json_scan.h"
#include "runtime/http_client.h"
#include "runtime/loop.h"

#define EXPIRY_MARGIN_NS    (10 * NS_PER_S) /* as Go's oauth2 */
#define ANSWER_BYTES_MAX    (1u << 20)
#define SECRET_BYTES_MAX    (64u * 1024)
#define EXPIRES_S_MAX       INT64_C(315360000) /* ten years */
#define AUTHORIZATION_BYTES (64u * 1024)

struct oauth2 {
    const struct oauth2_config *config;
    struct http_client *http;
    struct http_handle *in_flight;
    struct buf body;
    char *authorization;
    int64_t expires_mono_ns; /* 0: never */
    void (*done)(void *arg, const char *err_text);
    void *arg;
};

static const char *or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

struct oauth2 *oauth2_new(struct loop *l, const struct oauth2_config *config, int64_t timeout_ns)
{
    if (config->token_url[0] == '\0')
        return NULL;
    struct oauth2 *o = mem_zalloc(sizeof *o);
    struct buf secret;
    buf_init(&secret, SECRET_BYTES_MAX);
    buf_append_c(&secret, config->client_secret);
    if (config->client_secret_file[0] != '\0')
        file_read(config->client_secret_file, &secret, NULL);
    secret.len = str_trim(buf_str(&secret)).len;
    struct http_client_config settings = {
        .tls = tls_config_http(&config->tls),
        .user_agent = "promtail/" LOGE_VERSION,
        .proxy_url = or_null(config->proxy_url),
        .username = config->client_id,
        .password = buf_c(&secret),
        .timeout_ms = (uint64_t)(timeout_ns / NS_PER_MS),
    };
    o->config = config;
    o->http = http_client_new(l, &settings);
    buf_init(&o->body, SECRET_BYTES_MAX);
    buf_deinit(&secret);
    return o;
}

void oauth2_free(struct oauth2 *o)
{
    if (o == NULL)
        return;
    if (o->in_flight != NULL)
        http_handle_cancel(o->in_flight);
    http_client_free(o->http);
    buf_deinit(&o->body);
    mem_free(o->authorization);
    mem_free(o);
}

void oauth2_forget(struct oauth2 *o)
{
    mem_free(o->authorization);
    o->authorization = NULL;
}

const char *oauth2_authorization(const struct oauth2 *o)
{
    if (o->expires_mono_ns != 0 && clock_mono_ns() >= o->expires_mono_ns)
        return NULL;
    return o->authorization;
}

/* --- asking --- */

static void put_encoded(struct buf *out, str s)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < s.len; i++) {
        if (memchr(plain, s.ptr[i], sizeof plain - 1) != NULL)
            buf_append_char(out, s.ptr[i]);
        else
            buf_printf(out, "%%%02X", (unsigned char)s.ptr[i]);
    }
}

static void make_form(struct oauth2 *o)
{
    buf_reset(&o->body);
    buf_append_c(&o->body, "grant_type=client_credentials");
    for (size_t i = 0; i < o->config->scopes.n; i++) {
        buf_append_c(&o->body, i == 0 ? "&scope=" : "+");
        put_encoded(&o->body, str_c(o->config->scopes.items[i]));
    }
    for (size_t i = 0; i < o->config->endpoint_params.n; i++) {
        buf_append_char(&o->body, '&');
        put_encoded(&o->body, o->config->endpoint_params.items[i].name);
        buf_append_char(&o->body, '=');
        put_encoded(&o->body, o->config->endpoint_params.items[i].value);
    }
}

static bool take_token(struct oauth2 *o, str answer)
{
    struct arena a;
    struct json_scan j = json_scan_make(answer);
    str key, token = {NULL, 0}, number;
    int64_t expires_s = 0;
    arena_init(&a, ANSWER_BYTES_MAX);
    bool ok = json_peek(&j) == JSON_OBJECT && json_object_begin(&j);
    while (ok && json_object_next(&j, &key)) {
        if (json_key_is(key, "access_token") && json_peek(&j) == JSON_STRING)
            json_read_string(&j, &a, &token);
        else if (json_key_is(key, "expires_in") && json_peek(&j) == JSON_NUMBER &&
                 json_read_number(&j, &number))
            str_to_i64(number, &expires_s);
        else
            json_skip(&j);
    }
    ok = ok && json_ok(&j) && token.len > 0;
    if (ok) {
        oauth2_forget(o);
        struct buf text;
        buf_init(&text, AUTHORIZATION_BYTES);
        buf_printf(&text, "Bearer %.*s", STR_ARG(token));
        o->authorization = mem_strdup(buf_c(&text));
        buf_deinit(&text);
        expires_s = MIN(MAX(expires_s, 0), EXPIRES_S_MAX);
        int64_t life_ns = MAX(expires_s * NS_PER_S - EXPIRY_MARGIN_NS, expires_s * NS_PER_S / 2);
        o->expires_mono_ns = expires_s > 0 ? clock_mono_ns() + life_ns : 0;
    }
    arena_deinit(&a);
    return ok;
}

static void on_answer(void *arg, int code, int status, str body)
{
    struct oauth2 *o = arg;
    char text[512];
    o->in_flight = NULL;
    if (code == 0 && status / 100 == 2 && take_token(o, body)) {
        o->done(o->arg, NULL);
        return;
    }
    if (code != 0)
        snprintf(text, sizeof text, "oauth2: cannot fetch token: %.*s",
                 (int)MIN(body.len, (size_t)256), body.ptr);
    else
        snprintf(text, sizeof text, "oauth2: cannot fetch token: status %d", status);
    o->done(o->arg, text);
}

void oauth2_fetch(struct oauth2 *o, void (*done)(void *arg, const char *err_text), void *arg)
{
    ASSERT(o->in_flight == NULL);
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    make_form(o);
    o->done = done;
    o->arg = arg;
    struct http_call call = {.method = "POST",
                             .url = o->config->token_url,
                             .headers = headers,
                             .body = buf_str(&o->body),
                             .response_bytes_max = ANSWER_BYTES_MAX,
                             .done = on_answer,
                             .arg = o};
    o->in_flight = http_client_start(o->http, &call);
}
