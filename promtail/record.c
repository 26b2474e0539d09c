#include "promtail/record.h"

#include "base/gofmt.h"
#include "base/hash.h"
#include "base/mem.h"

#define LIST_ROOM 8 /* labels most records have room for without growing again */

/* Grows an arena array of `size`-byte items; the old one stays in the arena. */
static void *grow(struct arena *a, void *items, size_t n, size_t *cap, size_t size)
{
    *cap = *cap == 0 ? LIST_ROOM : *cap * 2;
    void *grown = arena_alloc(a, *cap * size);
    if (n > 0)
        memcpy(grown, items, n * size);
    return grown;
}

void record_init(struct record *r, struct arena *a, const struct label_list *labels)
{
    *r = (struct record){.arena = a};
    r->labels = *labels;
    r->labels.cap = labels->n + LIST_ROOM;
    r->labels.items = arena_alloc(a, r->labels.cap * sizeof *labels->items);
    if (labels->n > 0)
        memcpy(r->labels.items, labels->items, labels->n * sizeof *labels->items);
}

void label_list_copy(struct label_list *to, struct arena *a, const struct label_list *from)
{
    *to = (struct label_list){0};
    for (size_t i = 0; i < from->n; i++)
        label_list_add(to, a, arena_str(a, from->items[i].name),
                       arena_str(a, from->items[i].value));
}

void record_copy(struct record *to, struct arena *a, const struct record *from)
{
    *to = (struct record){
        .arena = a, .ts_ns = from->ts_ns, .ts_offset_s = from->ts_offset_s, .origin = from->origin};
    to->line = arena_str(a, from->line);
    label_list_copy(&to->labels, a, &from->labels);
    label_list_copy(&to->meta, a, &from->meta);
    for (size_t i = 0; i < from->extracted.n; i++) {
        struct value v = from->extracted.items[i].value;
        if (v.kind == VALUE_STR)
            v.s = arena_str(a, v.s);
        extracted_set(to, arena_str(a, from->extracted.items[i].key), v);
    }
}

/* --- labels --- */

static struct label *find_label(const struct label_list *l, str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->items[i].name, name))
            return &l->items[i];
    return NULL;
}

struct label_stem *label_list_make_stem(struct label_list *l)
{
    l->stem = mem_zalloc(sizeof *l->stem);
    l->stem->refs = 1;
    l->n_stem = l->n;
    return l->stem;
}

struct label_stem *label_stem_hold(struct label_stem *stem)
{
    if (stem != NULL)
        stem->refs++;
    return stem;
}

void label_stem_release(struct label_stem *stem)
{
    if (stem != NULL && --stem->refs == 0)
        mem_free(stem);
}

/* One of the labels is about to be another. */
static void leave_stem(struct label_list *l, const struct label *changed)
{
    if (changed < l->items + l->n_stem)
        l->stem = NULL;
}

str label_list_get(const struct label_list *l, str name)
{
    const struct label *found = find_label(l, name);
    return found != NULL ? found->value : (str){NULL, 0};
}

uint64_t label_list_hash_of(str name, str value)
{
    return hash_xxh64(value, hash_xxh64(name, 0));
}

static void add_hashed(struct label_list *l, struct arena *a, str name, str value, uint64_t hash)
{
    if (l->n == l->cap)
        l->items = grow(a, l->items, l->n, &l->cap, sizeof *l->items);
    l->items[l->n++] = (struct label){name, value};
    l->hash += hash;
}

void label_list_add(struct label_list *l, struct arena *a, str name, str value)
{
    add_hashed(l, a, name, value, label_list_hash_of(name, value));
}

void label_list_set_hashed(struct label_list *l, struct arena *a, str name, str value,
                           uint64_t hash)
{
    struct label *found = find_label(l, name);
    if (found == NULL) {
        add_hashed(l, a, name, value, hash);
        return;
    }
    l->hash += hash - label_list_hash_of(found->name, found->value);
    found->value = value;
    leave_stem(l, found);
}

void label_list_set(struct label_list *l, struct arena *a, str name, str value)
{
    label_list_set_hashed(l, a, name, value, label_list_hash_of(name, value));
}

bool label_list_remove(struct label_list *l, str name)
{
    struct label *found = find_label(l, name);
    if (found == NULL)
        return false;
    l->hash -= label_list_hash_of(found->name, found->value);
    leave_stem(l, found);
    size_t after = l->n - (size_t)(found - l->items) - 1;
    memmove(found, found + 1, after * sizeof *found);
    l->n--;
    return true;
}

void label_list_rehash(struct label_list *l)
{
    l->stem = NULL;
    l->hash = 0;
    for (size_t i = 0; i < l->n; i++)
        l->hash += label_list_hash_of(l->items[i].name, l->items[i].value);
}

bool label_list_eq(const struct label_list *a, const struct label_list *b)
{
    if (a->n != b->n || a->hash != b->hash)
        return false;
    size_t i = a->stem != NULL && a->stem == b->stem ? a->n_stem : 0;
    for (; i < a->n; i++) {
        const struct label *l = &a->items[i];
        /* Mostly both are in the same order. */
        if (str_eq(l->name, b->items[i].name) && str_eq(l->value, b->items[i].value))
            continue;
        str other = label_list_get(b, l->name);
        if (other.ptr == NULL || !str_eq(other, l->value))
            return false;
    }
    return true;
}

/* Insertion sort: lists are short and mostly in order. */
void label_list_sort(struct label_list *l)
{
    l->stem = NULL;
    for (size_t i = 1; i < l->n; i++) {
        struct label moving = l->items[i];
        size_t j = i;
        for (; j > 0 && str_cmp(l->items[j - 1].name, moving.name) > 0; j--)
            l->items[j] = l->items[j - 1];
        l->items[j] = moving;
    }
}

/* --- extracted --- */

static struct extracted_item *find_extracted(const struct record *r, str key)
{
    for (size_t i = 0; i < r->extracted.n; i++)
        if (str_eq(r->extracted.items[i].key, key))
            return &r->extracted.items[i];
    return NULL;
}

const struct value *extracted_get(const struct record *r, str key)
{
    const struct extracted_item *found = find_extracted(r, key);
    return found != NULL ? &found->value : NULL;
}

void extracted_set(struct record *r, str key, struct value v)
{
    struct extracted_item *found = find_extracted(r, key);
    struct extracted *e = &r->extracted;
    if (found != NULL) {
        found->value = v;
        return;
    }
    if (e->n == e->cap)
        e->items = grow(r->arena, e->items, e->n, &e->cap, sizeof *e->items);
    e->items[e->n++] = (struct extracted_item){key, v};
}

bool extracted_remove(struct record *r, str key)
{
    struct extracted_item *found = find_extracted(r, key);
    if (found == NULL)
        return false;
    *found = r->extracted.items[--r->extracted.n];
    return true;
}

void extracted_add_labels(struct record *r)
{
    struct extracted *e = &r->extracted;
    if (e->n == 0 && e->cap < r->labels.n) { /* the pipeline's start: nothing to look for */
        e->cap = r->labels.n + LIST_ROOM;
        e->items = arena_alloc(r->arena, e->cap * sizeof *e->items);
    }
    if (e->n == 0) {
        for (size_t i = 0; i < r->labels.n; i++)
            e->items[e->n++] =
                (struct extracted_item){r->labels.items[i].name, VALUE_S(r->labels.items[i].value)};
        return;
    }
    for (size_t i = 0; i < r->labels.n; i++)
        extracted_set(r, r->labels.items[i].name, VALUE_S(r->labels.items[i].value));
}

/* --- values --- */

bool value_text(const struct value *v, struct arena *a, str *ret)
{
    switch (v->kind) {
    case VALUE_NULL:
        return false;
    case VALUE_STR:
        *ret = v->s;
        return true;
    case VALUE_BOOL:
        *ret = v->is_true ? STR("true") : STR("false");
        return true;
    case VALUE_NUM: {
        struct buf b;
        buf_init(&b, 2048);
        gofmt_float(&b, v->num, 'f', -1);
        *ret = arena_str(a, buf_str(&b));
        buf_deinit(&b);
        return true;
    }
    }
    return false;
}

bool value_number(const struct value *v, double *ret)
{
    if (v->kind == VALUE_NUM) {
        *ret = v->num;
        return true;
    }
    return v->kind == VALUE_STR && goparse_float(v->s, ret) == 0;
}
