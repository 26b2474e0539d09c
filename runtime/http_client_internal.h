/* runtime/http_client_internal.h - connections made by libcurl (TLS, proxy) for other protocols;
 * for runtime/ alone. */
#pragma once
#include <curl/curl.h>

#include "runtime/http_client.h"

/* code 0: `easy` is connected; curl_easy_send, curl_easy_recv and CURLINFO_ACTIVESOCKET work until
 * the handle is cancelled, which its owner does in the end, whatever came. */
typedef void http_connect_fn(void *arg, int code, CURL *easy, str text);

/* Connects to the host of call->url; of the call only url, timeout_ms and arg count. */
struct http_handle *http_client_connect(struct http_client *c, const struct http_call *call,
                                        http_connect_fn *on_connect);
