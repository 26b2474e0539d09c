#include "promtail/discovery/dns_answer.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>

#include "base/mem.h"

#define RECORDS_MAX 4096

/* A name inside the data of a record, `skip` bytes behind its start, with the dot at its end. */
static bool read_name(const ns_msg *m, const ns_rr *rr, size_t skip, struct arena *a, str *ret)
{
    char name[NS_MAXDNAME];
    if (ns_rr_rdlen(*rr) <= skip ||
        ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(*rr) + skip, name,
                           sizeof name) < 0)
        return false;
    bool has_dot = str_has_suffix(str_c(name), STR("."));
    *ret = arena_printf(a, "%s%s", name, has_dot ? "" : ".");
    return true;
}

static str host_port(struct arena *a, str host, int64_t port)
{
    bool is_v6 = str_find_char(host, ':') != STR_NPOS;
    return arena_printf(a, "%s%.*s%s:%lld", is_v6 ? "[" : "", STR_ARG(host), is_v6 ? "]" : "",
                        (long long)port);
}

static str without_dot(str name)
{
    return str_has_suffix(name, STR(".")) ? str_sub(name, 0, name.len - 1) : name;
}

static bool address_record(const ns_rr *rr, int family, size_t size, int64_t port, struct arena *a,
                           struct label_list *t)
{
    char text[INET6_ADDRSTRLEN];
    if (ns_rr_rdlen(*rr) != size || inet_ntop(family, ns_rr_rdata(*rr), text, sizeof text) == NULL)
        return false;
    label_list_set(t, a, STR("__address__"), host_port(a, str_c(text), port));
    return true;
}

static bool srv_record(const ns_msg *m, const ns_rr *rr, struct arena *a, struct label_list *t)
{
    str host;
    if (!read_name(m, rr, 6, a, &host))
        return false;
    int64_t port = ns_get16(ns_rr_rdata(*rr) + 4);
    label_list_set(t, a, STR("__meta_dns_srv_record_target"), host);
    label_list_set(t, a, STR("__meta_dns_srv_record_port"),
                   arena_printf(a, "%lld", (long long)port));
    label_list_set(t, a, STR("__address__"), host_port(a, without_dot(host), port));
    return true;
}

static bool name_record(const ns_msg *m, const ns_rr *rr, size_t skip, const char *label,
                        int64_t port, struct arena *a, struct label_list *t)
{
    str host;
    if (!read_name(m, rr, skip, a, &host))
        return false;
    label_list_set(t, a, str_c(label), host);
    label_list_set(t, a, STR("__address__"), host_port(a, without_dot(host), port));
    return true;
}

/* False: not a record of the wanted type, or malformed. */
static bool record(const ns_msg *m, const ns_rr *rr, int type, int64_t port, struct arena *a,
                   struct label_list *t)
{
    int got = ns_rr_type(*rr);
    switch (type) {
    case DNS_SRV:
        return got == ns_t_srv && srv_record(m, rr, a, t);
    case DNS_A:
        return got == ns_t_a && address_record(rr, AF_INET, 4, port, a, t);
    case DNS_AAAA:
        return got == ns_t_aaaa && address_record(rr, AF_INET6, 16, port, a, t);
    case DNS_MX:
        return got == ns_t_mx && name_record(m, rr, 2, "__meta_dns_mx_record_target", port, a, t);
    default:
        return got == ns_t_ns && name_record(m, rr, 0, "__meta_dns_ns_record_target", port, a, t);
    }
}

int dns_group(str message, const char *name, int type, int64_t port, struct arena *a,
              struct target_group *ret)
{
    ns_msg m;
    ns_rr rr;
    *ret = (struct target_group){0};
    if (message.len > INT32_MAX ||
        ns_initparse((const unsigned char *)message.ptr, (int)message.len, &m) != 0)
        return E_PARSE;
    int n = MIN(ns_msg_count(m, ns_s_an), RECORDS_MAX);
    ret->targets = ARENA_ARRAY(a, struct label_list, (size_t)MAX(n, 1));
    for (int i = 0; i < n; i++) {
        if (ns_parserr(&m, ns_s_an, i, &rr) != 0)
            return E_PARSE;
        struct label_list *t = &ret->targets[ret->n_targets];
        *t = (struct label_list){0};
        if (!record(&m, &rr, type, port, a, t))
            continue;
        label_list_set(t, a, STR("__meta_dns_name"), str_c(name));
        ret->n_targets++;
    }
    return 0;
}
