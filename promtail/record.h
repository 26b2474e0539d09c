/* promtail/record.h - one log line on its way from a target through stages to the clients.
 *
 * A record is made by a target for each line, goes through the pipeline of its job by plain calls
 * on the loop's thread, and ends in the batches of the clients.  All its strings are views: of the
 * target's read buffer, of the record's arena, or of what outlives the job.  Nothing of a record
 * may be kept after `process` or `put` returned: keep record_copy() instead. */
#pragma once
#include "base/arena.h"
#include "proto/labels.h"

struct source;

/* A value a stage has extracted.  Objects and arrays of JSON are kept as their JSON text. */
enum value_kind { VALUE_NULL, VALUE_STR, VALUE_NUM, VALUE_BOOL };

struct value {
    enum value_kind kind;
    bool is_true;
    double num;
    str s;
};

#define VALUE_S(text)    ((struct value){.kind = VALUE_STR, .s = (text)})
#define VALUE_N(number)  ((struct value){.kind = VALUE_NUM, .num = (number)})
#define VALUE_B(boolean) ((struct value){.kind = VALUE_BOOL, .is_true = (boolean)})
#define VALUE_NIL        ((struct value){.kind = VALUE_NULL})

/* Stands for labels that many records begin with (those of a file): lists with the same stem need
 * not be compared as far as it goes.  Lives as long as somebody holds it, so that its address says
 * which labels are meant. */
struct label_stem {
    unsigned refs;
};

/* Labels in the order they were set; few, so searched one by one.  Names are unique unless
 * label_list_add() was used.  `hash` is of the set, whatever its order, and kept up to date by the
 * functions below, as is the stem; who writes items directly calls label_list_rehash(). */
struct label_list {
    struct label *items;
    size_t n, cap;
    uint64_t hash;
    struct label_stem *stem; /* of the first n_stem items, or NULL; not held by the list */
    size_t n_stem;
};

struct extracted_item {
    str key;
    struct value value;
};

/* The extracted map, in the order of first setting. */
struct extracted {
    struct extracted_item *items;
    size_t n, cap;
};

/* Which bytes of which source the record is made of: [from, to).  The unit is the source's own
 * (bytes of a file, lines of a compressed one, offsets of a partition).  source is NULL where
 * nothing can be read again (a network socket). */
struct origin {
    struct source *source;
    int64_t from, to;
};

struct record {
    struct arena *arena; /* for what stages make; emptied after the record is done */
    int64_t ts_ns;
    int32_t ts_offset_s; /* of the zone the time was written in: only a dry run shows it */
    str line;
    struct label_list labels; /* may hold internal ones, __tenant_id__ for instance */
    struct label_list meta;   /* structured metadata */
    struct extracted extracted;
    struct origin origin;
};

/* Where records go: the next room on the way (pipeline, limits, clients). */
struct record_sink {
    void (*put)(struct record_sink *sink, struct record *r);
    /* True while no more should be read; records put nevertheless are taken (a bounded few). */
    bool (*is_full)(struct record_sink *sink);
};

static inline void record_sink_put(struct record_sink *sink, struct record *r)
{
    sink->put(sink, r);
}

static inline bool record_sink_is_full(struct record_sink *sink)
{
    return sink->is_full != NULL && sink->is_full(sink);
}

/* An empty record whose labels start as a copy (of the views) of `labels`. */
void record_init(struct record *r, struct arena *a, const struct label_list *labels);
/* A deep copy whose strings live in `a`, which becomes the copy's arena. */
void record_copy(struct record *to, struct arena *a, const struct record *from);

/* Value of a label; ptr NULL if absent. */
str label_list_get(const struct label_list *l, str name);
/* Sets or replaces (an empty value stays as such, as Promtail's label maps do); views are kept. */
void label_list_set(struct label_list *l, struct arena *a, str name, str value);
/* The same with label_list_hash_of(name, value) known. */
void label_list_set_hashed(struct label_list *l, struct arena *a, str name, str value,
                           uint64_t hash);
uint64_t label_list_hash_of(str name, str value);
/* Appends without looking: structured metadata may hold a name twice. */
void label_list_add(struct label_list *l, struct arena *a, str name, str value);
bool label_list_remove(struct label_list *l, str name); /* keeps the order of the others */
void label_list_sort(struct label_list *l);             /* by name, stable */
void label_list_rehash(struct label_list *l);
/* Makes a stem of all labels there are; the caller releases it before the strings go. */
struct label_stem *label_list_make_stem(struct label_list *l);
struct label_stem *label_stem_hold(struct label_stem *stem); /* NULL allowed */
void label_stem_release(struct label_stem *stem);            /* NULL allowed */
/* The copy has no stem: it may outlive it. */
void label_list_copy(struct label_list *to, struct arena *a, const struct label_list *from);
bool label_list_eq(const struct label_list *a, const struct label_list *b); /* in any order */

const struct value *extracted_get(const struct record *r, str key); /* NULL if absent */
void extracted_set(struct record *r, str key, struct value v);
bool extracted_remove(struct record *r, str key);
/* Copies the labels into the extracted map: at the pipeline's start and in each match stage. */
void extracted_add_labels(struct record *r);

/* The value as Promtail's stages print it: numbers as Go's 'f' -1, booleans true and false.  False
 * for null.  Bytes in `a` or the value's own. */
bool value_text(const struct value *v, struct arena *a, str *ret);
/* The value as a number: numbers, numeric strings, booleans are refused.  False if it is none. */
bool value_number(const struct value *v, double *ret);
