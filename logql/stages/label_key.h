/* logql/stages/label_key.h - names of labels as parsers find them in lines.
 *
 * A key of a line becomes a label name: blanks at the ends go, what may not stand in a name becomes
 * '_', a digit in front gets one.  A key_cache remembers, per run and stage, what the keys of the
 * last lines became. */
#pragma once
#include "logql/stages/labels_builder.h"

/* Appends the name for a key; `is_first`: nothing stands before it, so a digit gets its '_'.
 * A key of blanks gives nothing. */
void label_key_append(struct buf *b, str key, bool is_first);

#define KEY_CACHE_SLOTS 256 /* as many as a byte can number */
#define KEY_CACHE_KEY   40  /* bytes; longer keys are looked up anew each time */
#define KEY_CACHE_ORDER 64  /* keys of a line whose place is remembered */

struct key_slot {
    uint32_t parent;       /* serial of the key of the object around; 0: none */
    uint32_t serial;       /* never given to another key; 0: the slot is free */
    uint32_t id;           /* of the label name (before "_extracted"), or NAME_NONE */
    bool is_prefix_wanted; /* some wanted label may begin with the name */
    uint8_t len;
    char key[KEY_CACHE_KEY];
};

struct key_cache {
    struct key_slot slots[KEY_CACHE_SLOTS];
    struct key_slot spare;          /* for keys too long to remember */
    uint8_t order[KEY_CACHE_ORDER]; /* slot of the n-th key of the last line */
    unsigned nth;
    uint32_t serial; /* the last one given */
    struct buf scratch;
};

struct key_cache *key_cache_new(void);
void key_cache_free(struct key_cache *c);
void key_cache_begin_line(struct key_cache *c);

/* The number of a label name that a line gave; NAME_NONE if the query names the labels it wants and
 * this is none of them, so that lines with ever new names cost no memory. */
uint32_t label_name_id(struct labels_builder *b, str name);

/* What `key` becomes.  `parent` is the serial of the object's key around it, 0 at the top; `prefix`
 * the names of all objects around, joined.  Valid until the next call. */
const struct key_slot *key_cache_find(struct key_cache *c, struct labels_builder *b,
                                      uint32_t parent, str prefix, str key);

/* Appends the name of a key to the joined names of the objects around it; blank keys add nothing.
 */
void label_key_join(struct buf *prefix, str key);

/* What a parser does with a label it found: NAME_NONE if the line has it already or nobody asks
 * for it (or `id` is that), else the number to set, with "_extracted" if the stream has the name.
 */
uint32_t label_key_target(struct labels_builder *b, uint32_t id);
