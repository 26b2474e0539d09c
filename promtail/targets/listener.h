/* promtail/targets/listener.h - listens on TCP, TLS, UDP or a unix socket and hands over bytes.
 *
 * Shared by the syslog and the GELF target.  While is_full says yes, nothing is read, so that
 * senders over TCP wait.  Connections and their memory are bounded.  Loop thread only. */
#pragma once
#include "base/status.h"
#include "base/str.h"
#include "promtail/config/targets.h"

struct loop;
struct listener;

enum listener_end { LISTENER_EOF, LISTENER_TIMEOUT, LISTENER_STOPPED };

struct listener_ops {
    /* A connection; what it returns is passed to the next two.  `peer` is its IP address, `host`
     * the name of that ("" if unknown or not asked for); both must be copied. */
    void *(*open)(void *arg, const char *peer, const char *host);
    bool (*data)(void *conn,
                 str bytes); /* false: end the connection, without calling `close` yet */
    void (*close)(void *conn, enum listener_end why); /* exactly once for each open */
    void (*datagram)(void *arg, const char *peer, const char *host, str bytes);
    bool (*is_full)(void *arg);
    void (*quiet)(void *conn); /* NULL, or: nothing more has come for LISTENER_QUIET_MS */
};

#define LISTENER_QUIET_MS 1000

struct listener_config {
    const char *address;          /* host:port, :port, or the path of a unix socket */
    int protocol;                 /* enum syslog_protocol */
    const struct tls_config *tls; /* NULL: none */
    uint64_t idle_timeout_ms;     /* of a connection; 0: none */
    size_t datagram_bytes_max;    /* longer ones are cut */
    bool wants_host;              /* look up the names of peers first */
};

int listener_start(struct loop *l, const struct listener_config *config,
                   const struct listener_ops *ops, void *arg, struct listener **ret,
                   struct error *err);
/* Ends all connections (calling close), frees the listener when libuv lets go. */
void listener_stop(struct listener *l);
/* "tcp 127.0.0.1:514", for the targets page. */
const char *listener_text(const struct listener *l);
