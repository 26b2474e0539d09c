/* promtail/targets/peer_names.h - the names of those who send datagrams.
 *
 * The first datagram of an address waits, with those behind it, until the name of the address was
 * looked up; then it is known.  Addresses and what waits are bounded: past that, datagrams are
 * handed on without a name.  Loop thread only. */
#pragma once
#include <sys/socket.h>

#include "base/str.h"

struct loop;
struct peer_names;

/* `deliver` gets each datagram, those of one address in order; host is "" if it has no name. */
struct peer_names *
peer_names_new(struct loop *l,
               void (*deliver)(void *arg, const char *ip, const char *host, str bytes), void *arg);
/* Hands on what waits, without names. */
void peer_names_free(struct peer_names *names);
/* addr: of `ip`; copied. */
void peer_names_take(struct peer_names *names, const struct sockaddr *addr, const char *ip,
                     str bytes);
/* As Go gives a name: one of several parts ends with the dot of the root. */
void peer_name_print(const char *host, char *out, size_t size);
