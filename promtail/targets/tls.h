/* promtail/targets/tls.h - TLS for a listener: OpenSSL over memory, bytes in and bytes out.
 *
 * The listener reads and writes the socket; this turns what came into plain bytes and says what
 * must be sent.  Loop thread only. */
#pragma once
#include "base/buf.h"
#include "base/status.h"
#include "promtail/config/config.h"

struct tls_server;
struct tls_conn;

/* True if the block asks for TLS. */
bool tls_is_wanted(const struct tls_config *c);
/* Certificate and key are needed; with a CA clients must show a certificate of it. */
int tls_server_new(const struct tls_config *c, struct tls_server **ret, struct error *err);
void tls_server_free(struct tls_server *s);

struct tls_conn *tls_conn_new(struct tls_server *s);
void tls_conn_free(struct tls_conn *c);
/* Takes bytes of the socket; appends plain bytes to `plain` and what is to be sent to `send`.
 * E_EOF: the peer closed; E_IO: a TLS error. */
int tls_conn_feed(struct tls_conn *c, str bytes, struct buf *plain, struct buf *send,
                  struct error *err);
