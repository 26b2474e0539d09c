/* promtail/relabel.h - Prometheus' relabel rules over a label list. */
#pragma once
#include "base/regex.h"
#include "promtail/record.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

struct relabel_rule {
    enum relabel_action action;
    str *source_labels;
    size_t n_source_labels;
    bool has_source_labels; /* an empty list counts as one */
    str separator;          /* default ; */
    struct regex *re;       /* anchored, dot matches newline; NULL: (.*) */
    uint64_t modulus;
    str target_label;
    str replacement;       /* default $1 */
    bool regex_is_default; /* none was given */
};

struct relabel_rules {
    struct relabel_rule *items;
    size_t n;
};

/* The defaults: replace, ";", "$1"; a regex that is NULL is (.*). */
void relabel_rule_init(struct relabel_rule *rule);
/* Names in any case; false if there is no such action. */
bool relabel_action_parse(str name, enum relabel_action *ret);
/* Checks one rule as Prometheus does (its texts). */
int relabel_rule_check(const struct relabel_rule *rule, struct error *err);
void relabel_rules_free(struct relabel_rules *rules); /* the regexes; the rest is in an arena */
/* Applies the rules in place; new strings in `a`.  False if the set is to be dropped.  Labels with
 * an empty value are taken out. */
bool relabel_apply(const struct relabel_rules *rules, struct label_list *labels, struct arena *a);
/* Appends the replacement with $1, ${1}, $name and ${name} expanded as Go's Regexp.Expand. */
void relabel_expand(const struct regex *re, str text_template, const str *groups, int n_groups,
                    struct buf *out);
