#include "promtail/client/sender.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/gourl.h"
#include "base/mem.h"
#include "promtail/client/metrics.h"
#include "promtail/client/oauth2.h"
#include "promtail/config/check.h"
#include "runtime/http_client.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT   "client"
#define HEADERS_MAX 64

struct sender {
    struct sender_config config;
    struct sender_owner owner;
    struct http_client *http;
    char *authorization;   /* value of the header; NULL: none */
    struct oauth2 *oauth2; /* NULL: none */
    bool has_user;         /* in the URL: stands for what else is configured, save OAuth 2 */
    struct http_handle *in_flight;
    int64_t started_ns;
    int64_t attempts; /* that failed, of the push whose turn it is */
    int64_t n_later;  /* times in a row that it could not be had */
    struct loop_timer *retry_timer;
    bool is_waiting; /* for the timer or for a token */
};

/* --- tries --- */

static void on_retry_timer(void *arg)
{
    struct sender *s = arg;
    s->is_waiting = false;
    sender_wake(s);
}

/* Between min_period and twice that, doubled with each attempt, up to max_period. */
static uint64_t backoff_ms(const struct sender *s, int64_t attempts)
{
    int64_t low = s->config.client->backoff_min_ns, high = s->config.client->backoff_max_ns;
    for (int64_t i = 1; i < attempts && low < high; i++)
        low *= 2;
    low = MIN(low, high);
    int64_t spread = MIN(low, high - low) / NS_PER_MS;
    return (uint64_t)(low / NS_PER_MS + (spread > 0 ? rand() % (spread + 1) : 0));
}

static bool is_retryable(const struct sender *s, int status)
{
    if (status == 429)
        return !s->config.client->drop_rate_limited_batches;
    return status <= 0 || status / 100 == 5;
}

static bool may_try_again(const struct sender *s, int status)
{
    int64_t max = s->config.client->max_retries;
    return max == 0 || (s->config.is_patient && status != 429) || s->attempts < max;
}

/* The push whose turn it is, if it can be had now. */
static bool next_push(struct sender *s, struct push *ret)
{
    enum push_turn turn = s->owner.next(s->owner.arg, ret);
    if (turn == PUSH_LATER) {
        s->n_later++;
        s->is_waiting = true;
        loop_timer_start(s->retry_timer, backoff_ms(s, s->n_later), 0);
    } else {
        s->n_later = 0;
    }
    return turn == PUSH_READY;
}

static void finish(struct sender *s, int status)
{
    s->attempts = 0;
    s->owner.done(s->owner.arg, status);
    sender_wake(s);
}

/* A try has failed: waits for the next one, or gives the push up. */
static void try_failed(struct sender *s, str tenant, int status, str text)
{
    s->attempts++;
    text = str_sub(text, 0, 512);
    if (is_retryable(s, status)) {
        log_warn(COMPONENT, "error sending batch, will retry", LOG_I("status", status),
                 LOG_C("client", s->config.name), LOG_S("tenant", tenant), LOG_S("error", text));
        client_metrics_retry(s->config.metrics, tenant);
        if (may_try_again(s, status)) {
            s->is_waiting = true;
            loop_timer_start(s->retry_timer, backoff_ms(s, s->attempts), 0);
            return;
        }
    }
    log_error(COMPONENT, "final error sending batch", LOG_I("status", status),
              LOG_C("client", s->config.name), LOG_S("tenant", tenant), LOG_S("error", text));
    finish(s, status);
}

static void on_answer(void *arg, int code, int status, str body)
{
    struct sender *s = arg;
    struct push p;
    s->in_flight = NULL;
    if (code != 0)
        status = -1;
    client_metrics_request(s->config.metrics, status, clock_mono_ns() - s->started_ns);
    if (status == 401 && s->oauth2 != NULL)
        oauth2_forget(s->oauth2);
    if (status / 100 == 2)
        finish(s, status);
    else if (next_push(s, &p))
        try_failed(s, p.tenant, status, body);
}

static void on_token(void *arg, const char *err_text)
{
    struct sender *s = arg;
    struct push p;
    s->is_waiting = false;
    if (err_text == NULL)
        sender_wake(s);
    else if (next_push(s, &p))
        try_failed(s, p.tenant, -1, str_c(err_text));
}

/* --- requests --- */

struct header_list {
    const char *items[HEADERS_MAX + 1];
    size_t n;
    struct arena arena;
};

static void add_header(struct header_list *h, const char *name, str value)
{
    if (h->n < HEADERS_MAX)
        h->items[h->n++] = value.len > 0
                               ? arena_printf(&h->arena, "%s: %.*s", name, STR_ARG(value)).ptr
                               : arena_printf(&h->arena, "%s;", name).ptr; /* one without value */
}

/* Headers that Promtail sets itself, or that Go's client never sends as they were given. */
static bool is_reserved(const struct sender *s, str name, bool has_tenant)
{
    static const char *const names[] = {"Content-Type",   "User-Agent",        "Host",
                                        "Content-Length", "Transfer-Encoding", "Trailer"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_c(names[i])))
            return true;
    return (has_tenant && str_eq_nocase(name, STR("X-Scope-OrgID"))) ||
           (s->oauth2 != NULL && str_eq_nocase(name, STR("Authorization")));
}

/* An Authorization among the headers stands for all but OAuth 2's. */
static const char *authorization_of(const struct sender *s)
{
    const struct label_list *own = &s->config.client->headers;
    if (s->oauth2 != NULL)
        return oauth2_authorization(s->oauth2);
    for (size_t i = 0; i < own->n; i++)
        if (str_eq_nocase(own->items[i].name, STR("Authorization")))
            return NULL;
    return s->has_user ? NULL : s->authorization;
}

static void make_headers(const struct sender *s, const struct push *p, struct header_list *h)
{
    add_header(h, "Content-Type", STR("application/x-protobuf"));
    if (p->tenant.len > 0)
        add_header(h, "X-Scope-OrgID", p->tenant);
    const char *authorization = authorization_of(s);
    if (authorization != NULL)
        add_header(h, "Authorization", str_c(authorization));
    if (p->source_id.len > 0) {
        add_header(h, "X-Loge-Source", p->source_id);
        add_header(h, "X-Loge-Sequence",
                   arena_printf(&h->arena, "%llu", (unsigned long long)p->seq));
    }
    const struct label_list *own = &s->config.client->headers;
    for (size_t i = 0; i < own->n; i++)
        if (!is_reserved(s, own->items[i].name, p->tenant.len > 0))
            add_header(h, arena_c(&h->arena, own->items[i].name), own->items[i].value);
    const struct label_list *more = &s->config.client->http.headers;
    for (size_t i = 0; i < more->n; i++)
        add_header(h, arena_c(&h->arena, more->items[i].name), more->items[i].value);
    h->items[h->n] = NULL;
}

static void send_push(struct sender *s, const struct push *p)
{
    struct header_list h = {.n = 0};
    arena_init(&h.arena, SIZE_MAX);
    make_headers(s, p, &h);
    struct http_call call = {
        .method = "POST",
        .url = s->config.client->url,
        .headers = h.items,
        .body = p->body,
        .timeout_ms = (uint64_t)MAX(s->config.client->timeout_ns / NS_PER_MS, (int64_t)1),
        .response_bytes_max = 1u << 20,
        .done = on_answer,
        .arg = s,
    };
    s->started_ns = clock_mono_ns();
    s->in_flight = http_client_start(s->http, &call);
    arena_deinit(&h.arena);
}

void sender_wake(struct sender *s)
{
    struct push p;
    if (s->in_flight != NULL || s->is_waiting || !next_push(s, &p))
        return;
    if (s->oauth2 != NULL && oauth2_authorization(s->oauth2) == NULL) {
        s->is_waiting = true;
        oauth2_fetch(s->oauth2, on_token, s);
    } else {
        send_push(s, &p);
    }
}

bool sender_is_under_way(const struct sender *s)
{
    return s->in_flight != NULL;
}

void sender_forget_tries(struct sender *s)
{
    s->attempts = 0;
}

/* --- life --- */

static char *make_authorization(const struct client_config *config)
{
    const struct authorization_config *auth = &config->http.authorization;
    if (auth->credentials[0] == '\0')
        return NULL;
    const char *type = auth->type[0] != '\0' ? auth->type : "Bearer";
    size_t n = strlen(type) + strlen(auth->credentials) + 2;
    char *text = mem_alloc(n);
    snprintf(text, n, "%s %s", type, auth->credentials);
    return text;
}

static const char *or_null(const char *s)
{
    return s[0] != '\0' ? s : NULL;
}

static bool has_user(const char *url)
{
    struct arena a;
    struct gourl u;
    arena_init(&a, SIZE_MAX);
    bool has = gourl_parse(str_c(url), &a, &u, NULL) == 0 && u.has_user;
    arena_deinit(&a);
    return has;
}

/* The text itself or what its file holds, without the blanks around it; NULL if empty. */
static const char *text_or_file(const char *text, const char *file, struct buf *into)
{
    buf_init(into, 64 * 1024);
    buf_append_c(into, text);
    if (file[0] != '\0')
        file_read(file, into, NULL);
    str trimmed = str_trim(buf_str(into));
    if (trimmed.len > 0)
        memmove(into->ptr, trimmed.ptr, trimmed.len);
    into->len = trimmed.len;
    return into->len > 0 ? buf_c(into) : NULL;
}

static struct http_client *make_http(struct loop *l, const struct client_config *config)
{
    const struct http_config *h = &config->http;
    struct buf username, password;
    struct http_client_config settings = {
        .tls = tls_config_http(&h->tls),
        .user_agent = "promtail/" LOGE_VERSION,
        .proxy_url = or_null(h->proxy_url),
        .username = text_or_file(h->basic_auth.username, h->basic_auth.username_file, &username),
        .password = text_or_file(h->basic_auth.password, h->basic_auth.password_file, &password),
        .bearer_token = or_null(h->bearer_token),
        .bearer_token_file = or_null(h->bearer_token_file),
        .follow_redirects = h->follow_redirects,
        .timeout_ms = (uint64_t)(config->timeout_ns / NS_PER_MS),
    };
    if (settings.bearer_token_file == NULL) {
        settings.bearer_token_file = or_null(h->authorization.credentials_file);
        settings.token_type = or_null(h->authorization.type);
    }
    if (has_user(config->url))
        settings.username = settings.bearer_token = settings.bearer_token_file = NULL;
    struct http_client *http = http_client_new(l, &settings);
    buf_deinit(&username);
    buf_deinit(&password);
    return http;
}

struct sender *sender_new(struct loop *l, const struct sender_config *config,
                          const struct sender_owner *owner)
{
    struct sender *s = mem_zalloc(sizeof *s);
    s->config = *config;
    s->owner = *owner;
    s->authorization = make_authorization(config->client);
    s->has_user = has_user(config->client->url);
    s->http = make_http(l, config->client);
    s->oauth2 = oauth2_new(l, &config->client->http.oauth2, config->client->timeout_ns);
    s->retry_timer = loop_timer_new(l, on_retry_timer, s);
    return s;
}

void sender_free(struct sender *s)
{
    if (s == NULL)
        return;
    if (s->in_flight != NULL)
        http_handle_cancel(s->in_flight);
    http_client_free(s->http);
    oauth2_free(s->oauth2);
    loop_timer_free(s->retry_timer);
    mem_free(s->authorization);
    mem_free(s);
}
