/* links: promtail */
/* GELF datagrams: chunks put together, inflated, read and printed. */
#include "base/mem.h"
#include "promtail/targets/gelf_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(str bytes)
{
    struct arena a;
    struct gelf_message m;
    struct buf out;
    arena_init(&a, SIZE_MAX);
    buf_init(&out, 512u << 20);
    if (gelf_message_read(bytes, &a, &m, NULL) == 0) {
        gelf_message_print(&m, &out);
        struct gelf_message again;
        ASSERT(gelf_message_read(buf_str(&out), &a, &again, NULL) == 0);
        /* Names that are not UTF-8 may become one. */
        ASSERT(again.n_extra <= m.n_extra && again.level == m.level);
    }
    buf_deinit(&out);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gelf_chunks chunks;
    struct buf whole;
    gelf_chunks_init(&chunks);
    /* Datagrams are cut at 0xff 0xff. */
    str rest = str_make((const char *)data, size);
    for (int64_t now = 0; rest.len > 0; now += GELF_CHUNK_TIMEOUT_NS / 8) {
        size_t end = str_find(rest, STR("\xff\xff"));
        str datagram = str_sub(rest, 0, end);
        rest = end == STR_NPOS ? STR_EMPTY : str_from(rest, end + 2);
        buf_init(&whole, 1u << 24);
        if (!gelf_is_chunk(datagram))
            take(datagram);
        else if (gelf_chunks_add(&chunks, datagram, now, &whole, NULL) == 0)
            take(buf_str(&whole));
        buf_deinit(&whole);
        gelf_chunks_expire(&chunks, now);
        ASSERT(chunks.bytes <= GELF_PENDING_BYTES_MAX);
    }
    gelf_chunks_deinit(&chunks);
    return 0;
}
