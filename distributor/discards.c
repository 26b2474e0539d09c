#include "distributor/discards.h"

#include <stdio.h>

#include "base/mem.h"
#include "runtime/metrics.h"

static const char *const reasons[] = {
#define XX(name, text) text,
    DISCARD_MAP(XX)
#undef XX
};

void discard(struct discards *d, enum discard_reason reason, uint64_t samples, uint64_t bytes)
{
    d->samples[reason] += samples;
    d->bytes[reason] += bytes;
}

void discard_text(struct discards *d, struct arena *a, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    str s = str_make(text, n < 0 ? 0 : MIN((size_t)n, sizeof text - 1));
    for (size_t i = 0; i < d->n_texts; i++)
        if (str_eq(d->texts[i].text, s)) {
            d->texts[i].times++;
            return;
        }
    if (d->n_texts == DISCARD_TEXTS_MAX) {
        d->more++;
        return;
    }
    d->texts[d->n_texts].text = arena_str(a, s);
    d->texts[d->n_texts++].times = 1;
}

bool discards_error(const struct discards *d, struct error *err)
{
    struct buf b;
    if (d->n_texts == 0)
        return false;
    buf_init(&b, ERROR_TEXT_MAX * DISCARD_TEXTS_MAX + 4096);
    for (size_t i = 0; i < d->n_texts; i++) {
        if (i > 0)
            buf_append_c(&b, "; ");
        if (d->texts[i].times > 1)
            buf_printf(&b, "%llu errors like: ", (unsigned long long)d->texts[i].times);
        buf_append_str(&b, d->texts[i].text);
    }
    if (d->more > 0)
        buf_printf(&b, "; %llu more errors", (unsigned long long)d->more);
    error_set(err, E_INVALID, "%s", buf_c(&b));
    buf_deinit(&b);
    return true;
}

static struct metric_family *family(const char *name, const char *alias, const char *help)
{
    static const char *const labels[] = {"reason", "tenant", NULL};
    struct metric_family *f = metric_family(name, METRIC_COUNTER, help, labels, NULL);
    metric_alias(f, alias);
    return f;
}

void discards_count(const struct discards *d, str tenant)
{
    struct metric_family *samples =
        family("loge_discarded_samples_total", "loki_discarded_samples_total",
               "The total number of samples that were discarded.");
    struct metric_family *bytes = family("loge_discarded_bytes_total", "loki_discarded_bytes_total",
                                         "The total number of bytes that were discarded.");
    for (size_t i = 0; i < DISCARD_COUNT; i++) {
        if (d->samples[i] == 0)
            continue;
        metric_add(metric_with2(samples, str_c(reasons[i]), tenant), (double)d->samples[i]);
        metric_add(metric_with2(bytes, str_c(reasons[i]), tenant), (double)d->bytes[i]);
    }
}
