/* links: promtail logql proto runtime base */
/* The journal of a client, read back.  The first byte picks how the rest becomes segments: as it
 * stands, or in records that are framed here (u8 segment, u16 length, payload), so that what is in
 * them is reached.  What was read is read the same again, and nothing is left when all is done. */
#include <stdio.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/mem.h"
#include "promtail/client/queue.h"
#include "runtime/log.h"
#include "tests/support/temp_dir.h"

#define SEGMENTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_segment(const char *dir, int number, str bytes)
{
    char path[2 * TEMP_DIR_MAX];
    snprintf(path, sizeof path, "%s/%08d.seg", dir, number);
    FILE *f = fopen(path, "wb");
    ASSERT(f != NULL && fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len);
    fclose(f);
}

static void write_framed(const char *dir, str bytes)
{
    struct buf segments[SEGMENTS];
    struct cursor c = cursor_make(bytes);
    for (int i = 0; i < SEGMENTS; i++)
        buf_init(&segments[i], 1 << 20);
    while (cursor_left(&c) > 3) {
        struct buf *b = &segments[cursor_u8(&c) % SEGMENTS];
        size_t length = cursor_u16(&c);
        str payload = cursor_bytes(&c, MIN(length, cursor_left(&c)));
        buf_put_u32(b, (uint32_t)payload.len);
        buf_put_u32(b, crc32c(0, payload));
        buf_append_str(b, payload);
    }
    for (int i = 0; i < SEGMENTS; i++) {
        if (segments[i].len > 0)
            write_segment(dir, i + 1, buf_str(&segments[i]));
        buf_deinit(&segments[i]);
    }
}

struct session {
    struct queue queue;
    struct source_registry sources;
};

static void start(struct session *s, const char *dir, bool ignore_marks)
{
    struct error err = {0};
    source_registry_init(&s->sources, 1);
    ASSERT(queue_open(&s->queue, dir, 0, &s->sources, ignore_marks, &err) == 0);
    ASSERT(queue_begin(&s->queue, &err) == 0);
}

static void stop(struct session *s)
{
    queue_close(&s->queue);
    source_registry_deinit(&s->sources);
}

/* Of everything that must survive a restart. */
static uint64_t digest(struct session *s)
{
    uint64_t sum = hash_xxh64(str_c(s->queue.spool.id), s->queue.spool.next_group);
    for (struct group *g = s->queue.first; g != NULL; g = g->next) {
        for (size_t i = 0; i < g->batches.len; i++) {
            struct group_batch *b = &g->batches.items[i];
            struct buf body;
            buf_init(&body, BUF_NO_LIMIT);
            ASSERT(spool_read_body(&s->queue.spool, b, &body) == 0);
            ASSERT(body.len == b->body_bytes);
            sum = hash_xxh64(str_c(b->tenant), sum + b->seq);
            sum = hash_xxh64(buf_str(&body), sum + b->is_done);
            buf_deinit(&body);
        }
    }
    size_t at = 0;
    void *item;
    uint64_t marks = 0; /* the map has no order */
    while (strmap_next(&s->sources.by_key, &at, NULL, &item)) {
        struct source *source = item;
        int64_t where = source_resume(&s->sources, source);
        /* Not in the digest: it is lower the second time if a segment without a head, which nobody
         * writes, was all that kept a group. */
        ASSERT(source_acked(&s->sources, source) <= where);
        marks += hash_xxh64(str_make((const char *)&where, sizeof where),
                            hash_xxh64(str_c(source->key), 0));
    }
    return sum + marks;
}

/* Another group, and then all of them are sent. */
static void drain(struct session *s)
{
    struct error err = {0};
    struct group *g = queue_new_group(&s->queue);
    struct group_batch b = {.tenant = mem_strdup("t"), .n_entries = 1, .body_bytes = 4};
    b.seq = spool_next_seq(&s->queue.spool, STR("t"));
    buf_init(&b.body, BUF_NO_LIMIT);
    buf_append_c(&b.body, "body");
    VEC_PUSH(&g->batches, b);
    ASSERT(queue_put(&s->queue, g, &err) == 0);
    struct group *of;
    while (queue_next(&s->queue, &of) != NULL) {
        ASSERT(queue_load_next(&s->queue) == 0);
        queue_next_done(&s->queue);
    }
    ASSERT(s->queue.queued_bytes == 0 && s->queue.memory_bytes == 0);
    source_registry_sweep(&s->sources);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[TEMP_DIR_MAX];
    struct session s;
    if (size == 0)
        return 0;
    log_set_level(LOG_ERROR + 1);
    ASSERT(temp_dir_make(dir));
    str bytes = str_make((const char *)data + 1, size - 1);
    if (data[0] % 2 == 0)
        write_framed(dir, bytes);
    else
        write_segment(dir, 1, bytes);
    start(&s, dir, data[0] & 2);
    uint64_t before = digest(&s);
    stop(&s);
    start(&s, dir, false);
    uint64_t after = digest(&s);
    ASSERT((data[0] & 2) || before == after);
    drain(&s);
    stop(&s);
    start(&s, dir, false);
    ASSERT(s.queue.first == NULL);
    stop(&s);
    ASSERT(temp_dir_remove(dir));
    return 0;
}
