/* logql/stages/names.h - label names as small numbers, so that setting and finding a label of a
 * line is an array access.
 *
 * One table per run (one owner at a time).  Numbers are dense from 0 and stay until the table is
 * emptied. */
#pragma once
#include "base/arena.h"
#include "base/str.h"

#define NAMES_MAX (1u << 20) /* a query that meets more label names is refused */
#define NAME_NONE UINT32_MAX

struct name_slot;

struct names {
    struct name_slot *slots;
    uint32_t cap, n;
    str *texts;       /* [n] */
    uint64_t *hashes; /* [n] */
    uint32_t texts_cap;
    struct arena arena;
};

void names_init(struct names *t);
void names_deinit(struct names *t);
void names_reset(struct names *t); /* empty again, keeps the tables */

/* The number of a name, given one if it is new; NAME_NONE when the table is full. */
uint32_t names_id(struct names *t, str name);
/* NAME_NONE if the name has no number. */
uint32_t names_find(const struct names *t, str name);

static inline str names_text(const struct names *t, uint32_t id)
{
    return t->texts[id];
}

/* A quick hash for tables that live as long as a query; not stable across versions. */
uint64_t names_hash(str s);
