/* The client's side: libcurl connects (TLS and proxy included), the handshake is ours. */
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <uv.h>

#include "base/buf.h"
#include "base/mem.h"
#include "runtime/http_client_internal.h"
#include "runtime/loop.h"
#include "runtime/websocket_internal.h"

#define HANDSHAKE_TIMEOUT_MS 30000
#define ANSWER_BYTES_MAX     ((size_t)64 * 1024) /* head and, if it is a refusal, body */

typedef void open_fn(void *arg, struct websocket *ws, int code, int http_status, str text);

struct client_side {
    struct loop *loop;
    struct http_client *http;
    struct http_handle *handle;
    CURL *easy;
    open_fn *on_open;
    struct websocket_ops ops;
    void *arg;
    struct websocket *ws;
    char *url; /* as libcurl takes it: http or https */
    struct buf out;
    size_t sent;
    struct buf in;
    char accept[32];
    curl_socket_t fd;
    uv_poll_t *poll; /* while the handshake lasts */
    uv_timer_t *timer;
};

static void free_handle(uv_handle_t *h)
{
    mem_free(h);
}

static void stop_watching(struct client_side *side)
{
    if (side->poll != NULL) {
        uv_poll_stop(side->poll);
        uv_close((uv_handle_t *)side->poll, free_handle);
        side->poll = NULL;
    }
    if (side->timer != NULL) {
        uv_timer_stop(side->timer);
        uv_close((uv_handle_t *)side->timer, free_handle);
        side->timer = NULL;
    }
}

static void side_free(struct client_side *side)
{
    stop_watching(side);
    http_client_free(side->http); /* takes the connection with it */
    buf_deinit(&side->out);
    buf_deinit(&side->in);
    mem_free(side->url);
    mem_free(side);
}

/* --- transport --- */

static ptrdiff_t side_recv(void *arg, void *bytes, size_t n)
{
    struct client_side *side = arg;
    size_t got = 0;
    CURLcode code = curl_easy_recv(side->easy, bytes, n, &got);
    if (code == CURLE_OK)
        return (ptrdiff_t)got;
    return code == CURLE_AGAIN ? WEBSOCKET_IO_AGAIN : WEBSOCKET_IO_ERROR;
}

static ptrdiff_t side_send(void *arg, const void *bytes, size_t n)
{
    struct client_side *side = arg;
    size_t sent = 0;
    CURLcode code = curl_easy_send(side->easy, bytes, n, &sent);
    if (code == CURLE_OK && sent > 0)
        return (ptrdiff_t)sent;
    return code == CURLE_AGAIN || code == CURLE_OK ? WEBSOCKET_IO_AGAIN : WEBSOCKET_IO_ERROR;
}

static void side_close(void *arg)
{
    side_free(arg);
}

/* --- handshake --- */

static void fail(struct client_side *side, int code, int http_status, str text)
{
    stop_watching(side);
    side->on_open(side->arg, NULL, code, http_status, text);
    side_free(side);
}

static str header_value(str head, str name)
{
    str rest = head;
    while (rest.ptr != NULL) {
        str line = str_split(&rest, '\n');
        size_t colon = str_find_char(line, ':');
        if (colon != STR_NPOS && str_eq_nocase(str_sub(line, 0, colon), name))
            return str_trim(str_from(line, colon + 1));
    }
    return (str){0};
}

/* "HTTP/1.1 101 Switching Protocols" */
static int head_status(str head)
{
    uint64_t status = 0;
    str rest = str_sub(head, 0, str_find_char(head, '\r'));
    str_split(&rest, ' ');
    if (rest.ptr == NULL || !str_to_u64(str_split(&rest, ' '), &status) || status > 999)
        return 0;
    return (int)status;
}

static void open_side(struct client_side *side, str head, str extra)
{
    if (!str_eq(header_value(head, STR("Sec-WebSocket-Accept")), str_c(side->accept))) {
        fail(side, E_INVALID, 101, STR("malformed websocket handshake"));
        return;
    }
    stop_watching(side);
    struct websocket *ws = websocket_new(side->loop, true, &side->ops, side->arg);
    side->on_open(side->arg, ws, 0, 101, STR_EMPTY);
    struct websocket_io io = {side_recv, side_send, side_close, side, side->fd};
    websocket_open(ws, &io, extra);
}

/* Looks at what has come so far; true when the handshake is over, one way or the other. */
static bool read_answer(struct client_side *side, bool is_end)
{
    str all = buf_str(&side->in);
    size_t head_len = str_find(all, STR("\r\n\r\n"));
    if (head_len == STR_NPOS) {
        if (!is_end && side->in.len < ANSWER_BYTES_MAX)
            return false;
        fail(side, E_UNAVAILABLE, 0, STR("the connection was closed during the handshake"));
        return true;
    }
    str head = str_sub(all, 0, head_len), body = str_from(all, head_len + 4);
    int status = head_status(head);
    if (status == 101) {
        open_side(side, head, body);
        return true;
    }
    uint64_t length;
    bool is_whole =
        str_to_u64(header_value(head, STR("Content-Length")), &length) && body.len >= length;
    if (!is_whole && !is_end && side->in.len < ANSWER_BYTES_MAX)
        return false;
    fail(side, E_UNAVAILABLE, status, body);
    return true;
}

static void on_handshake(uv_poll_t *poll, int status, int events)
{
    struct client_side *side = poll->data;
    if (status < 0) {
        fail(side, E_UNAVAILABLE, 0, STR("the connection was lost during the handshake"));
        return;
    }
    while (side->sent < side->out.len) {
        ptrdiff_t n = side_send(side, side->out.ptr + side->sent, side->out.len - side->sent);
        if (n == WEBSOCKET_IO_AGAIN)
            break;
        if (n < 0) {
            fail(side, E_UNAVAILABLE, 0, STR("the connection was lost during the handshake"));
            return;
        }
        side->sent += (size_t)n;
    }
    bool is_end = false;
    while ((events & UV_READABLE) && !is_end && side->in.len < ANSWER_BYTES_MAX) {
        char bytes[4096];
        ptrdiff_t n = side_recv(side, bytes, sizeof bytes);
        if (n == WEBSOCKET_IO_AGAIN)
            break;
        is_end = n <= 0;
        if (n > 0)
            buf_append(&side->in, bytes, (size_t)n);
    }
    if ((events & UV_READABLE) && read_answer(side, is_end))
        return;
    int want = UV_READABLE | (side->sent < side->out.len ? UV_WRITABLE : 0);
    uv_poll_start(side->poll, want, on_handshake);
}

static void on_timeout(uv_timer_t *t)
{
    fail(t->data, E_TIMEOUT, 0, STR("the websocket handshake took too long"));
}

static void on_connect(void *arg, int code, CURL *easy, str text)
{
    struct client_side *side = arg;
    side->easy = easy;
    if (code == 0 && (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &side->fd) != CURLE_OK ||
                      side->fd == CURL_SOCKET_BAD))
        code = E_UNAVAILABLE;
    if (code != 0) {
        fail(side, code, 0, text);
        return;
    }
    side->poll = mem_zalloc(sizeof *side->poll);
    ASSERT(uv_poll_init(loop_uv(side->loop), side->poll, side->fd) == 0);
    side->poll->data = side;
    uv_poll_start(side->poll, UV_WRITABLE, on_handshake);
    side->timer = mem_zalloc(sizeof *side->timer);
    uv_timer_init(loop_uv(side->loop), side->timer);
    side->timer->data = side;
    uv_timer_start(side->timer, on_timeout, HANDSHAKE_TIMEOUT_MS, 0);
}

/* --- request --- */

/* ws becomes http, wss https: libcurl connects to those. */
static char *http_url(str url)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    if (str_has_prefix(url, STR("ws://")) || str_has_prefix(url, STR("wss://"))) {
        buf_append_c(&out, "http");
        url = str_from(url, 2);
    }
    buf_append_str(&out, url);
    char *text = mem_strdup(buf_c(&out));
    buf_deinit(&out);
    return text;
}

static int make_request(struct client_side *side, const char *const *headers,
                        const struct http_client_config *config)
{
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    int code = E_INVALID;
    unsigned char nonce[16];
    char key[32];
    if (curl_url_set(url, CURLUPART_URL, side->url, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
        RAND_bytes(nonce, sizeof nonce) == 1) {
        curl_url_get(url, CURLUPART_PORT, &port, 0);
        curl_url_get(url, CURLUPART_QUERY, &query, 0);
        EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
        websocket_accept_key(str_c(key), side->accept);
        buf_printf(&side->out, "GET %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", path, query ? "?" : "",
                   query ? query : "", host, port ? ":" : "", port ? port : "");
        buf_printf(&side->out,
                   "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: %s\r\n",
                   key);
        if (config->user_agent != NULL)
            buf_printf(&side->out, "User-Agent: %s\r\n", config->user_agent);
        if (config->bearer_token != NULL)
            buf_printf(&side->out, "Authorization: Bearer %s\r\n", config->bearer_token);
        for (size_t i = 0; headers != NULL && headers[i] != NULL; i++)
            buf_printf(&side->out, "%s\r\n", headers[i]);
        buf_append_c(&side->out, "\r\n");
        code = side->out.failed ? E_TOO_LARGE : 0;
    }
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(url);
    return code;
}

static void append_basic_auth(struct client_side *side, const struct http_client_config *config)
{
    if (config->username == NULL || config->username[0] == '\0')
        return;
    struct buf pair;
    buf_init(&pair, 64 * 1024);
    buf_printf(&pair, "%s:%s", config->username, config->password ? config->password : "");
    unsigned char *text = mem_alloc(4 * (pair.len / 3 + 1) + 1);
    EVP_EncodeBlock(text, (const unsigned char *)pair.ptr, (int)pair.len);
    side->out.len -= 2; /* before the empty line */
    buf_printf(&side->out, "Authorization: Basic %s\r\n\r\n", (const char *)text);
    mem_free(text);
    buf_deinit(&pair);
}

static void fail_later(void *arg)
{
    fail(arg, E_INVALID, 0, STR("malformed URL"));
}

void websocket_connect_with(struct loop *l, const struct http_client_config *config, str url,
                            const char *const *headers, open_fn *on_open,
                            const struct websocket_ops *ops, void *arg)
{
    struct client_side *side = mem_zalloc(sizeof *side);
    side->loop = l;
    side->http = http_client_new(l, config);
    side->on_open = on_open;
    side->ops = *ops;
    side->arg = arg;
    side->url = http_url(url);
    buf_init(&side->out, 1 << 20);
    buf_init(&side->in, ANSWER_BYTES_MAX + 4096);
    if (make_request(side, headers, config) != 0) {
        loop_post(l, fail_later, side);
        return;
    }
    append_basic_auth(side, config);
    struct http_call call = {.url = side->url, .timeout_ms = HANDSHAKE_TIMEOUT_MS, .arg = side};
    side->handle = http_client_connect(side->http, &call, on_connect);
}

void websocket_connect(struct loop *l, str url, const char *const *headers, open_fn *on_open,
                       const struct websocket_ops *ops, void *arg)
{
    static const struct http_client_config defaults = {0};
    websocket_connect_with(l, &defaults, url, headers, on_open, ops, arg);
}
