#include "promtail/source.h"

#include "base/clock.h"
#include "base/mem.h"

#define KEPT_FINISHED  8
#define KEPT_OVER_NS   (3600 * NS_PER_S) /* of names of which nothing is left */
#define KEPT_NAMES_MAX 10000             /* then those go at once */

void source_registry_init(struct source_registry *r, size_t n_clients)
{
    *r = (struct source_registry){.n_clients = n_clients};
    strmap_init(&r->by_key);
    strmap_init(&r->by_name);
}

static void source_free(const struct source_registry *r, struct source *s)
{
    for (size_t i = 0; i < r->n_clients; i++) {
        source_mark_deinit(&s->queued[i]);
        source_mark_deinit(&s->acked[i]);
    }
    mem_free(s->queued);
    mem_free(s->acked);
    VEC_FREE(&s->held);
    mem_free(s->key);
    mem_free(s->name);
    mem_free(s->yaml_key);
    mem_free(s);
}

void source_registry_deinit(struct source_registry *r)
{
    size_t at = 0;
    void *s;
    while (strmap_next(&r->by_key, &at, NULL, &s))
        source_free(r, s);
    strmap_deinit(&r->by_key);
    strmap_deinit(&r->by_name);
}

static void remove_named(struct source_registry *r, struct source *s)
{
    str name = str_c(s->name);
    struct source *first = strmap_get(&r->by_name, name);
    if (first != s) {
        while (first->next_named != s)
            first = first->next_named;
        first->next_named = s->next_named;
    } else if (s->next_named != NULL) {
        strmap_put(&r->by_name, name, s->next_named);
    } else {
        strmap_remove(&r->by_name, name);
    }
}

static int64_t mark_lowest(const struct source_mark *m)
{
    return m->holes.len > 0 ? MIN(m->holes.items[0].from, m->pos) : m->pos;
}

struct source_list source_registry_list(const struct source_registry *r)
{
    struct source_list list = {0};
    size_t at = 0;
    void *first;
    while (strmap_next(&r->by_name, &at, NULL, &first)) {
        size_t begin = list.len;
        for (struct source *s = first; s != NULL; s = s->next_named) /* newest first */
            VEC_PUSH(&list, s);
        for (size_t i = begin, j = list.len; i + 1 < j; i++) {
            struct source *s = list.items[--j];
            list.items[j] = list.items[i];
            list.items[i] = s;
        }
    }
    return list;
}

/* Nothing refers to it, and every peer has what there was. */
static bool is_settled(const struct source_registry *r, const struct source *s)
{
    bool is_settled = s->refs == 0 && s->is_finished;
    for (size_t i = 0; i < r->n_clients && is_settled; i++)
        is_settled = s->acked[i].is_finished && s->acked[i].pos >= s->queued[i].pos;
    return is_settled;
}

/* How long the sources of a name are kept when they are done; `first` is the newest.  Only files
 * can be told by their texts. */
static int64_t kept_ns(const struct source_registry *r, const struct source *first)
{
    for (const struct source *s = first; s != NULL; s = s->next_named)
        if (!s->is_finished)
            return INT64_MAX;
    bool is_file = first->ident.ino != 0;
    return is_file && r->by_name.len <= KEPT_NAMES_MAX ? KEPT_OVER_NS : 0;
}

static void list_gone(const struct source_registry *r, struct source *first, int64_t now_ns,
                      struct source_list *gone)
{
    int64_t kept = kept_ns(r, first);
    size_t n = 0;
    for (struct source *s = first; s != NULL; s = s->next_named, n++) {
        if (!is_settled(r, s))
            continue;
        if (s->settled_mono_ns == 0)
            s->settled_mono_ns = now_ns;
        if (n >= KEPT_FINISHED || now_ns - s->settled_mono_ns >= kept)
            VEC_PUSH(gone, s);
    }
}

void source_registry_sweep(struct source_registry *r)
{
    struct source_list gone = {0};
    size_t at = 0;
    void *first;
    int64_t now_ns = clock_mono_ns();
    while (strmap_next(&r->by_name, &at, NULL, &first))
        list_gone(r, first, now_ns, &gone);
    for (size_t i = 0; i < gone.len; i++) {
        strmap_remove(&r->by_key, str_c(gone.items[i]->key));
        remove_named(r, gone.items[i]);
        source_free(r, gone.items[i]);
    }
    VEC_FREE(&gone);
}

static void join(struct source_registry *r, struct source *s, const bool *is_new)
{
    int64_t lowest = INT64_MAX;
    bool is_known = false, is_finished = true;
    for (size_t i = 0; i < r->n_clients; i++) {
        if (is_new[i])
            continue;
        is_known = true;
        is_finished &= s->queued[i].is_finished;
        lowest = MIN(lowest, mark_lowest(&s->queued[i]));
    }
    for (size_t i = 0; i < r->n_clients && is_known; i++) {
        if (!is_new[i])
            continue;
        s->queued[i].pos = s->acked[i].pos = lowest;
        s->queued[i].is_finished = s->acked[i].is_finished = is_finished;
    }
    s->is_finished = source_was_finished(r, s);
}

void source_registry_join(struct source_registry *r, const bool *is_new)
{
    size_t at = 0;
    void *s;
    while (strmap_next(&r->by_key, &at, NULL, &s))
        join(r, s, is_new);
}

struct source *source_open(struct source_registry *r, str key, str name, str yaml_key,
                           int64_t start)
{
    struct source *s = strmap_get(&r->by_key, key);
    if (s == NULL) {
        s = mem_zalloc(sizeof *s);
        s->key = str_dup_c(key);
        s->name = str_dup_c(name);
        s->yaml_key = yaml_key.len > 0 ? str_dup_c(yaml_key) : NULL;
        s->queued = mem_array(r->n_clients, sizeof *s->queued);
        s->acked = mem_array(r->n_clients, sizeof *s->acked);
        s->start = start;
        source_restart(r, s, start);
        strmap_put(&r->by_key, key, s);
        s->next_named = strmap_put(&r->by_name, name, s);
    }
    s->refs++;
    return s;
}

struct source *source_find(const struct source_registry *r, str key)
{
    return strmap_get(&r->by_key, key);
}

struct source *source_first_named(const struct source_registry *r, str name)
{
    return strmap_get(&r->by_name, name);
}

struct source *source_ref(struct source *s)
{
    s->refs++;
    return s;
}

void source_unref(struct source *s)
{
    ASSERT(s->refs > 0);
    s->refs--;
}

void source_restart(struct source_registry *r, struct source *s, int64_t pos)
{
    s->read_to = pos;
    s->held.len = 0;
    for (size_t i = 0; i < r->n_clients; i++) {
        s->queued[i].pos = s->acked[i].pos = pos;
        s->queued[i].holes.len = s->acked[i].holes.len = 0;
        s->queued[i].is_finished = s->acked[i].is_finished = false;
    }
}

void source_advance(struct source *s, int64_t read_to)
{
    if (read_to > s->read_to)
        s->read_to = read_to;
}

void source_hold(struct source *s, int64_t from, int64_t to, const void *owner)
{
    VEC_PUSH(&s->held, (struct held_range){{from, to}, owner});
}

void source_release(struct source *s, const void *owner)
{
    size_t n = 0;
    for (size_t i = 0; i < s->held.len; i++)
        if (s->held.items[i].owner != owner)
            s->held.items[n++] = s->held.items[i];
    s->held.len = n;
}

/* --- marks --- */

void source_mark_copy(struct source_mark *to, const struct source_mark *from)
{
    *to = (struct source_mark){.pos = from->pos, .is_told = true, .is_finished = from->is_finished};
    for (size_t i = 0; i < from->holes.len; i++)
        VEC_PUSH(&to->holes, from->holes.items[i]);
}

void source_mark_deinit(struct source_mark *m)
{
    VEC_FREE(&m->holes);
}

static bool mark_wants(const struct source_mark *m, int64_t from)
{
    if (from >= m->pos)
        return true;
    for (size_t i = 0; i < m->holes.len; i++)
        if (from >= m->holes.items[i].from && from < m->holes.items[i].to)
            return true;
    return false;
}

bool source_mark_is_sound(const struct source_mark *m)
{
    int64_t end = INT64_MIN;
    for (size_t i = 0; i < m->holes.len; i++) {
        if (m->holes.items[i].from < end || m->holes.items[i].from > m->holes.items[i].to)
            return false;
        end = m->holes.items[i].to;
    }
    return true;
}

void source_mark_go_back(struct source_mark *m, const struct source_mark *to)
{
    int64_t lowest = mark_lowest(to);
    if (mark_lowest(m) <= lowest)
        return;
    m->pos = lowest;
    m->holes.len = 0;
}

static bool mark_eq(const struct source_mark *a, const struct source_mark *b)
{
    return a->pos == b->pos && a->is_finished == b->is_finished && a->holes.len == b->holes.len &&
           (a->holes.len == 0 ||
            memcmp(a->holes.items, b->holes.items, a->holes.len * sizeof *a->holes.items) == 0);
}

/* Keeps the holes sorted; one that touches its neighbour becomes one with it. */
static void mark_add_hole(struct source_mark *m, struct range hole)
{
    size_t at = m->holes.len;
    VEC_PUSH(&m->holes, hole);
    struct range *h = m->holes.items;
    for (; at > 0 && h[at - 1].from > hole.from; at--)
        h[at] = h[at - 1];
    h[at] = hole;
    size_t n = 0;
    for (size_t i = 1; i < m->holes.len; i++) {
        if (h[i].from <= h[n].to)
            h[n].to = MAX(h[n].to, h[i].to);
        else
            h[++n] = h[i];
    }
    m->holes.len = n + 1;
}

int64_t source_resume(const struct source_registry *r, const struct source *s)
{
    int64_t lowest = r->n_clients == 0 ? s->read_to : INT64_MAX;
    for (size_t i = 0; i < r->n_clients; i++)
        lowest = MIN(lowest, mark_lowest(&s->queued[i]));
    return lowest;
}

bool source_wants(const struct source *s, size_t client, int64_t from)
{
    return mark_wants(&s->queued[client], from);
}

bool source_has_news(const struct source *s, size_t client)
{
    const struct source_mark *m = &s->queued[client];
    bool is_end = s->is_finished && s->held.len == 0;
    return s->read_to > m->pos || !m->is_told || (is_end && !m->is_finished);
}

bool source_was_finished(const struct source_registry *r, const struct source *s)
{
    bool is_finished = r->n_clients > 0;
    for (size_t i = 0; i < r->n_clients; i++)
        is_finished &= s->queued[i].is_finished;
    return is_finished;
}

bool source_mark_queued(struct source *s, size_t client)
{
    struct source_mark *old = &s->queued[client];
    if (s->held.len == 0 && old->holes.len == 0) { /* nearly always */
        bool is_news = source_has_news(s, client);
        old->pos = MAX(old->pos, s->read_to);
        old->is_told = true;
        old->is_finished = s->is_finished;
        return is_news;
    }
    struct source_mark now = {.pos = MAX(old->pos, s->read_to),
                              .is_told = true,
                              .is_finished = s->is_finished && s->held.len == 0};
    /* While reading again after a restart: what lies ahead stays as it was, if it is to be read. */
    for (size_t i = 0; i < old->holes.len && !s->is_finished; i++)
        if (old->holes.items[i].to > s->read_to)
            mark_add_hole(&now, (struct range){MAX(old->holes.items[i].from, s->read_to),
                                               old->holes.items[i].to});
    for (size_t i = 0; i < s->held.len; i++)
        if (mark_wants(old, s->held.items[i].range.from))
            mark_add_hole(&now, s->held.items[i].range);
    bool is_changed = !mark_eq(old, &now) || !old->is_told;
    source_mark_deinit(old);
    *old = now;
    return is_changed;
}

int64_t source_acked(const struct source_registry *r, const struct source *s)
{
    int64_t lowest = r->n_clients == 0 ? s->read_to : INT64_MAX;
    for (size_t i = 0; i < r->n_clients; i++)
        lowest = MIN(lowest, mark_lowest(&s->acked[i]));
    return lowest;
}

void source_mark_acked(const struct source_registry *r, struct source *s, size_t client,
                       struct source_mark *mark)
{
    int64_t before = source_acked(r, s);
    source_mark_deinit(&s->acked[client]);
    s->acked[client] = *mark;
    *mark = (struct source_mark){0};
    int64_t after = source_acked(r, s);
    if (s->on_acked != NULL && after > before)
        s->on_acked(s->arg, after);
}
