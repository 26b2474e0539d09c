/* links: base proto */
/* Push protobuf: never crashes, and what was read, written again, reads the same. */
#include "base/mem.h"
#include "proto/push_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct push_request r, again;
    struct buf b;
    arena_init(&a, 1 << 20);
    buf_init(&b, 4 << 20);
    if (push_proto_read(str_make((const char *)data, size), &a, &r, NULL) == 0) {
        for (size_t i = 0; i < r.n_streams; i++) {
            struct push_request_stream *s = &r.streams[i];
            size_t before = b.len,
                   n = push_proto_stream_size(s->labels_text, s->entries, s->n_entries);
            if (!push_proto_write_stream(&b, s->labels_text, s->entries, s->n_entries))
                goto out;
            ASSERT(b.len - before == n);
        }
        int code = push_proto_read(buf_str(&b), &a, &again, NULL);
        ASSERT(code == 0 || code == E_LIMIT);
        if (code != 0)
            goto out;
        ASSERT(again.n_streams == r.n_streams);
        for (size_t i = 0; i < r.n_streams; i++) {
            ASSERT(again.streams[i].n_entries == r.streams[i].n_entries);
            for (size_t k = 0; k < r.streams[i].n_entries; k++) {
                ASSERT(again.streams[i].entries[k].ts_ns == r.streams[i].entries[k].ts_ns);
                ASSERT(str_eq(again.streams[i].entries[k].line, r.streams[i].entries[k].line));
            }
        }
    }
out:
    buf_deinit(&b);
    arena_deinit(&a);
    return 0;
}
