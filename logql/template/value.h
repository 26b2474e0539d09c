/* logql/template/value.h - what a template computes with: Go's dynamic values, small and by value.
 *
 * Strings, lists and maps lie in the arena of the execution (or in what the caller handed in); a
 * value is valid as long as they are. */
#pragma once
#include "base/arena.h"
#include "base/gotime.h"
#include "base/status.h"
#include "base/str.h"

enum tval_type {
    TVAL_NIL, /* also: no value at all */
    TVAL_BOOL,
    TVAL_INT,
    TVAL_INT64,
    TVAL_INT32, /* rune */
    TVAL_UINT8, /* byte */
    TVAL_UINT32,
    TVAL_DURATION,
    TVAL_MONTH,
    TVAL_WEEKDAY,
    TVAL_FLOAT,
    TVAL_STRING,
    TVAL_TIME,
    TVAL_LIST, /* struct tlist */
    TVAL_MAP,  /* struct tmap */
    TVAL_ROOT, /* the labels of the line: read through the template's context */
};

struct tval {
    enum tval_type type;
    bool boxed; /* an interface {} just taken out of a map or list; the end of a pipeline unboxes */
    union {
        bool b;
        int64_t i; /* every integer type */
        double f;
        str s;
        const struct gotime *t;
        struct tlist *list;
        struct tmap *map;
    };
};

struct tlist {
    struct tval *items;
    size_t len;
    const char *type_name; /* []string, []interface {} */
};

/* Keys are sorted and unique. */
struct tmap {
    str *keys;
    struct tval *values;
    size_t len, cap;
    const char *type_name; /* map[string]interface {} */
};

#define TLIST_ANY     "[]interface {}"
#define TLIST_STRINGS "[]string"
#define TLIST_INTS    "[]int"
#define TMAP_ANY      "map[string]interface {}"
#define TMAP_STRINGS  "map[string]string"
#define TMAP_VERSION  "*semver.Version" /* prints as its String */

static inline struct tval tval_nil(void)
{
    return (struct tval){.type = TVAL_NIL};
}

static inline struct tval tval_bool(bool b)
{
    return (struct tval){.type = TVAL_BOOL, .b = b};
}

static inline struct tval tval_int(int64_t i)
{
    return (struct tval){.type = TVAL_INT, .i = i};
}

static inline struct tval tval_int64(int64_t i)
{
    return (struct tval){.type = TVAL_INT64, .i = i};
}

static inline struct tval tval_float(double f)
{
    return (struct tval){.type = TVAL_FLOAT, .f = f};
}

static inline struct tval tval_str(str s)
{
    return (struct tval){.type = TVAL_STRING, .s = s};
}

static inline bool tval_is_int(const struct tval *v)
{
    return v->type >= TVAL_INT && v->type <= TVAL_WEEKDAY;
}

/* Go's name of the type: string, int64, time.Time, map[string]interface {}. */
const char *tval_type_name(const struct tval *v);
/* reflect's kind: time.Duration is int64, time.Time is struct, every map is map. */
const char *tval_kind_name(const struct tval *v);
/* What if, and, or call true: not zero, not empty.  A root counts as true if it has labels, which
 * the caller has to find out. */
bool tval_truth(const struct tval *v);
/* True for a list or map of interface {}: what is taken out of it is boxed. */
bool tval_holds_any(const struct tval *v);

/* The value of a key, NULL if absent. */
const struct tval *tmap_get(const struct tmap *m, str key);
/* Adds or replaces, keeping the order.  False when the arena is at its limit. */
bool tmap_put(struct tmap *m, struct arena *a, str key, struct tval value);
/* Removes a key that may be absent. */
void tmap_remove(struct tmap *m, str key);
/* Empty ones; NULL at the limit of the arena. */
struct tmap *tmap_new(struct arena *a, const char *type_name);
struct tlist *tlist_new(struct arena *a, size_t len, const char *type_name);
