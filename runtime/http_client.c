#include "runtime/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <uv.h>

#include "base/mem.h"
#include "base/vec.h"
#include "runtime/http_client_internal.h"
#include "runtime/http_transfer_internal.h"
#include "runtime/loop.h"

#define RESPONSE_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define HEADER_BYTES_MAX       ((size_t)64 * 1024)
#define CONNECTIONS_KEPT_MAX   64

/* A socket of libcurl's that the loop watches. */
struct client_socket {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

struct http_client {
    struct loop *loop;
    struct http_client_config config; /* strings are ours */
    CURLM *multi;
    uv_timer_t *timer;
    struct http_handle *handles; /* under way */
    bool is_in_timer;            /* on_timeout is on the stack */
    bool is_in_callback;         /* libcurl must not be re-entered */
    unsigned n_reaping;          /* reap() is on the stack */
    bool is_freed;
};

struct http_handle {
    struct http_client *client; /* NULL for a blocking fetch */
    struct http_handle *prev, *next;
    CURL *easy;
    struct http_transfer transfer;
    struct http_call call;
    struct buf body;
    char *want_header;
    struct buf header_value;
    bool is_cancelled, is_done;
    bool stopped_by_caller; /* on_data said enough */
    bool is_paused;         /* on_data wants nothing at present */
    http_connect_fn *on_connect;
    int setup_code; /* the request could not even begin */
    char *setup_text;
    char error_text[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
    ASSERT(curl_global_init(CURL_GLOBAL_ALL) == 0);
}

/* The one place where libcurl's codes become ours. */
static int status_from_curl(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return E_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return E_INVALID;
    case CURLE_FILESIZE_EXCEEDED:
        return E_TOO_LARGE;
    case CURLE_OUT_OF_MEMORY:
        return E_NO_MEMORY;
    case CURLE_ABORTED_BY_CALLBACK:
        return E_CANCELED;
    default:
        return E_UNAVAILABLE;
    }
}

/* --- one request --- */

static int response_status(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_handle *h = arg;
    size_t len = size * n;
    int status = response_status(h->easy);
    if (h->call.on_data != NULL && status >= 200 && status < 300) {
        if (h->is_cancelled || h->stopped_by_caller)
            return 0;
        if (h->is_paused)
            return CURL_WRITEFUNC_PAUSE; /* libcurl keeps this piece */
        if (!h->call.on_data(h->call.arg, (str){bytes, len})) {
            h->stopped_by_caller = true;
            return 0;
        }
        return h->is_cancelled ? 0 : len;
    }
    return buf_append(&h->body, bytes, len) ? len : 0; /* 0 ends the transfer */
}

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_handle *h = arg;
    str line = {bytes, size * n};
    if (str_has_prefix(line, STR("HTTP/"))) /* after a redirect or a 100 the list begins anew */
        buf_reset(&h->header_value);
    size_t colon = str_find_char(line, ':');
    if (h->want_header != NULL && colon != STR_NPOS &&
        str_eq_nocase(str_sub(line, 0, colon), str_c(h->want_header))) {
        buf_reset(&h->header_value);
        buf_append_str(&h->header_value, str_trim(str_from(line, colon + 1)));
    }
    return line.len;
}

static int handle_setup(struct http_handle *h, const struct http_client_config *c,
                        struct error *err)
{
    CURL *easy = h->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, h);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->error_text);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, h);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, h);
    return http_transfer_init(&h->transfer, easy, c, &h->call, err);
}

static struct http_handle *handle_new(const struct http_call *call)
{
    struct http_handle *h = mem_zalloc(sizeof *h);
    h->call = *call;
    h->want_header = mem_strdup(call->want_header);
    buf_init(&h->body,
             call->response_bytes_max ? call->response_bytes_max : RESPONSE_BYTES_DEFAULT);
    buf_init(&h->header_value, HEADER_BYTES_MAX);
    h->easy = curl_easy_init();
    ASSERT(h->easy != NULL);
    return h;
}

static void handle_free(struct http_handle *h)
{
    curl_easy_cleanup(h->easy);
    http_transfer_deinit(&h->transfer);
    buf_deinit(&h->body);
    buf_deinit(&h->header_value);
    mem_free(h->want_header);
    mem_free(h->setup_text);
    mem_free(h);
}

/* Our code and text for how a transfer ended. */
static int handle_result(const struct http_handle *h, CURLcode curl_code, struct error *err)
{
    if (h->setup_code != 0)
        return error_set(err, h->setup_code, "%s", h->setup_text);
    if (curl_code == CURLE_OK || (curl_code == CURLE_WRITE_ERROR && h->stopped_by_caller))
        return 0;
    if (curl_code == CURLE_WRITE_ERROR && h->body.failed)
        return error_set(err, E_TOO_LARGE, "the answer is larger than %zu bytes", h->body.max);
    const char *text = h->error_text[0] != '\0' ? h->error_text : curl_easy_strerror(curl_code);
    return error_set(err, status_from_curl(curl_code), "%s", text);
}

/* --- libcurl in the loop --- */

static void reap(struct http_client *c);

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct client_socket *s = poll->data;
    struct http_client *c = s->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    int running;
    c->is_in_callback = true;
    curl_multi_socket_action(c->multi, s->fd, flags, &running);
    c->is_in_callback = false;
    reap(c);
}

static void on_socket_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

static int on_socket_change(CURL *easy, curl_socket_t fd, int what, void *client, void *socket)
{
    (void)easy;
    struct http_client *c = client;
    struct client_socket *s = socket;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL) {
            curl_multi_assign(c->multi, fd, NULL);
            uv_poll_stop(&s->poll);
            uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        }
        return 0;
    }
    if (s == NULL) {
        s = mem_zalloc(sizeof *s);
        s->client = c;
        s->fd = fd;
        ASSERT(uv_poll_init(loop_uv(c->loop), &s->poll, fd) == 0);
        s->poll.data = s;
        curl_multi_assign(c->multi, fd, s);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&s->poll, events, on_socket_ready);
    return 0;
}

static void on_timeout(uv_timer_t *t)
{
    struct http_client *c = t->data;
    int running;
    c->is_in_timer = true;
    c->is_in_callback = true;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    c->is_in_callback = false;
    reap(c);
}

static int on_timer_change(CURLM *multi, long timeout_ms, void *client)
{
    (void)multi;
    struct http_client *c = client;
    if (timeout_ms < 0)
        uv_timer_stop(c->timer);
    else /* 0 only where libuv would not call it again at once, before anything else */
        uv_timer_start(c->timer, on_timeout,
                       timeout_ms == 0 && c->is_in_timer ? 1 : (uint64_t)timeout_ms, 0);
    return 0;
}

static void handle_unlink(struct http_handle *h)
{
    struct http_client *c = h->client;
    if (h->prev != NULL)
        h->prev->next = h->next;
    else
        c->handles = h->next;
    if (h->next != NULL)
        h->next->prev = h->prev;
    curl_multi_remove_handle(c->multi, h->easy);
}

static void finish(struct http_handle *h, CURLcode curl_code)
{
    struct error err = {0};
    int status = response_status(h->easy);
    int code = handle_result(h, curl_code, &err);
    h->is_done = true;
    handle_unlink(h);
    if (!h->is_cancelled)
        h->call.done(h->call.arg, code, status, code == 0 ? buf_str(&h->body) : str_c(err.text));
    handle_free(h);
}

/* A connection for a protocol of its own: the handle stays, its owner sends and receives. */
static void finish_connect(struct http_handle *h, CURLcode curl_code)
{
    struct error err = {0};
    int code = handle_result(h, curl_code, &err);
    if (!h->is_cancelled)
        h->on_connect(h->call.arg, code, h->easy, str_c(err.text));
}

static void client_destroy(struct http_client *c);

/* Tells the callers of all transfers that have ended.  `done` may start, cancel and even free. */
static void reap(struct http_client *c)
{
    c->n_reaping++;
    int left;
    CURLMsg *msg;
    while (!c->is_freed && (msg = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        char *h = NULL;
        CURLcode result = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &h);
        struct http_handle *handle = (void *)h;
        if (handle->on_connect != NULL)
            finish_connect(handle, result);
        else
            finish(handle, result);
    }
    /* Those cancelled inside a callback of libcurl, where they could not be removed. */
    for (struct http_handle *h = c->handles, *next; !c->is_freed && h != NULL; h = next) {
        next = h->next;
        if (h->is_cancelled) {
            handle_unlink(h);
            handle_free(h);
        }
    }
    if (--c->n_reaping > 0)
        return;
    c->is_in_timer = false;
    if (c->is_freed)
        client_destroy(c);
}

static void copy_config(struct http_client_config *to, const struct http_client_config *from)
{
    *to = *from;
    to->tls.ca_file = mem_strdup(from->tls.ca_file);
    to->tls.cert_file = mem_strdup(from->tls.cert_file);
    to->tls.key_file = mem_strdup(from->tls.key_file);
    to->tls.server_name = mem_strdup(from->tls.server_name);
    to->tls.min_version = mem_strdup(from->tls.min_version);
    to->tls.ca_pem = mem_strdup(from->tls.ca_pem);
    to->tls.cert_pem = mem_strdup(from->tls.cert_pem);
    to->tls.key_pem = mem_strdup(from->tls.key_pem);
    to->user_agent = mem_strdup(from->user_agent);
    to->proxy_url = mem_strdup(from->proxy_url);
    to->username = mem_strdup(from->username);
    to->password = mem_strdup(from->password);
    to->bearer_token = mem_strdup(from->bearer_token);
    to->bearer_token_file = mem_strdup(from->bearer_token_file);
    to->token_type = mem_strdup(from->token_type);
    to->unix_socket = mem_strdup(from->unix_socket);
}

static void free_config(struct http_client_config *c)
{
    const char *strings[] = {
        c->tls.ca_file,     c->tls.cert_file, c->tls.key_file,      c->tls.server_name,
        c->tls.min_version, c->user_agent,    c->proxy_url,         c->username,
        c->password,        c->bearer_token,  c->bearer_token_file, c->unix_socket,
        c->tls.ca_pem,      c->tls.cert_pem,  c->tls.key_pem,       c->token_type};
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        mem_free((void *)(uintptr_t)strings[i]);
}

struct http_client *http_client_new(struct loop *l, const struct http_client_config *config)
{
    pthread_once(&curl_once, curl_start);
    struct http_client *c = mem_zalloc(sizeof *c);
    c->loop = l;
    copy_config(&c->config, config);
    c->multi = curl_multi_init();
    ASSERT(c->multi != NULL);
    c->timer = mem_zalloc(sizeof *c->timer);
    uv_timer_init(loop_uv(l), c->timer);
    c->timer->data = c;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT_MAX);
    return c;
}

static void on_client_timer_closed(uv_handle_t *h)
{
    mem_free(h);
}

static void client_destroy(struct http_client *c)
{
    while (c->handles != NULL) {
        struct http_handle *h = c->handles;
        handle_unlink(h);
        handle_free(h);
    }
    curl_multi_cleanup(c->multi); /* closes the kept connections: on_socket_change may be called */
    uv_timer_stop(c->timer);
    uv_close((uv_handle_t *)c->timer, on_client_timer_closed);
    free_config(&c->config);
    mem_free(c);
}

void http_client_free(struct http_client *c)
{
    if (c == NULL)
        return;
    ASSERT(!c->is_in_callback); /* not from on_data */
    c->is_freed = true;
    if (c->n_reaping == 0)
        client_destroy(c);
}

static struct http_handle *start(struct http_client *c, const struct http_call *call,
                                 http_connect_fn *on_connect)
{
    ASSERT(loop_is_loop_thread(c->loop));
    struct http_handle *h = handle_new(call);
    h->on_connect = on_connect;
    h->client = c;
    h->next = c->handles;
    if (h->next != NULL)
        h->next->prev = h;
    c->handles = h;
    struct error err = {0};
    int code = handle_setup(h, &c->config, &err);
    if (code != 0) { /* told from the loop, so that `done` never runs inside the start */
        h->setup_code = code;
        h->setup_text = mem_strdup(err.text);
        curl_easy_setopt(h->easy, CURLOPT_URL, "");
    }
    if (on_connect != NULL)
        curl_easy_setopt(h->easy, CURLOPT_CONNECT_ONLY, 1L);
    ASSERT(curl_multi_add_handle(c->multi, h->easy) == CURLM_OK);
    return h;
}

struct http_handle *http_client_start(struct http_client *c, const struct http_call *call)
{
    return start(c, call, NULL);
}

struct http_handle *http_client_connect(struct http_client *c, const struct http_call *call,
                                        http_connect_fn *on_connect)
{
    return start(c, call, on_connect);
}

void http_handle_cancel(struct http_handle *h)
{
    if (h == NULL || h->is_done)
        return;
    h->is_cancelled = true;
    if (h->client->is_in_callback || h->client->n_reaping > 0)
        return; /* reap() removes it */
    handle_unlink(h);
    handle_free(h);
}

void http_handle_pause(struct http_handle *h)
{
    h->is_paused = true;
}

void http_handle_resume(struct http_handle *h)
{
    struct http_client *c = h->client;
    ASSERT(!c->is_in_callback);
    h->is_paused = false;
    c->is_in_callback = true;
    curl_easy_pause(h->easy, CURLPAUSE_CONT); /* hands over what it kept */
    c->is_in_callback = false;
}

str http_handle_header(const struct http_handle *h)
{
    return buf_str(&h->header_value);
}

/* --- blocking --- */

int http_client_fetch(const struct http_client_config *config, const struct http_call *call,
                      int *ret_status, struct buf *ret_body, struct error *err)
{
    pthread_once(&curl_once, curl_start);
    struct http_handle *h = handle_new(call);
    int code = handle_setup(h, config, err);
    if (code == 0)
        code = handle_result(h, curl_easy_perform(h->easy), err);
    if (code == 0) {
        *ret_status = response_status(h->easy);
        if (!buf_append_str(ret_body, buf_str(&h->body)))
            code =
                error_set(err, E_TOO_LARGE, "the answer is larger than %zu bytes", ret_body->max);
    }
    handle_free(h);
    return code;
}
