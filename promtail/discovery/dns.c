/* dns_sd_configs: names asked for again and again (SRV, A, AAAA, MX, NS).
 *
 * The resolver blocks, for a minute and more if no server answers, so each round has a thread of
 * its own that nobody waits for.  One round under way at a time; a name that cannot be resolved
 * keeps its targets. */
#include <arpa/nameser.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promtail/config/targets.h"
#include "promtail/discovery/discovery.h"
#include "promtail/discovery/dns_answer.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT        "dns"
#define ANSWER_BYTES_MAX 65536

struct dns_provider;

/* One round over all names.  The thread owns it until it posts it to the loop; if the provider was
 * stopped by then, the thread frees it, and the loop may be gone. */
struct dns_round {
    pthread_mutex_t lock;          /* for `provider` */
    struct dns_provider *provider; /* NULL: stopped meanwhile */
    struct loop *loop;
    struct arena arena;
    struct config_strings names; /* copies: the configuration may go before the round ends */
    int type;
    int64_t port;
    struct target_group *groups;
    bool *is_resolved;
};

struct dns_provider {
    struct provider base;
    const struct dns_sd_config *config;
    struct loop *loop;
    struct loop_timer *refresh;
    struct dns_round *round; /* under way, or NULL */
};

static int record_type(int type)
{
    static const int types[] = {[DNS_SRV] = ns_t_srv,
                                [DNS_A] = ns_t_a,
                                [DNS_AAAA] = ns_t_aaaa,
                                [DNS_MX] = ns_t_mx,
                                [DNS_NS] = ns_t_ns};
    return types[type];
}

static void resolve_name(struct dns_round *r, size_t i, struct __res_state *state,
                         unsigned char answer[ANSWER_BYTES_MAX])
{
    int n = res_nsearch(state, r->names.items[i], ns_c_in, record_type(r->type), answer,
                        ANSWER_BYTES_MAX);
    if (n >= 0)
        r->is_resolved[i] =
            dns_group(str_make((const char *)answer, (size_t)MIN(n, ANSWER_BYTES_MAX)),
                      r->names.items[i], r->type, r->port, &r->arena, &r->groups[i]) == 0;
    /* A name that is known not to exist has no targets; a failure says nothing. */
    else if (state->res_h_errno == HOST_NOT_FOUND || state->res_h_errno == NO_DATA)
        r->is_resolved[i] = true;
    r->groups[i].source = str_c(r->names.items[i]);
}

static void free_round(struct dns_round *r)
{
    pthread_mutex_destroy(&r->lock);
    arena_deinit(&r->arena);
    mem_free(r);
}

static void on_resolved(void *arg)
{
    struct dns_round *r = arg;
    pthread_mutex_lock(&r->lock); /* the thread lets go of it last of all */
    struct dns_provider *p = r->provider;
    pthread_mutex_unlock(&r->lock);
    if (p != NULL) {
        p->round = NULL;
        for (size_t i = 0; i < r->names.n; i++) {
            if (r->is_resolved[i])
                p->base.sink.update(p->base.sink.arg, &p->base, &r->groups[i]);
            else
                log_error(COMPONENT, "error refreshing DNS targets",
                          LOG_C("name", r->names.items[i]));
        }
        loop_timer_start(p->refresh, (uint64_t)MAX(p->config->refresh_interval_ns / NS_PER_MS, 100),
                         0);
    }
    free_round(r);
}

static bool is_stopped(struct dns_round *r)
{
    pthread_mutex_lock(&r->lock);
    bool stopped = r->provider == NULL;
    pthread_mutex_unlock(&r->lock);
    return stopped;
}

static void *resolve(void *arg)
{
    struct dns_round *r = arg;
    struct __res_state state = {0};
    unsigned char *answer = mem_alloc(ANSWER_BYTES_MAX);
    if (res_ninit(&state) == 0) {
        for (size_t i = 0; i < r->names.n && !is_stopped(r); i++)
            resolve_name(r, i, &state, answer);
        res_nclose(&state);
    }
    mem_free(answer);
    pthread_mutex_lock(&r->lock); /* so that the provider, and the loop, stay while it posts */
    bool is_wanted = r->provider != NULL;
    if (is_wanted)
        loop_post(r->loop, on_resolved, r);
    pthread_mutex_unlock(&r->lock);
    if (!is_wanted)
        free_round(r);
    return NULL;
}

static void refresh(void *arg)
{
    struct dns_provider *p = arg;
    struct dns_round *r = mem_zalloc(sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    r->provider = p;
    r->loop = p->loop;
    r->type = p->config->type;
    r->port = p->config->port;
    arena_init(&r->arena, SIZE_MAX);
    r->names.n = p->config->names.n;
    r->names.items = ARENA_ARRAY(&r->arena, const char *, r->names.n);
    for (size_t i = 0; i < r->names.n; i++)
        r->names.items[i] = arena_c(&r->arena, str_c(p->config->names.items[i]));
    r->groups = ARENA_ARRAY(&r->arena, struct target_group, r->names.n);
    r->is_resolved = ARENA_ARRAY(&r->arena, bool, r->names.n);
    p->round = r;
    pthread_t thread;
    if (pthread_create(&thread, NULL, resolve, r) == 0)
        pthread_detach(thread);
    else
        on_resolved(r); /* none was: said, and tried again */
}

static void stop(struct provider *base)
{
    struct dns_provider *p = (struct dns_provider *)base;
    if (p->round != NULL) {
        pthread_mutex_lock(&p->round->lock);
        p->round->provider = NULL;
        pthread_mutex_unlock(&p->round->lock);
    }
    loop_timer_free(p->refresh);
    mem_free(p);
}

static int start(struct loop *l, const void *config, const struct discovery_sink *sink,
                 struct provider **ret, struct error *err)
{
    (void)err;
    struct dns_provider *p = mem_zalloc(sizeof *p);
    p->base = (struct provider){.ops = &provider_dns, .sink = *sink};
    p->config = config;
    p->loop = l;
    p->refresh = loop_timer_new(l, refresh, p);
    loop_timer_start(p->refresh, 0, 0);
    *ret = &p->base;
    return 0;
}

const struct provider_ops provider_dns = {.name = "dns", .start = start, .stop = stop};
