/* links: distributor runtime proto base */
/* A whole push without HTTP: headers chosen by the first byte, then the body.  Whatever comes,
 * there is one answer, and what reaches the sink has labels, times and sorted metadata. */
#include "base/mem.h"
#include "distributor/distributor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_push(struct push_sink *sink, const struct push_batch *batch, push_done *done,
                       void *arg)
{
    (void)sink;
    for (size_t i = 0; i < batch->n_streams; i++) {
        const struct push_stream *s = &batch->streams[i];
        ASSERT(s->labels.n > 0 && s->n_entries > 0);
        ASSERT(s->hash == labels_hash(&s->labels));
        for (size_t k = 0; k < s->n_entries; k++) {
            const struct labels *meta = &s->entries[k].meta;
            ASSERT(labels_has(meta, STR("detected_level")));
            for (size_t m = 1; m < meta->n; m++)
                ASSERT(str_cmp(meta->items[m - 1].name, meta->items[m].name) < 0);
        }
    }
    done(arg, 0, NULL);
}

static void on_answer(void *arg, int http, const struct error *err)
{
    int *answers = arg;
    ASSERT(http == 204 || (http >= 400 && err->text[0] != '\0'));
    ++*answers;
}

static struct distributor *make(void)
{
    static const struct push_sink_ops ops = {check_push};
    static struct push_sink sink = {&ops};
    static struct limits limits;
    static struct arena arena;
    arena_init(&arena, BUF_NO_LIMIT);
    config_defaults(limits_table, &limits, &arena);
    limits.reject_old_samples = false;
    limits.ingestion_rate_mb = limits.ingestion_burst_size_mb = 1e9;
    struct distributor_config config = {.limits = limits_set_new(&limits),
                                        .decompressed_bytes_max = 1 << 20};
    struct distributor *d = distributor_new(&config);
    distributor_add_ingester(d, "fuzz", "", &sink);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"application/json", "application/x-protobuf", "",
                                        "a/b;c=d"};
    static const char *const encodings[] = {"", "gzip", "deflate", "snappy"};
    static struct distributor *d;
    int answers = 0;
    if (d == NULL)
        d = make();
    if (size == 0)
        return 0;
    struct push_input in = {
        .body = str_make((const char *)data + 1, size - 1),
        .content_type = str_c(types[data[0] & 3]),
        .content_encoding = str_c(encodings[data[0] >> 2 & 3]),
        .is_legacy = (data[0] & 16) != 0,
    };
    distributor_push(d, STR("fuzz"), &in, on_answer, &answers);
    ASSERT(answers == 1);
    return 0;
}
