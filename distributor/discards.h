/* distributor/discards.h - what was refused and why: the counts of one push, its error text, and
 * the metrics loge_discarded_samples_total and loge_discarded_bytes_total{reason,tenant}. */
#pragma once
#include "base/arena.h"
#include "base/status.h"

/* name, the `reason` label that Loki's alerts look for */
#define DISCARD_MAP(XX)                                                                            \
    XX(DISCARD_RATE_LIMITED, "rate_limited")                                                       \
    XX(DISCARD_LINE_TOO_LONG, "line_too_long")                                                     \
    XX(DISCARD_MISSING_LABELS, "missing_labels")                                                   \
    XX(DISCARD_INVALID_LABELS, "invalid_labels")                                                   \
    XX(DISCARD_TOO_OLD, "greater_than_max_sample_age")                                             \
    XX(DISCARD_TOO_NEW, "too_far_in_future")                                                       \
    XX(DISCARD_LABEL_NAMES, "max_label_names_per_series")                                          \
    XX(DISCARD_NAME_TOO_LONG, "label_name_too_long")                                               \
    XX(DISCARD_VALUE_TOO_LONG, "label_value_too_long")                                             \
    XX(DISCARD_DUPLICATE_NAMES, "duplicate_label_names")                                           \
    XX(DISCARD_META_DISALLOWED, "disallowed_structured_metadata")                                  \
    XX(DISCARD_META_TOO_LARGE, "structured_metadata_too_large")                                    \
    XX(DISCARD_META_TOO_MANY, "structured_metadata_too_many")                                      \
    XX(DISCARD_BODY_TOO_LARGE, "request_body_too_large")

enum discard_reason {
#define XX(name, text) name,
    DISCARD_MAP(XX)
#undef XX
        DISCARD_COUNT
};

/* Distinct texts that one answer lists; what comes beyond is counted only. */
#define DISCARD_TEXTS_MAX 10

/* Counts of one push; zeroed to begin with. */
struct discards {
    uint64_t samples[DISCARD_COUNT], bytes[DISCARD_COUNT];
    struct {
        str text;
        uint64_t times;
    } texts[DISCARD_TEXTS_MAX];
    size_t n_texts;
    uint64_t more; /* errors whose text is not among them */
};

void discard(struct discards *d, enum discard_reason reason, uint64_t samples, uint64_t bytes);
/* Notes a text for the answer; kept in `a`. */
void discard_text(struct discards *d, struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* True if something was refused; then the texts joined are set as an E_INVALID error. */
bool discards_error(const struct discards *d, struct error *err);
/* Adds the counts to the metrics of the tenant. */
void discards_count(const struct discards *d, str tenant);
