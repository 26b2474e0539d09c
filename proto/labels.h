/* proto/labels.h - a set of labels: names and values, sorted by name, each name once, no empty
 * value.
 *
 * Borrowed views: the bytes and the array belong to an arena or to the stream that holds them. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

struct label {
    str name;
    str value;
};

struct labels {
    const struct label *items;
    size_t n;
};

#define LABELS_EMPTY ((struct labels){NULL, 0})

/* Value of `name`; ptr is NULL if there is no such label. */
str labels_get(const struct labels *ls, str name);
bool labels_has(const struct labels *ls, str name);
bool labels_eq(const struct labels *a, const struct labels *b);
/* Order by names and values, as Prometheus' labels.Compare. */
int labels_cmp(const struct labels *a, const struct labels *b);
/* Fingerprint: XXH64 of name 0xFF value 0xFF of each label in order, as Loki's (loki-facts 1.6). */
uint64_t labels_hash(const struct labels *ls);
/* A deep copy in `a`. */
struct labels labels_copy(struct arena *a, const struct labels *ls);
/* Sorts items by name in place; of equal names the first stays; empty values are taken out.
 * Returns the number left. */
size_t labels_normalize(struct label *items, size_t n);
/* `base` with the n labels of `add` set over it (an empty value deletes); result in `a`. */
struct labels labels_with(struct arena *a, const struct labels *base, const struct label *add,
                          size_t n);

/* Prints {a="b", c="d"}: values quoted as Go's %q; {} if empty. */
bool labels_print(const struct labels *ls, struct buf *out);
/* Parses the `{a="b", c="d"}` of a push request.  Result sorted, empty values dropped, bytes in
 * `a`.  E_PARSE with Loki's text (1:3: parse error: ...; the caller prefixes it) or E_CONFLICT if a
 * name comes twice: *ret then holds the set with both. */
int labels_parse(str text, struct arena *a, struct labels *ret, struct error *err);
/* The same without sorting: as written, empty values and repeated names included. */
int labels_parse_items(str text, struct arena *a, struct label **ret, size_t *ret_n,
                       struct error *err);
/* Sorts items by name in place; equal names keep their order. */
void labels_sort_stable(struct label *items, size_t n);
/* Sorts items by name in place (stable), takes out empty values.  Returns the first name that is
 * there twice, ptr NULL if none; repeated ones stay. */
str labels_sort(struct label *items, size_t *n);

/* [a-zA-Z_][a-zA-Z0-9_]* */
bool label_name_is_valid(str name);
/* Prometheus' SanitizeLabelName: what is no ASCII letter or digit is _.  A C string. */
str label_name_sanitize(const char *name, struct arena *a);
