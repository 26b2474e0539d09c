#include "promtail/client/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "promtail/client/metrics.h"
#include "promtail/client/oauth2.h"
#include "runtime/http_client.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT            "client"
#define QUEUE_BYTES_MAX      (8u << 20) /* without wal: compressed, some 60 MB of lines */
#define SEGMENT_BYTES_MAX    (8u << 20)
#define BODIES_IN_MEMORY_MAX (2u << 20) /* later ones are read back from the spool */
#define TENANT_LABEL         STR("__tenant_id__")
#define HEADERS_MAX          64

struct client {
    const struct client_config *config;
    const struct wal_config *wal;
    struct loop *loop;
    struct source_registry *sources;
    size_t index;
    char *name, *host;
    struct client_metrics metrics;

    VEC(struct batch *) open;
    struct loop_timer *close_timer;
    bool close_armed;

    struct spool spool;
    struct group *first, *last; /* queue */
    size_t queued_bytes;        /* of bodies */
    size_t memory_bytes;        /* of bodies held in memory */

    struct http_client *http;
    struct http_handle *in_flight;
    size_t sending; /* batch of `first` */
    int64_t started_ns;
    int64_t attempts;
    struct loop_timer *retry_timer;
    bool is_waiting; /* for the retry timer */
    char *authorization;
    struct oauth2 *oauth2; /* NULL: none */

    bool is_stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct loop_timer *stop_timer;
};

static void pump(struct client *c);
static void close_batches(struct client *c);

/* --- open batches --- */

static struct batch *find_batch(struct client *c, str tenant)
{
    for (size_t i = 0; i < c->open.len; i++)
        if (str_eq_c(tenant, c->open.items[i]->tenant))
            return c->open.items[i];
    return NULL;
}

static void arm_close_timer(struct client *c)
{
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < c->open.len; i++)
        oldest = MIN(oldest, c->open.items[i]->created_mono_ns);
    int64_t left = oldest + c->config->batchwait_ns - clock_mono_ns();
    loop_timer_start(c->close_timer, (uint64_t)MAX(left / NS_PER_MS, 0) + 1, 0);
}

static str tenant_of(const struct client *c, const struct record *r)
{
    str tenant = label_list_get(&r->labels, TENANT_LABEL);
    return tenant.ptr != NULL ? tenant : str_c(c->config->tenant_id);
}

void client_put(struct client *c, struct record *r)
{
    const struct origin *o = &r->origin;
    if (o->source != NULL && !source_wants(o->source, c->index, o->from))
        return; /* it was in a batch before the restart */
    str tenant = tenant_of(c, r);
    struct batch *b = find_batch(c, tenant);
    if (b != NULL && b->n_entries > 0 &&
        b->bytes + batch_record_bytes(r) > c->config->batchsize_bytes) {
        close_batches(c);
        b = NULL;
    }
    if (b == NULL) {
        b = batch_new(tenant, clock_mono_ns());
        VEC_PUSH(&c->open, b);
        if (c->open.len == 1)
            arm_close_timer(c);
    }
    if (!batch_add(b, r, &c->config->external_labels))
        client_metrics_dropped(&c->metrics, tenant, STR("out_of_memory"), 1, batch_record_bytes(r));
}

/* While something is under way, batches grow rather than queue up. */
static void on_close_timer(void *arg)
{
    struct client *c = arg;
    if (c->first == NULL)
        close_batches(c);
}

static void take_batch(struct client *c, struct group *g, struct batch *b)
{
    struct group_batch one = {.n_entries = b->n_entries, .raw_bytes = b->bytes};
    buf_init(&one.body, BUF_NO_LIMIT);
    if (batch_encode(b, &one.body) != 0) {
        client_metrics_dropped(&c->metrics, str_c(b->tenant), STR("out_of_memory"), b->n_entries,
                               b->bytes);
        buf_deinit(&one.body);
        return;
    }
    one.tenant = mem_strdup(b->tenant);
    one.seq = spool_next_seq(&c->spool, str_c(b->tenant));
    one.body_bytes = one.body.len;
    metric_add(c->metrics.encoded_bytes, (double)one.body_bytes);
    VEC_PUSH(&g->batches, one);
}

static void take_marks(struct client *c, struct group *g)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&c->sources->by_key, &at, NULL, &item)) {
        struct source *s = item;
        if (!source_mark_queued(s, c->index))
            continue;
        struct group_mark m = {.source = source_ref(s)};
        source_mark_copy(&m.mark, &s->queued[c->index]);
        VEC_PUSH(&g->marks, m);
    }
}

/* --- the queue --- */

static void forget_body(struct client *c, struct group_batch *b)
{
    c->memory_bytes -= b->body.len;
    buf_deinit(&b->body);
}

static void enqueue(struct client *c, struct group *g)
{
    if (c->last != NULL)
        c->last->next = g;
    else
        c->first = g;
    c->last = g;
    for (size_t i = 0; i < g->batches.len; i++) {
        struct group_batch *b = &g->batches.items[i];
        c->queued_bytes += b->is_done ? 0 : b->body_bytes;
        c->memory_bytes += b->body.len;
        if (g->is_durable && c->memory_bytes > BODIES_IN_MEMORY_MAX)
            forget_body(c, b);
    }
}

/* The first group is done: its marks count, it leaves the queue. */
static void finish_first(struct client *c)
{
    struct group *g = c->first;
    ASSERT(g != NULL && group_is_done(g));
    for (size_t i = 0; i < g->marks.len; i++)
        source_mark_acked(c->sources, g->marks.items[i].source, c->index, &g->marks.items[i].mark);
    spool_group_done(&c->spool, g);
    c->first = g->next;
    if (c->first == NULL)
        c->last = NULL;
    group_free(g);
    c->sending = 0;
}

static void batch_done(struct client *c, struct group *g, size_t at)
{
    struct group_batch *b = &g->batches.items[at];
    b->is_done = true;
    c->queued_bytes -= b->body_bytes;
    forget_body(c, b);
    spool_ack(&c->spool, g, at);
}

/* wal.drop_oldest: makes room by giving up groups from the front, never the one under way. */
static void drop_oldest(struct client *c)
{
    if (!c->wal->enabled || !c->wal->drop_oldest)
        return;
    while (c->queued_bytes > c->wal->max_bytes && c->first != NULL && c->first->next != NULL &&
           c->in_flight == NULL) {
        for (size_t i = 0; i < c->first->batches.len; i++) {
            struct group_batch *b = &c->first->batches.items[i];
            if (b->is_done)
                continue;
            client_metrics_dropped(&c->metrics, str_c(b->tenant), STR("wal_full"), b->n_entries,
                                   b->raw_bytes);
            batch_done(c, c->first, i);
        }
        finish_first(c);
    }
}

static void close_batches(struct client *c)
{
    struct group *g = group_new(c->spool.next_group++);
    snprintf(g->source_id, sizeof g->source_id, "%s", c->spool.id);
    for (size_t i = 0; i < c->open.len; i++) {
        if (c->open.items[i]->n_entries > 0)
            take_batch(c, g, c->open.items[i]);
        batch_free(c->open.items[i]);
    }
    c->open.len = 0;
    loop_timer_stop(c->close_timer);
    take_marks(c, g);
    struct error err = {0};
    if (spool_append(&c->spool, g, &err) != 0)
        log_warn(COMPONENT, "batch is kept in memory only", LOG_C("client", c->name),
                 LOG_C("err", err.text));
    enqueue(c, g);
    drop_oldest(c);
    pump(c);
}

void client_sync(struct client *c)
{
    if (c->first != NULL || c->open.len > 0)
        return; /* the next group will carry it */
    size_t at = 0;
    void *item;
    while (strmap_next(&c->sources->by_key, &at, NULL, &item)) {
        const struct source *s = item;
        if (s->read_to > s->queued[c->index].pos) {
            close_batches(c);
            return;
        }
    }
}

bool client_is_full(const struct client *c)
{
    if (!c->wal->enabled)
        return c->queued_bytes > QUEUE_BYTES_MAX;
    return c->queued_bytes > c->wal->max_bytes && !c->wal->drop_oldest;
}

size_t client_queued_bytes(const struct client *c)
{
    return c->queued_bytes;
}

void client_count_long_line(const struct client *c, const struct record *r, size_t bytes,
                            bool is_cut)
{
    if (is_cut)
        client_metrics_mutated(&c->metrics, tenant_of(c, r), DROP_LINE_TOO_LONG, bytes);
    else
        client_metrics_dropped(&c->metrics, tenant_of(c, r), DROP_LINE_TOO_LONG, 1, bytes);
}

void client_count_refused_stream(const struct client *c, const struct record *r)
{
    client_metrics_dropped(&c->metrics, tenant_of(c, r), DROP_STREAM_LIMIT, 1,
                           batch_record_bytes(r));
}

/* --- sending --- */

static void all_sent(struct client *c)
{
    if (!c->is_stopping)
        return;
    void (*stopped)(void *arg) = c->stopped;
    c->stopped = NULL;
    loop_timer_stop(c->stop_timer);
    if (stopped != NULL)
        stopped(c->stopped_arg);
}

static void on_retry_timer(void *arg)
{
    struct client *c = arg;
    c->is_waiting = false;
    pump(c);
}

/* Between min_period and twice that, doubled with each attempt, up to max_period. */
static uint64_t backoff_ms(const struct client *c)
{
    int64_t low = c->config->backoff_min_ns, high = c->config->backoff_max_ns;
    for (int64_t i = 1; i < c->attempts && low < high; i++)
        low *= 2;
    low = MIN(low, high);
    int64_t spread = MIN(low, high - low) / NS_PER_MS;
    return (uint64_t)(low / NS_PER_MS + (spread > 0 ? rand() % (spread + 1) : 0));
}

static bool is_retryable(const struct client *c, int status)
{
    if (status == 429)
        return !c->config->drop_rate_limited_batches;
    return status <= 0 || status / 100 == 5;
}

static void give_up(struct client *c, struct group_batch *b, int status)
{
    str reason = status == 429 ? DROP_RATE_LIMITED : DROP_GENERIC;
    client_metrics_dropped(&c->metrics, str_c(b->tenant), reason, b->n_entries, b->raw_bytes);
}

/* A try has failed: waits for the next one, or gives the batch up. */
static void try_failed(struct client *c, int status, str text)
{
    struct group_batch *b = &c->first->batches.items[c->sending];
    c->attempts++;
    if (is_retryable(c, status)) {
        log_warn(COMPONENT, "error sending batch, will retry", LOG_I("status", status),
                 LOG_C("client", c->name), LOG_C("tenant", b->tenant),
                 LOG_S("error", str_sub(text, 0, 512)));
        client_metrics_retry(&c->metrics, str_c(b->tenant));
        bool is_endless = c->config->max_retries == 0 || (c->wal->enabled && status != 429);
        if (is_endless || c->attempts < c->config->max_retries) {
            c->is_waiting = true;
            loop_timer_start(c->retry_timer, backoff_ms(c), 0);
            return;
        }
    }
    log_error(COMPONENT, "final error sending batch", LOG_I("status", status),
              LOG_C("client", c->name), LOG_C("tenant", b->tenant),
              LOG_S("error", str_sub(text, 0, 512)));
    give_up(c, b, status);
    c->attempts = 0;
    batch_done(c, c->first, c->sending);
    pump(c);
}

static void on_answer(void *arg, int code, int status, str body)
{
    struct client *c = arg;
    struct group_batch *b = &c->first->batches.items[c->sending];
    c->in_flight = NULL;
    if (code != 0)
        status = -1;
    client_metrics_request(&c->metrics, status, clock_mono_ns() - c->started_ns);
    if (status == 401 && c->oauth2 != NULL)
        oauth2_forget(c->oauth2);
    if (status / 100 != 2) {
        try_failed(c, status, body);
        return;
    }
    metric_add(c->metrics.sent_bytes, (double)b->body_bytes);
    metric_add(c->metrics.sent_entries, (double)b->n_entries);
    c->attempts = 0;
    batch_done(c, c->first, c->sending);
    pump(c);
}

static void on_token(void *arg, const char *err_text)
{
    struct client *c = arg;
    c->is_waiting = false;
    if (err_text != NULL)
        try_failed(c, -1, str_c(err_text));
    else
        pump(c);
}

struct header_list {
    const char *items[HEADERS_MAX + 1];
    size_t n;
    struct arena arena;
};

static void add_header(struct header_list *h, const char *name, str value)
{
    if (h->n < HEADERS_MAX)
        h->items[h->n++] = arena_printf(&h->arena, "%s: %.*s", name, STR_ARG(value)).ptr;
}

static bool is_own_header(str name, bool has_tenant)
{
    return str_eq_nocase(name, STR("Content-Type")) || str_eq_nocase(name, STR("User-Agent")) ||
           (has_tenant && str_eq_nocase(name, STR("X-Scope-OrgID")));
}

static void make_headers(struct client *c, const struct group *g, const struct group_batch *b,
                         struct header_list *h)
{
    add_header(h, "Content-Type", STR("application/x-protobuf"));
    str tenant = str_c(b->tenant);
    if (tenant.len > 0)
        add_header(h, "X-Scope-OrgID", tenant);
    const char *authorization = c->oauth2 ? oauth2_authorization(c->oauth2) : c->authorization;
    if (authorization != NULL)
        add_header(h, "Authorization", str_c(authorization));
    if (g->is_durable || c->spool.dir == NULL) {
        /* Numbers run per tenant, so the id of the series of numbers names the tenant too. */
        char id[96], seq[24];
        snprintf(id, sizeof id, "%s-%zu-%08x", g->source_id, c->index,
                 (unsigned)hash_xxh64(tenant, 0));
        snprintf(seq, sizeof seq, "%llu", (unsigned long long)b->seq);
        add_header(h, "X-Loge-Source", str_c(id));
        add_header(h, "X-Loge-Sequence", str_c(seq));
    }
    for (size_t i = 0; i < c->config->headers.n; i++) {
        const struct label *one = &c->config->headers.items[i];
        if (!is_own_header(one->name, tenant.len > 0))
            add_header(h, arena_c(&h->arena, one->name), one->value);
    }
    h->items[h->n] = NULL;
}

static bool load_body(struct client *c, const struct group *g, struct group_batch *b)
{
    if (b->body.len > 0 || b->body_bytes == 0)
        return true;
    buf_init(&b->body, BUF_NO_LIMIT);
    int rc = g->is_durable ? spool_read_body(&c->spool, b, &b->body) : E_INTERNAL;
    c->memory_bytes += b->body.len;
    if (rc != 0)
        log_error(COMPONENT, "cannot read a batch back", LOG_C("client", c->name), LOG_ERR(rc));
    return rc == 0;
}

static void send_batch(struct client *c, const struct group *g, struct group_batch *b)
{
    struct header_list h = {.n = 0};
    arena_init(&h.arena, SIZE_MAX);
    make_headers(c, g, b, &h);
    struct http_call call = {
        .method = "POST",
        .url = c->config->url,
        .headers = h.items,
        .body = buf_str(&b->body),
        .timeout_ms = (uint64_t)(c->config->timeout_ns / NS_PER_MS),
        .response_bytes_max = 1u << 20,
        .done = on_answer,
        .arg = c,
    };
    c->started_ns = clock_mono_ns();
    c->in_flight = http_client_start(c->http, &call);
    arena_deinit(&h.arena);
}

/* Sends the next batch, if nothing is under way. */
static void pump(struct client *c)
{
    while (c->in_flight == NULL && !c->is_waiting && c->first != NULL) {
        struct group *g = c->first;
        if (c->sending == g->batches.len) {
            finish_first(c);
            continue;
        }
        struct group_batch *b = &g->batches.items[c->sending];
        if (b->is_done) {
            c->sending++;
        } else if (!load_body(c, g, b)) {
            give_up(c, b, 0);
            batch_done(c, g, c->sending);
        } else if (c->oauth2 != NULL && oauth2_authorization(c->oauth2) == NULL) {
            c->is_waiting = true;
            oauth2_fetch(c->oauth2, on_token, c);
        } else {
            send_batch(c, g, b);
        }
    }
    if (c->first != NULL)
        return;
    if (c->open.len > 0)
        arm_close_timer(c);
    else
        all_sent(c);
}

static void on_stop_timer(void *arg)
{
    struct client *c = arg;
    if (c->first != NULL)
        log_warn(COMPONENT, "stopped with batches not sent", LOG_C("client", c->name),
                 LOG_U("bytes", c->queued_bytes),
                 LOG_C("kept", c->spool.dir != NULL ? "on disk" : "no"));
    all_sent(c);
}

void client_stop(struct client *c, uint64_t grace_ms, void (*done)(void *arg), void *arg)
{
    c->is_stopping = true;
    c->stopped = done;
    c->stopped_arg = arg;
    loop_timer_start(c->stop_timer, grace_ms, 0);
    close_batches(c);
}

/* --- life --- */

static char *host_of(const char *url)
{
    str s = str_c(url);
    size_t at = str_find(s, STR("://"));
    s = at == STR_NPOS ? s : str_from(s, at + 3);
    size_t end = 0;
    while (end < s.len && s.ptr[end] != '/' && s.ptr[end] != '?')
        end++;
    s = str_sub(s, 0, end);
    size_t user = str_rfind_char(s, '@');
    return str_dup_c(user == STR_NPOS ? s : str_from(s, user + 1));
}

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

static struct http_client *make_http(struct loop *l, const struct client_config *config)
{
    const struct http_config *h = &config->http;
    const char *token_file = or_null(h->bearer_token_file);
    if (token_file == NULL)
        token_file = or_null(h->authorization.credentials_file);
    struct buf password;
    buf_init(&password, 64 * 1024);
    buf_append_c(&password, h->basic_auth.password);
    if (h->basic_auth.password_file[0] != '\0')
        file_read(h->basic_auth.password_file, &password, NULL);
    password.len = str_trim(buf_str(&password)).len;
    struct http_client_config settings = {
        .tls = {.ca_file = or_null(h->tls.ca_file),
                .cert_file = or_null(h->tls.cert_file),
                .key_file = or_null(h->tls.key_file),
                .server_name = or_null(h->tls.server_name),
                .min_version = or_null(h->tls.min_version),
                .insecure_skip_verify = h->tls.insecure_skip_verify},
        .user_agent = "promtail/" LOGE_VERSION,
        .proxy_url = or_null(h->proxy_url),
        .username = or_null(h->basic_auth.username),
        .password = password.len > 0 ? buf_c(&password) : NULL,
        .bearer_token = or_null(h->bearer_token),
        .bearer_token_file = token_file,
        .follow_redirects = h->follow_redirects,
        .timeout_ms = (uint64_t)(config->timeout_ns / NS_PER_MS),
    };
    struct http_client *http = http_client_new(l, &settings);
    buf_deinit(&password);
    return http;
}

/* Where this client's spool is: the same for the same server and name. */
static int open_spool(struct client *c, const struct client_env *env, struct error *err)
{
    struct group *g = NULL;
    char dir[4096];
    if (env->state_dir != NULL) {
        uint64_t key = hash_xxh64(
            str_c(c->config->url),
            hash_xxh64(str_c(c->config->name), hash_xxh64(str_c(c->config->tenant_id), 0)));
        int n =
            snprintf(dir, sizeof dir, "%s/client-%016llx", env->state_dir, (unsigned long long)key);
        if (n < 0 || (size_t)n >= sizeof dir)
            return error_set(err, E_INVALID, "path of the state folder is too long");
    }
    int rc = spool_open(&c->spool, env->state_dir != NULL ? dir : NULL, SEGMENT_BYTES_MAX, c->index,
                        env->sources, env->ignore_marks, &g, err);
    while (g != NULL) {
        struct group *next = g->next;
        g->next = NULL;
        enqueue(c, g);
        g = next;
    }
    return rc;
}

int client_new(const struct client_env *env, const struct client_config *config, size_t index,
               struct client **ret, struct error *err)
{
    (void)err;
    struct client *c = mem_zalloc(sizeof *c);
    c->config = config;
    c->wal = &env->config->wal;
    c->loop = env->loop;
    c->sources = env->sources;
    c->index = index;
    c->host = host_of(config->url);
    c->name = mem_strdup(config->name[0] != '\0' ? config->name : c->host);
    client_metrics_init(&c->metrics, str_c(c->host));
    c->authorization = make_authorization(config);
    c->close_timer = loop_timer_new(env->loop, on_close_timer, c);
    c->retry_timer = loop_timer_new(env->loop, on_retry_timer, c);
    c->stop_timer = loop_timer_new(env->loop, on_stop_timer, c);
    c->http = make_http(env->loop, config);
    c->oauth2 = oauth2_new(env->loop, &config->http.oauth2, config->timeout_ns);
    struct error why = {0};
    if (open_spool(c, env, &why) != 0)
        log_warn(COMPONENT, "no journal on disk: lines may be sent twice after a crash",
                 LOG_C("client", c->name), LOG_C("err", why.text));
    pump(c);
    *ret = c;
    return 0;
}

void client_free(struct client *c)
{
    if (c == NULL)
        return;
    if (c->in_flight != NULL)
        http_handle_cancel(c->in_flight);
    http_client_free(c->http);
    oauth2_free(c->oauth2);
    spool_close(&c->spool, true);
    while (c->first != NULL) {
        struct group *next = c->first->next;
        group_free(c->first);
        c->first = next;
    }
    for (size_t i = 0; i < c->open.len; i++)
        batch_free(c->open.items[i]);
    VEC_FREE(&c->open);
    loop_timer_free(c->close_timer);
    loop_timer_free(c->retry_timer);
    loop_timer_free(c->stop_timer);
    mem_free(c->authorization);
    mem_free(c->name);
    mem_free(c->host);
    mem_free(c);
}

const struct client_config *client_config_of(const struct client *c)
{
    return c->config;
}

const char *client_host(const struct client *c)
{
    return c->host;
}
