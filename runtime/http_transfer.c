#include "runtime/http_transfer_internal.h"

#include <stdio.h>

#define TOKEN_BYTES_MAX ((size_t)64 * 1024)
#define KEEPALIVE_S     15

static void set_str(CURL *easy, CURLoption option, const char *value)
{
    if (value != NULL && value[0] != '\0')
        curl_easy_setopt(easy, option, value);
}

/* The text outlives the request. */
static void set_pem(CURL *easy, CURLoption option, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    struct curl_blob blob = {.data = (void *)(uintptr_t)text, .len = strlen(text)};
    curl_easy_setopt(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct http_tls *tls)
{
    set_pem(easy, CURLOPT_CAINFO_BLOB, tls->ca_pem);
    set_pem(easy, CURLOPT_SSLCERT_BLOB, tls->cert_pem);
    set_pem(easy, CURLOPT_SSLKEY_BLOB, tls->key_pem);
    set_str(easy, CURLOPT_CAINFO, tls->ca_file);
    set_str(easy, CURLOPT_SSLCERT, tls->cert_file);
    set_str(easy, CURLOPT_SSLKEY, tls->key_file);
    if (tls->insecure_skip_verify) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    str min = str_c(tls->min_version); /* TLS12, VersionTLS12, 1.2 */
    if (str_has_suffix(min, STR("13")) || str_has_suffix(min, STR("1.3")))
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    else if (str_has_suffix(min, STR("11")) || str_has_suffix(min, STR("1.1")))
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_1);
    else if (str_has_suffix(min, STR("10")) || str_has_suffix(min, STR("1.0")))
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_0);
    else
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

/* tls.server_name: the certificate is checked against that name, and it is sent as SNI, while the
 * connection goes to the URL's host.  libcurl has both from the URL, so the URL gets the name and
 * a connect-to entry leads back to the host; the Host header stays the URL's. */
static int set_server_name(struct http_transfer *t, const char *url_text, const char *server_name)
{
    if (server_name == NULL || server_name[0] == '\0')
        return 0;
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL, *named = NULL;
    int code = E_INVALID;
    if (curl_url_set(url, CURLUPART_URL, url_text, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_HOST, server_name, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &named, 0) == CURLUE_OK) {
        struct buf text;
        buf_init(&text, 4096);
        buf_printf(&text, "%s:%s:%s:%s", server_name, port, host, port);
        t->connect_to = curl_slist_append(NULL, buf_c(&text));
        curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
        curl_easy_setopt(t->easy, CURLOPT_URL, named);
        buf_reset(&text);
        buf_printf(&text, "Host: %s:%s", host, port);
        t->headers = curl_slist_append(t->headers, buf_c(&text));
        buf_deinit(&text);
        code = 0;
    }
    curl_free(host);
    curl_free(port);
    curl_free(named);
    curl_url_cleanup(url);
    return code;
}

/* Files of tokens are rotated by others, so they are read for each request. */
static int read_token(const char *path, struct buf *out, struct error *err)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return error_set(err, E_IO, "unable to read authorization credentials file %s", path);
    buf_init(out, TOKEN_BYTES_MAX);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0 && buf_append(out, piece, n))
        ;
    fclose(f);
    str token = str_trim(buf_str(out));
    memmove(out->ptr, token.ptr, token.len);
    out->len = token.len;
    return 0;
}

static bool has_header(const struct http_call *call, str name)
{
    for (size_t i = 0; call->headers != NULL && call->headers[i] != NULL; i++) {
        str line = str_c(call->headers[i]);
        if (str_eq_nocase(str_sub(line, 0, str_find_char(line, ':')), name))
            return true;
    }
    return false;
}

/* Headers of the call's own stand for what is configured. */
static int set_auth(struct http_transfer *t, const struct http_client_config *c,
                    const struct http_call *call, struct error *err)
{
    if (has_header(call, STR("Authorization")))
        return 0;
    if (c->username != NULL && c->username[0] != '\0') {
        curl_easy_setopt(t->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(t->easy, CURLOPT_USERNAME, c->username);
        curl_easy_setopt(t->easy, CURLOPT_PASSWORD, c->password ? c->password : "");
    }
    struct buf token = {0};
    if (c->bearer_token_file != NULL && c->bearer_token_file[0] != '\0') {
        int code = read_token(c->bearer_token_file, &token, err);
        if (code != 0)
            return code;
    } else if (c->bearer_token != NULL && c->bearer_token[0] != '\0') {
        buf_init(&token, TOKEN_BYTES_MAX);
        buf_append_c(&token, c->bearer_token);
    }
    if (token.len > 0) {
        struct buf header;
        buf_init(&header, TOKEN_BYTES_MAX + 64);
        buf_printf(&header, "Authorization: %s %.*s", c->token_type ? c->token_type : "Bearer",
                   (int)token.len, token.ptr);
        t->headers = curl_slist_append(t->headers, buf_c(&header));
        buf_deinit(&header);
    }
    buf_deinit(&token);
    return 0;
}

static void set_method(CURL *easy, const struct http_call *call)
{
    const char *method = call->method ? call->method : "GET";
    bool has_body = call->body.len > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.len > 0 ? call->body.ptr : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, has_body ? "POST" : "GET") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

/* What every request gets. */
static void set_transport(CURL *easy, const struct http_client_config *c)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A handle let go while its name is asked for: the loop must not wait for the resolver. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    /* A peer that went without a word is found out, though nothing is to be sent to it: a watch
     * waits for minutes. */
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    /* The environment's proxy is not ours to take: only a configured one counts. */
    curl_easy_setopt(easy, CURLOPT_PROXY, c->proxy_url ? c->proxy_url : "");
    set_str(easy, CURLOPT_USERAGENT, c->user_agent);
    set_str(easy, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
    if (c->follow_redirects) {
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
    }
    set_tls(easy, &c->tls);
}

/* After those that set_auth() made. */
static void add_headers(struct http_transfer *t, const struct http_call *call)
{
    for (size_t i = 0; call->headers != NULL && call->headers[i] != NULL; i++)
        t->headers = curl_slist_append(t->headers, call->headers[i]);
    if (!has_header(call, STR("Content-Type"))) /* else libcurl calls every POST a form */
        t->headers = curl_slist_append(t->headers, "Content-Type:");
    /* No waiting for "100 Continue": one round trip for each large push. */
    t->headers = curl_slist_append(t->headers, "Expect:");
}

int http_transfer_init(struct http_transfer *t, CURL *easy, const struct http_client_config *c,
                       const struct http_call *call, struct error *err)
{
    *t = (struct http_transfer){.easy = easy};
    uint64_t timeout_ms = call->timeout_ms ? call->timeout_ms : c->timeout_ms;
    if (timeout_ms > 0)
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    set_transport(easy, c);
    set_method(easy, call);
    int code = set_auth(t, c, call, err);
    add_headers(t, call);
    if (code == 0 && set_server_name(t, call->url, c->tls.server_name) != 0)
        code = error_set(err, E_INVALID, "malformed URL %s", call->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    return code;
}

void http_transfer_deinit(struct http_transfer *t)
{
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
}
