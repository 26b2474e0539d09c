/* promtail/config/check.h - what Prometheus' HTTP client settings must fulfil; for this folder and
 * what starts from its structs. */
#pragma once
#include "promtail/config/config.h"
#include "runtime/http_client.h"

/* A text and its file for one thing, a certificate without its key, an unknown version. */
int tls_config_check(const struct tls_config *c, struct error *err);
/* Reads what it names: E_IO or E_PARSE if there is no certificate or key in it. */
int tls_config_try(const struct tls_config *c, struct error *err);
/* The same settings for an HTTP client; views. */
struct http_tls tls_config_http(const struct tls_config *c);
/* More than one way to authenticate, half of one; tls_config_check() too. */
int http_config_check(const struct http_config *c, struct error *err);
