#include "promtail/targets/kafka_topics.h"

#include <stdlib.h>

#include <librdkafka/rdkafka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/regex.h"
#include "base/vec.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/workers.h"

#define COMPONENT      "kafka"
#define REFRESH_MS     30000
#define RETRY_MS       2000 /* while the cluster does not answer */
#define ASK_MS         3000 /* how long a worker waits, and a stop with it */
#define LOG_BYTES_MAX  4096
#define PATTERN_PREFIX '^'

struct names {
    char **items;
    size_t len, cap;
};

struct kafka_topics {
    const struct config_strings *wanted;
    struct regex **patterns; /* [wanted->n]; NULL for a plain name */
    struct workers *workers;
    rd_kafka_t *rk;
    struct loop_timer *timer;
    struct names names; /* as last told, sorted */
    bool is_told, is_asking;
    /* Of the worker while is_asking. */
    struct names found;
    rd_kafka_resp_err_t code;
    void (*on_found)(void *arg, char *const *names, size_t n);
    void *arg;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

static void names_clear(struct names *n)
{
    for (size_t i = 0; i < n->len; i++)
        mem_free(n->items[i]);
    n->len = 0;
}

static void names_deinit(struct names *n)
{
    names_clear(n);
    mem_free(n->items);
    *n = (struct names){0};
}

static bool names_eq(const struct names *a, const struct names *b)
{
    bool is_same = a->len == b->len;
    for (size_t i = 0; is_same && i < a->len; i++)
        is_same = strcmp(a->items[i], b->items[i]) == 0;
    return is_same;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* --- asking --- */

static bool is_wanted(const struct kafka_topics *t, str topic)
{
    for (size_t i = 0; i < t->wanted->n; i++)
        if (t->patterns[i] != NULL ? regex_is_match(t->patterns[i], topic)
                                   : str_eq_c(topic, t->wanted->items[i]))
            return true;
    return false;
}

static void ask(void *arg)
{
    struct kafka_topics *t = arg;
    const struct rd_kafka_metadata *all = NULL;
    t->code = rd_kafka_metadata(t->rk, 1, NULL, &all, ASK_MS);
    if (t->code != 0)
        return;
    for (int i = 0; i < all->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &all->topics[i];
        /* One just made has no leader yet, but is there. */
        bool is_there = topic->err == 0 || topic->err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        if (is_there && is_wanted(t, str_c(topic->topic)))
            VEC_PUSH(&t->found, mem_strdup(topic->topic));
    }
    rd_kafka_metadata_destroy(all);
    if (t->found.len > 0)
        qsort(t->found.items, t->found.len, sizeof *t->found.items, by_name);
}

static void tell(struct kafka_topics *t)
{
    struct names old = t->names;
    struct buf text;
    t->names = t->found;
    t->found = (struct names){0};
    t->is_told = true;
    buf_init(&text, LOG_BYTES_MAX);
    for (size_t i = 0; i < t->names.len; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", t->names.items[i]);
    log_info(COMPONENT, "new topics received", LOG_S("topics", buf_str(&text)));
    buf_deinit(&text);
    t->on_found(t->arg, t->names.items, t->names.len);
    names_deinit(&old);
}

static void on_answer(void *arg)
{
    struct kafka_topics *t = arg;
    t->is_asking = false;
    if (t->stopped != NULL) {
        t->stopped(t->stopped_arg);
        return;
    }
    if (t->code != 0)
        log_warn(COMPONENT, "failed to fetch topics", LOG_C("err", rd_kafka_err2str(t->code)));
    else if (!t->is_told || !names_eq(&t->names, &t->found))
        tell(t);
    names_clear(&t->found);
    loop_timer_start(t->timer, t->code != 0 ? RETRY_MS : REFRESH_MS, 0);
}

static void on_timer(void *arg)
{
    struct kafka_topics *t = arg;
    t->is_asking = workers_submit(t->workers, ask, on_answer, t) == 0;
    if (!t->is_asking)
        loop_timer_start(t->timer, RETRY_MS, 0);
}

/* --- life --- */

int kafka_topics_new(const struct config_strings *wanted, struct kafka_topics **ret,
                     struct error *err)
{
    struct kafka_topics *t = mem_zalloc(sizeof *t);
    int rc = 0;
    t->wanted = wanted;
    t->patterns = mem_array(wanted->n, sizeof(struct regex *));
    for (size_t i = 0; rc == 0 && i < wanted->n; i++) {
        if (wanted->items[i][0] == '\0')
            rc = error_set(err, E_INVALID, "error creating topic manager: invalid empty topic");
        else if (wanted->items[i][0] == PATTERN_PREFIX) {
            rc = regex_compile(str_c(wanted->items[i]), 0, &t->patterns[i], err);
            if (rc != 0)
                error_prefix(err, "error creating topic manager: invalid topic pattern: ");
        }
    }
    if (rc != 0)
        kafka_topics_free(t);
    else
        *ret = t;
    return rc;
}

void kafka_topics_start(struct kafka_topics *t, struct loop *l, struct workers *w, rd_kafka_t *rk,
                        void (*found)(void *arg, char *const *names, size_t n), void *arg)
{
    t->workers = w;
    t->rk = rk;
    t->on_found = found;
    t->arg = arg;
    t->timer = loop_timer_new(l, on_timer, t);
    on_timer(t);
}

void kafka_topics_stop(struct kafka_topics *t, void (*stopped)(void *arg), void *arg)
{
    loop_timer_stop(t->timer);
    t->stopped = stopped;
    t->stopped_arg = arg;
    if (!t->is_asking)
        stopped(arg);
}

void kafka_topics_free(struct kafka_topics *t)
{
    if (t == NULL)
        return;
    loop_timer_free(t->timer);
    names_deinit(&t->names);
    names_deinit(&t->found);
    for (size_t i = 0; i < t->wanted->n; i++)
        regex_free(t->patterns[i]);
    mem_free(t->patterns);
    mem_free(t);
}
