/* runtime/http_transfer_internal.h - a call and its client's settings, told to libcurl; for
 * runtime/ alone. */
#pragma once
#include <curl/curl.h>

#include "runtime/http_client.h"

/* What libcurl wants to be kept until the transfer is over. */
struct http_transfer {
    CURL *easy; /* not ours */
    struct curl_slist *headers, *connect_to;
};

/* Sets all of `easy` that depends on the call and the client: where to, what, who, TLS, time.  The
 * texts of `config` and the body of `call` have to live as long.  0; E_INVALID, E_IO with text:
 * then it is not to be started, but is to be deinitialised all the same. */
int http_transfer_init(struct http_transfer *t, CURL *easy, const struct http_client_config *config,
                       const struct http_call *call, struct error *err);
void http_transfer_deinit(struct http_transfer *t);
