/* runtime/http_client.h - HTTP client on the loop (libcurl multi): many requests at once. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

struct loop;
struct http_client;

struct http_tls {
    const char *ca_file, *cert_file, *key_file, *server_name, *min_version; /* NULL: default */
    const char *ca_pem, *cert_pem, *key_pem; /* the texts themselves, in place of files */
    bool insecure_skip_verify;
};

/* What stays the same for all requests to one peer.  Strings are copied by http_client_new. */
struct http_client_config {
    struct http_tls tls;
    const char *user_agent;
    const char *proxy_url;
    const char *username, *password; /* basic */
    const char *bearer_token;        /* or */
    const char *bearer_token_file;   /* read anew for each request */
    const char *token_type;          /* NULL: Bearer */
    bool follow_redirects;
    const char *unix_socket; /* connect here, whatever the URL's host is */
    uint64_t timeout_ms;     /* for a whole request; 0: none */
};

struct http_client *http_client_new(struct loop *l, const struct http_client_config *config);
void http_client_free(struct http_client *c); /* cancels what is under way, without callbacks */

struct http_call {
    const char *method; /* "GET" */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    str body;                   /* must live until done */
    uint64_t timeout_ms;        /* overrides the client's; 0: the client's */
    size_t response_bytes_max;  /* 0: 64 MiB */
    /* If set, called with each piece of the body of a 2xx answer as it comes (a Kubernetes watch);
     * false ends the request. */
    bool (*on_data)(void *arg, str piece);
    /* Called once.  code 0: an answer came, whatever its status; else E_* and `text` says why. */
    void (*done)(void *arg, int code, int status, str body_or_text);
    void *arg;
    /* Response header to report, NULL none; given by http_handle_header() in done. */
    const char *want_header;
};

struct http_handle;
/* Starts a request; the loop's thread only.  The handle is valid until done returns. */
struct http_handle *http_client_start(struct http_client *c, const struct http_call *call);
void http_handle_cancel(struct http_handle *h); /* done is not called */
/* From on_data: the piece is taken, but the next is not handed over before http_handle_resume(),
 * and the peer is held up meanwhile. */
void http_handle_pause(struct http_handle *h);
void http_handle_resume(struct http_handle *h); /* from outside of on_data; it may be called anew */
str http_handle_header(const struct http_handle *h);

/* Blocking, for command line programs and tests: returns 0 and the status, or E_* with text. */
int http_client_fetch(const struct http_client_config *config, const struct http_call *call,
                      int *ret_status, struct buf *ret_body, struct error *err);
