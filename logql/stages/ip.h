/* logql/stages/ip.h - ip("10.0.0.0/8"): addresses, ranges and networks looked for in text.
 *
 * A filter is immutable: any number of threads may use it. */
#pragma once
#include "base/status.h"
#include "base/str.h"

struct ip_addr {
    bool is_v4;
    bool has_zone;           /* fe80::1%eth0: in patterns only, and equal to no address */
    unsigned char bytes[16]; /* an IPv4 address has 4 */
};

struct ip_filter {
    struct ip_addr from, to; /* inclusive */
    unsigned bits;           /* of a network; only then `to` is not used */
    bool is_network;
};

/* "192.168.0.1", "192.168.0.1-192.168.0.9" (no blanks) or "192.168.0.0/16", IPv6 alike.  Returns 0
 * or E_PARSE: ip: invalid pattern: "x". */
int ip_filter_parse(str pattern, struct ip_filter *ret, struct error *err);

/* True if some address that stands in the text is one of the filter's.  An address with more
 * address-like characters next to it is none. */
bool ip_filter_is_in(const struct ip_filter *f, str text);

/* The whole of the text is an address, as Go's netip.ParseAddr takes it. */
bool ip_addr_parse(str text, struct ip_addr *ret);
