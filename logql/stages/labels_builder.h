/* logql/stages/labels_builder.h - the labels of the line that a pipeline is looking at.
 *
 * A line starts with the labels of its stream; structured metadata is added, stages set (parsed)
 * and drop labels, and at the end the set is read out.  Where names meet, parsed wins over
 * structured metadata and that over the stream; who adds a name that the stream has appends
 * "_extracted" to it first.  Labels are known by the number of their name (names.h).  Values are
 * borrowed: they must live until the next labels_builder_line().
 *
 * The builder also keeps what the parsers need to stop early, as Loki's parser hints do: which
 * labels the query asks for and which of them this line has given already.
 *
 * One owner at a time. */
#pragma once
#include "base/vec.h"
#include "logql/stages/names.h"
#include "proto/labels.h"

#define LABEL_ERROR          STR("__error__")
#define LABEL_ERROR_DETAILS  STR("__error_details__")
#define LABEL_PRESERVE_ERROR STR("__preserve_error__")
#define EXTRACTED_SUFFIX     STR("_extracted")

enum label_origin { FROM_STREAM, FROM_META, FROM_PARSED };

struct label_slot {
    uint32_t line;      /* line in which it was last set or dropped */
    uint32_t stream;    /* stream that has it */
    uint32_t extracted; /* line in which a stage last set it for the first time */
    uint8_t origin;     /* FROM_META or FROM_PARSED, of `value` */
    bool is_live;       /* in `line`: set, not dropped */
    bool is_required;   /* the query asks for it */
    uint32_t suffixed;  /* number of the name + "_extracted"; 0: not looked up yet */
    str value;
    str base; /* the stream's */
};

struct label_view {
    uint32_t id;
    enum label_origin origin;
    str value;
};

struct labels_builder {
    struct names names;
    struct label_slot *slots; /* by number of the name */
    uint32_t n_slots;
    uint32_t line, stream; /* serial numbers of the current ones */
    VEC(uint32_t) base;    /* labels of the stream */
    VEC(uint32_t) touched; /* set or dropped in this line */
    VEC(uint32_t) dropped; /* dropped in this line, whether or not they were there */
    VEC(struct label_view) views;
    bool is_changed; /* something was added or dropped in this line */
    bool is_full;    /* more names than NAMES_MAX: the result is not to be trusted */
    str error, error_details;
    uint32_t id_error, id_error_details, id_preserve_error;
    /* Hints. */
    const str *required;
    uint32_t n_required, n_found;
    bool is_no_labels;      /* nothing a parser could find is asked for */
    bool is_preserve_error; /* the query asks for __error__ */
};

struct parser_hints {
    const str *required; /* distinct; none: every label is wanted */
    size_t n_required;
    bool is_no_labels;
    bool is_preserve_error;
};

/* `hints` and its strings must outlive the builder. */
void labels_builder_init(struct labels_builder *b, const struct parser_hints *hints);
void labels_builder_deinit(struct labels_builder *b);
/* Forgets all names; numbers given out before are void. */
void labels_builder_reset(struct labels_builder *b);

/* The number of a name; on overflow some other number, with is_full set. */
uint32_t labels_builder_id(struct labels_builder *b, str name);

/* The number of name + "_extracted". */
uint32_t labels_builder_suffixed(struct labels_builder *b, uint32_t id);

/* Begins with a stream, with a line of it, adds one of its structured metadata labels. */
void labels_builder_stream(struct labels_builder *b, const struct labels *stream);
void labels_builder_line(struct labels_builder *b);
void labels_builder_add_meta(struct labels_builder *b, uint32_t id, str value);

/* False if there is no such label. */
bool labels_builder_get(const struct labels_builder *b, uint32_t id, str *ret_value);
/* Sets a label as stages do; replaces what was there. */
void labels_builder_set(struct labels_builder *b, uint32_t id, str value);
void labels_builder_drop(struct labels_builder *b, uint32_t id);
/* All labels, the errors included (as parsed), in no special order; valid until the next change.
 */
const struct label_view *labels_builder_list(struct labels_builder *b, size_t *ret_n);

/* Sets __error__ and, unless its ptr is NULL, __error_details__; `error` has static storage. */
void labels_builder_fail(struct labels_builder *b, str error, str details);

static inline bool labels_builder_is_base(const struct labels_builder *b, uint32_t id)
{
    return b->slots[id].stream == b->stream;
}

/* A stage has set the label in this line already: parsers leave it alone. */
static inline bool labels_builder_is_extracted(const struct labels_builder *b, uint32_t id)
{
    return b->slots[id].extracted == b->line;
}

static inline bool labels_builder_is_wanted(const struct labels_builder *b, uint32_t id)
{
    return b->n_required == 0 || b->slots[id].is_required;
}

/* Some wanted label begins with `prefix`. */
bool labels_builder_is_prefix_wanted(const struct labels_builder *b, str prefix);

static inline bool labels_builder_has_all(const struct labels_builder *b)
{
    return b->n_required > 0 && b->n_found == b->n_required;
}

/* A parser has nothing to do. */
static inline bool labels_builder_wants_none(const struct labels_builder *b)
{
    return b->is_no_labels || labels_builder_has_all(b);
}
