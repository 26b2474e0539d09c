/* links: ingester index chunks runtime proto base */
/* The log: what stands in records, and files of records.  First byte 0: a batch, 1: flush marks,
 * 2: a file, which is replayed. */
#include <stdio.h>

#include "base/mem.h"
#include "ingester/record.h"
#include "ingester/wal.h"
#include "runtime/log.h"
#include "tests/support/temp_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be written, and read again. */
static void try_batch(str payload, struct arena *a)
{
    struct buf plain, again, out;
    buf_init(&plain, 4 << 20);
    buf_init(&again, 4 << 20);
    buf_init(&out, 16 << 20);
    struct push_batch batch, copy;
    str body;
    if (record_get_batch(payload, a, &plain, &batch) == 0 &&
        record_put_batch(&out, &batch, batch.streams, batch.n_streams, true, &body) == 0) {
        ASSERT(body.len == 0);
        ASSERT(record_get_batch(buf_str(&out), a, &again, &copy) == 0);
        ASSERT(copy.n_streams == batch.n_streams && str_eq(copy.tenant, batch.tenant));
        ASSERT(str_eq(copy.source_id, batch.source_id));
        ASSERT(batch.source_id.len == 0 || copy.source_seq == batch.source_seq);
        for (size_t i = 0; i < batch.n_streams; i++) {
            ASSERT(labels_eq(&copy.streams[i].labels, &batch.streams[i].labels));
            ASSERT(copy.streams[i].n_entries == batch.streams[i].n_entries);
            for (size_t k = 0; k < batch.streams[i].n_entries; k++)
                ASSERT(str_eq(copy.streams[i].entries[k].line, batch.streams[i].entries[k].line));
        }
    }
    buf_deinit(&plain);
    buf_deinit(&again);
    buf_deinit(&out);
}

static int on_record(void *arg, uint64_t pos, enum wal_record_type type, str payload)
{
    (void)pos;
    (void)type;
    *(size_t *)arg += payload.len;
    return 0;
}

static void try_file(str bytes)
{
    char dir[TEMP_DIR_MAX];
    char path[2 * TEMP_DIR_MAX];
    log_set_level(LOG_ERROR + 1);
    ASSERT(temp_dir_make(dir));
    snprintf(path, sizeof path, "%s/0000000000000001.wal", dir);
    FILE *f = fopen(path, "wb");
    ASSERT(f != NULL);
    fwrite(bytes.ptr, 1, bytes.len, f);
    fclose(f);
    struct wal_config config = {.dir = dir, .segment_bytes = 1 << 20, .sync_interval_ns = 1000000};
    struct wal *w;
    ASSERT(wal_open(&config, &w, NULL) == 0);
    struct wal_replay_stats first = {0}, second = {0};
    size_t payload = 0;
    ASSERT(wal_replay(w, 0, true, on_record, &payload, &first) == 0);
    ASSERT(payload <= bytes.len);
    ASSERT(wal_replay(w, 0, true, on_record, &payload, &second) == 0);
    /* The cut left whole records only at the end. */
    ASSERT(second.records == first.records && second.torn_bytes == 0);
    wal_replayed_to(w, WAL_POS_NONE);
    wal_truncate(w, WAL_POS_NONE);
    wal_close(w);
    ASSERT(temp_dir_remove(dir));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str bytes = str_make((const char *)data + 1, size - 1);
    struct arena a;
    arena_init(&a, 16 << 20);
    const struct flush_mark *marks;
    size_t n;
    if (data[0] % 3 == 0)
        try_batch(bytes, &a);
    else if (data[0] % 3 == 1)
        record_get_marks(bytes, &a, &marks, &n);
    else
        try_file(bytes);
    arena_deinit(&a);
    return 0;
}
