#include "ingester/label_index.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"
#include "ingester/stream.h"

struct posting {
    VEC(struct stream *) streams; /* a stream is in it once */
};

void label_index_init(struct label_index *x)
{
    strmap_init(&x->postings);
}

static void posting_free(struct posting *p)
{
    VEC_FREE(&p->streams);
    mem_free(p);
}

void label_index_deinit(struct label_index *x)
{
    size_t at = 0;
    void *value;
    while (strmap_next(&x->postings, &at, NULL, &value))
        posting_free(value);
    strmap_deinit(&x->postings);
}

/* The tenant's address, the name, a NUL (which no name has), the value. */
static str posting_key(struct buf *key, const struct tenant *t, str name, str value)
{
    buf_reset(key);
    buf_append(key, &t, sizeof t);
    buf_append_str(key, name);
    buf_append_char(key, '\0');
    buf_append_str(key, value);
    return buf_str(key);
}

void label_index_add(struct label_index *x, const struct tenant *t, struct stream *s)
{
    struct buf key;
    buf_init(&key, BUF_NO_LIMIT);
    for (size_t i = 0; i < s->labels.n; i++) {
        str k = posting_key(&key, t, s->labels.items[i].name, s->labels.items[i].value);
        struct posting *p = strmap_get(&x->postings, k);
        if (p == NULL) {
            p = mem_zalloc(sizeof *p);
            strmap_put(&x->postings, k, p);
        }
        VEC_PUSH(&p->streams, s);
    }
    buf_deinit(&key);
}

void label_index_remove(struct label_index *x, const struct tenant *t, struct stream *s)
{
    struct buf key;
    buf_init(&key, BUF_NO_LIMIT);
    for (size_t i = 0; i < s->labels.n; i++) {
        str k = posting_key(&key, t, s->labels.items[i].name, s->labels.items[i].value);
        struct posting *p = strmap_get(&x->postings, k);
        size_t at = 0;
        while (p->streams.items[at] != s)
            at++;
        p->streams.items[at] = p->streams.items[--p->streams.len];
        if (p->streams.len == 0)
            posting_free(strmap_remove(&x->postings, k));
    }
    buf_deinit(&key);
}

bool label_index_find(const struct label_index *x, const struct tenant *t, const struct matcher *ms,
                      size_t n, struct posting_view *ret)
{
    bool found = false;
    struct buf key;
    buf_init(&key, BUF_NO_LIMIT);
    *ret = (struct posting_view){NULL, SIZE_MAX};
    for (size_t i = 0; i < n && ret->n > 0; i++) {
        if (ms[i].op != MATCH_EQ || ms[i].value.len == 0)
            continue;
        found = true;
        const struct posting *p =
            strmap_get(&x->postings, posting_key(&key, t, ms[i].name, ms[i].value));
        if (p == NULL)
            *ret = (struct posting_view){NULL, 0};
        else if (p->streams.len < ret->n)
            *ret = (struct posting_view){p->streams.items, p->streams.len};
    }
    buf_deinit(&key);
    return found;
}
