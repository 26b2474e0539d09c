#include "promtail/targets/peer_names.h"

#include <netdb.h>
#include <stdio.h>

#include <uv.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "runtime/loop.h"

#define PEERS_MAX      4096
#define HELD_BYTES_MAX (1u << 20) /* of all peers */

struct peer;

struct lookup {
    uv_getnameinfo_t req;
    struct peer *peer; /* NULL: nobody waits any more */
};

struct peer {
    struct peer_names *names;
    struct lookup *lookup; /* under way, or NULL */
    char ip[INET6_ADDRSTRLEN], host[NI_MAXHOST + 1];
    VEC(struct buf) held;
};

struct peer_names {
    struct loop *loop;
    void (*deliver)(void *arg, const char *ip, const char *host, str bytes);
    void *arg;
    struct strmap peers; /* ip -> struct peer */
    size_t held_bytes;
};

void peer_name_print(const char *host, char *out, size_t size)
{
    str s = str_c(host);
    bool is_whole = str_find_char(s, '.') == STR_NPOS || str_has_suffix(s, STR("."));
    snprintf(out, size, "%s%s", host, is_whole ? "" : ".");
}

static void hand_on(struct peer *p)
{
    struct peer_names *names = p->names;
    for (size_t i = 0; i < p->held.len; i++) {
        struct buf *b = &p->held.items[i];
        names->held_bytes -= b->len;
        names->deliver(names->arg, p->ip, p->host, buf_str(b));
        buf_deinit(b);
    }
    p->held.len = 0;
}

static void on_name(uv_getnameinfo_t *req, int status, const char *host, const char *service)
{
    (void)service;
    struct lookup *l = CONTAINER_OF(req, struct lookup, req);
    struct peer *p = l->peer;
    if (p != NULL) {
        p->lookup = NULL;
        if (status == 0)
            peer_name_print(host, p->host, sizeof p->host);
        hand_on(p);
    }
    mem_free(l); /* `host` is in it */
}

static void free_peer(struct peer *p)
{
    if (p->lookup != NULL) {
        p->lookup->peer = NULL;
        uv_cancel((uv_req_t *)&p->lookup->req); /* its callback comes in any case */
    }
    hand_on(p);
    VEC_FREE(&p->held);
    mem_free(p);
}

static void forget_all(struct peer_names *names)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&names->peers, &at, NULL, &item))
        free_peer(item);
    strmap_deinit(&names->peers);
    strmap_init(&names->peers);
}

static struct peer *add_peer(struct peer_names *names, const struct sockaddr *addr, const char *ip)
{
    if (names->peers.len >= PEERS_MAX)
        forget_all(names);
    struct peer *p = mem_zalloc(sizeof *p);
    p->names = names;
    snprintf(p->ip, sizeof p->ip, "%s", ip);
    strmap_put(&names->peers, str_c(p->ip), p);
    p->lookup = mem_zalloc(sizeof *p->lookup);
    p->lookup->peer = p;
    if (uv_getnameinfo(loop_uv(names->loop), &p->lookup->req, on_name, addr, NI_NAMEREQD) != 0) {
        mem_free(p->lookup);
        p->lookup = NULL;
    }
    return p;
}

void peer_names_take(struct peer_names *names, const struct sockaddr *addr, const char *ip,
                     str bytes)
{
    struct peer *p = strmap_get(&names->peers, str_c(ip));
    if (p == NULL)
        p = add_peer(names, addr, ip);
    if (p->lookup == NULL || names->held_bytes + bytes.len > HELD_BYTES_MAX) {
        hand_on(p);
        names->deliver(names->arg, p->ip, p->host, bytes);
        return;
    }
    struct buf copy;
    buf_init(&copy, BUF_NO_LIMIT);
    buf_append_str(&copy, bytes);
    VEC_PUSH(&p->held, copy);
    names->held_bytes += bytes.len;
}

struct peer_names *
peer_names_new(struct loop *l,
               void (*deliver)(void *arg, const char *ip, const char *host, str bytes), void *arg)
{
    struct peer_names *names = mem_zalloc(sizeof *names);
    names->loop = l;
    names->deliver = deliver;
    names->arg = arg;
    strmap_init(&names->peers);
    return names;
}

void peer_names_free(struct peer_names *names)
{
    if (names == NULL)
        return;
    forget_all(names);
    strmap_deinit(&names->peers);
    mem_free(names);
}
