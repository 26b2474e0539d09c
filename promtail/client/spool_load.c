/* Reading a spool back after a restart. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/file.h"
#include "base/mem.h"
#include "promtail/client/spool_format.h"
#include "promtail/loss.h"
#include "runtime/log.h"

#define COMPONENT          "client"
#define PATH_BYTES         4096
#define SEGMENT_BYTES_MAX  (1u << 30)
#define GROUP_ID_END       (UINT64_C(1) << 48)
#define ACK_KEY(group, at) ((group) << 16 | (at))

str spool_boot_id(char out[SPOOL_BOOT_ID_MAX])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, SPOOL_BOOT_ID_MAX - 1);
    if (fd >= 0)
        close(fd);
    return str_trim(str_make(out, n > 0 ? (size_t)n : 0));
}

/* --- marks: the twin pair --- */

void spool_put_mark(struct buf *b, const struct source *s, const struct source_mark *mark)
{
    buf_put_lenstr(b, str_c(s->key));
    buf_put_lenstr(b, str_c(s->name));
    buf_put_lenstr(b, str_c(s->yaml_key));
    buf_put_u64(b, s->ident.dev);
    buf_put_u64(b, s->ident.ino);
    buf_put_u64(b, s->ident.head_hash);
    buf_put_u32(b, s->ident.head_bytes);
    buf_put_u8(b, (mark->is_finished ? SPOOL_FINISHED : 0) | (s->start != 0 ? SPOOL_STARTED : 0));
    if (s->start != 0)
        buf_put_varint(b, s->start);
    buf_put_varint(b, mark->pos);
    buf_put_uvarint(b, mark->holes.len);
    for (size_t i = 0; i < mark->holes.len; i++) {
        buf_put_varint(b, mark->holes.items[i].from);
        buf_put_varint(b, mark->holes.items[i].to);
    }
}

struct loaded_mark {
    str key, name, yaml_key;
    struct source_ident ident;
    int64_t start;
    struct source_mark mark;
};

static bool is_c_text(str s)
{
    return str_find_char(s, '\0') == STR_NPOS;
}

static bool get_mark(struct cursor *c, struct loaded_mark *m)
{
    *m = (struct loaded_mark){0};
    m->key = cursor_lenstr(c);
    m->name = cursor_lenstr(c);
    m->yaml_key = cursor_lenstr(c);
    m->ident.dev = cursor_u64(c);
    m->ident.ino = cursor_u64(c);
    m->ident.head_hash = cursor_u64(c);
    m->ident.head_bytes = cursor_u32(c);
    uint8_t flags = cursor_u8(c);
    m->mark.is_finished = (flags & SPOOL_FINISHED) != 0;
    m->start = (flags & SPOOL_STARTED) != 0 ? cursor_varint(c) : 0;
    m->mark.pos = cursor_varint(c);
    uint64_t n = cursor_uvarint(c);
    for (uint64_t i = 0; i < n && cursor_ok(c); i++) {
        int64_t from = cursor_varint(c), to = cursor_varint(c);
        VEC_PUSH(&m->mark.holes, (struct range){from, to});
    }
    if (cursor_ok(c) && m->key.len > 0 && is_c_text(m->key) && is_c_text(m->name) &&
        is_c_text(m->yaml_key) && source_mark_is_sound(&m->mark))
        return true;
    source_mark_deinit(&m->mark);
    return false;
}

/* --- replay --- */

struct replay {
    struct spool *s;
    struct u64map acked; /* ACK_KEY -> anything */
    struct group **last; /* of the groups that are not done */
    struct group *first;
    bool ignore_marks;
    bool is_closed; /* the last record was CLOSE */
    char boot_id[SPOOL_BOOT_ID_MAX];
};

static struct source *apply_mark(struct replay *r, struct loaded_mark *m, bool is_acked)
{
    struct source_registry *sources = r->s->sources;
    size_t client = r->s->client;
    struct source *s = source_open(sources, m->key, m->name, m->yaml_key, m->start);
    s->ident = m->ident;
    source_mark_deinit(&s->queued[client]);
    source_mark_copy(&s->queued[client], &m->mark);
    s->is_finished = source_was_finished(sources, s); /* another client may need more of it */
    if (is_acked) {
        source_mark_deinit(&s->acked[client]);
        source_mark_copy(&s->acked[client], &m->mark);
    } else {
        source_mark_go_back(&s->acked[client], &m->mark); /* reading had begun anew */
    }
    return s;
}

static void read_marks(struct replay *r, struct cursor *c, bool is_acked, struct group *g)
{
    uint64_t n = cursor_uvarint(c);
    for (uint64_t i = 0; i < n; i++) {
        struct loaded_mark m;
        if (!get_mark(c, &m))
            return;
        if (r->ignore_marks) {
            source_mark_deinit(&m.mark);
            continue;
        }
        struct source *s = apply_mark(r, &m, is_acked);
        if (g != NULL) {
            VEC_PUSH(&g->marks, (struct group_mark){s, m.mark});
        } else {
            source_unref(s);
            source_mark_deinit(&m.mark);
        }
    }
}

/* It goes into a header of each push. */
static bool is_id(str s)
{
    size_t n = 0;
    while (n < s.len &&
           ((s.ptr[n] >= '0' && s.ptr[n] <= '9') || (s.ptr[n] >= 'a' && s.ptr[n] <= 'f')))
        n++;
    return n > 0 && n == s.len && n < GROUP_ID_MAX;
}

static void read_head(struct replay *r, struct cursor *c)
{
    struct spool *s = r->s;
    if (cursor_u8(c) != SPOOL_VERSION)
        return;
    str id = cursor_lenstr(c), boot = cursor_lenstr(c);
    if (is_id(id))
        snprintf(s->id, sizeof s->id, "%.*s", STR_ARG(id));
    snprintf(r->boot_id, sizeof r->boot_id, "%.*s", STR_ARG(boot));
    uint64_t next = cursor_uvarint(c);
    if (next < GROUP_ID_END)
        s->next_group = MAX(s->next_group, next);
    uint64_t n = cursor_uvarint(c);
    for (uint64_t i = 0; i < n && cursor_ok(c); i++) {
        str tenant = cursor_lenstr(c);
        spool_set_seq(s, tenant, cursor_uvarint(c));
    }
    read_marks(r, c, r->first == NULL, NULL);
}

static void read_group(struct replay *r, struct cursor *c, uint32_t segment, const char *start)
{
    uint64_t id = cursor_uvarint(c), n = cursor_uvarint(c);
    if (id >= GROUP_ID_END || n > GROUP_BATCHES_MAX)
        return;
    struct group *g = group_new(id);
    for (uint64_t i = 0; i < n && cursor_ok(c); i++) {
        struct group_batch b = {.segment = segment};
        str tenant = cursor_lenstr(c);
        b.seq = cursor_uvarint(c);
        b.n_entries = (size_t)cursor_uvarint(c);
        b.raw_bytes = (size_t)cursor_uvarint(c);
        b.body_bytes = (size_t)cursor_uvarint(c);
        b.offset = (uint64_t)((const char *)c->at - start);
        cursor_bytes(c, b.body_bytes);
        b.is_done = u64map_get(&r->acked, ACK_KEY(g->id, i)) != NULL;
        b.tenant = str_dup_c(tenant);
        spool_set_seq(r->s, tenant, b.seq + 1);
        VEC_PUSH(&g->batches, b);
    }
    g->is_durable = true;
    snprintf(g->source_id, sizeof g->source_id, "%s", r->s->id);
    r->s->next_group = MAX(r->s->next_group, g->id + 1);
    /* Behind one that waits its marks do not count yet, even if it is done or has no batches. */
    bool is_over = !cursor_ok(c) || (r->first == NULL && group_is_done(g));
    read_marks(r, c, is_over && cursor_ok(c), is_over ? NULL : g);
    if (is_over) {
        group_free(g);
        return;
    }
    if (r->first == NULL)
        r->first = g;
    *r->last = g;
    r->last = &g->next;
    for (size_t i = 0; i < r->s->segments.len && g->batches.len > 0; i++)
        if (r->s->segments.items[i].number == segment)
            r->s->segments.items[i].n_open++;
}

static void read_ack(struct replay *r, struct cursor *c)
{
    uint64_t group = cursor_uvarint(c), batch = cursor_uvarint(c);
    if (cursor_ok(c) && batch < GROUP_BATCHES_MAX)
        u64map_put(&r->acked, ACK_KEY(group, batch), r);
}

static void report_damage(const struct replay *r, uint32_t number, size_t offset, size_t bytes)
{
    log_warn(COMPONENT, "the journal is damaged, what it held from there on is read again",
             LOG_C("folder", r->s->dir), LOG_I("segment", number), LOG_I("offset", offset),
             LOG_I("bytes", bytes));
    loss_count_damage(bytes);
}

/* One pass over the records of a segment; what comes after a torn or broken one is not used. */
static void read_segment(struct replay *r, uint32_t number, str bytes, bool acks_only)
{
    struct cursor c = cursor_make(bytes);
    while (cursor_left(&c) > 0) {
        size_t left = cursor_left(&c);
        uint32_t length = cursor_u32(&c), crc = cursor_u32(&c);
        str payload = cursor_bytes(&c, length);
        if (!cursor_ok(&c) || crc32c(0, payload) != crc) {
            if (!acks_only)
                report_damage(r, number, bytes.len - left, left);
            return;
        }
        struct cursor p = cursor_make(payload);
        uint8_t kind = cursor_u8(&p);
        if (kind == SPOOL_ACK && acks_only)
            read_ack(r, &p);
        if (acks_only)
            continue;
        r->is_closed = kind == SPOOL_CLOSE;
        if (kind == SPOOL_HEAD)
            read_head(r, &p);
        else if (kind == SPOOL_GROUP)
            read_group(r, &p, number, bytes.ptr);
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct spool_segment *)a)->number;
    uint32_t y = ((const struct spool_segment *)b)->number;
    return (x > y) - (x < y);
}

static void list_segments(struct spool *s)
{
    DIR *d = opendir(s->dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        str name = str_c(e->d_name);
        uint64_t number;
        if (str_has_suffix(name, STR(".seg")) &&
            str_to_u64(str_sub(name, 0, name.len - 4), &number) && number < UINT32_MAX)
            VEC_PUSH(&s->segments, (struct spool_segment){.number = (uint32_t)number});
    }
    if (d != NULL)
        closedir(d);
    if (s->segments.len > 0)
        qsort(s->segments.items, s->segments.len, sizeof *s->segments.items, by_number);
}

static int each_segment(struct replay *r, bool acks_only, struct error *err)
{
    for (size_t i = 0; i < r->s->segments.len; i++) {
        char path[PATH_BYTES];
        struct buf b;
        snprintf(path, sizeof path, "%s/%08u.seg", r->s->dir, r->s->segments.items[i].number);
        buf_init(&b, SEGMENT_BYTES_MAX);
        int rc = file_read(path, &b, err);
        if (rc == 0)
            read_segment(r, r->s->segments.items[i].number, buf_str(&b), acks_only);
        buf_deinit(&b);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int spool_load(struct spool *s, bool ignore_marks, struct group **ret_groups, struct error *err)
{
    struct replay r = {.s = s, .ignore_marks = ignore_marks, .is_closed = true};
    r.last = &r.first;
    u64map_init(&r.acked);
    list_segments(s);
    int rc = each_segment(&r, true, err);
    if (rc == 0)
        rc = each_segment(&r, false, err);
    u64map_deinit(&r.acked);
    char boot[SPOOL_BOOT_ID_MAX];
    if (!r.is_closed && !str_eq(spool_boot_id(boot), str_c(r.boot_id)))
        spool_new_id(s);
    *ret_groups = r.first;
    return rc;
}
