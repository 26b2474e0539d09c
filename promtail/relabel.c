#include "promtail/relabel.h"

#include <openssl/evp.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/utf8.h"

#define GROUPS_MAX        64
#define VALUE_BYTES_MAX   (1u << 20) /* of one value that a rule makes */
#define DEFAULT_SEPARATOR STR(";")

static const char *const action_names[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",
    [RELABEL_DROP] = "drop",           [RELABEL_KEEPEQUAL] = "keepequal",
    [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop",
    [RELABEL_LABELKEEP] = "labelkeep", [RELABEL_LOWERCASE] = "lowercase",
    [RELABEL_UPPERCASE] = "uppercase",
};

void relabel_rule_init(struct relabel_rule *rule)
{
    *rule = (struct relabel_rule){.separator = DEFAULT_SEPARATOR,
                                  .replacement = STR("$1"),
                                  .target_label = STR_EMPTY,
                                  .regex_is_default = true};
}

bool relabel_action_parse(str name, enum relabel_action *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(action_names); i++)
        if (str_eq_nocase(name, str_c(action_names[i]))) {
            *ret = (enum relabel_action)i;
            return true;
        }
    return false;
}

/* A label name (UTF-8) in which $1, ${1} and ${name} may stand for parts: dollars and braces have
 * no other use. */
static bool is_target_name(str s)
{
    size_t i = 0;
    while (i < s.len) {
        bool is_part = s.ptr[i] == '$';
        bool is_braced = is_part && i + 1 < s.len && s.ptr[i + 1] == '{';
        size_t from = i + is_part + is_braced;
        size_t to = from;
        while (to < s.len && memchr("${}", s.ptr[to], 3) == NULL)
            to++;
        if (to == from || (is_braced && (to == s.len || s.ptr[to] != '}')))
            return false;
        i = to + is_braced;
    }
    return s.len > 0 && str_is_utf8(s);
}

static bool is_only_regex(const struct relabel_rule *r)
{
    return !r->has_source_labels && r->target_label.len == 0 && r->modulus == 0 &&
           str_eq(r->separator, DEFAULT_SEPARATOR) && str_eq(r->replacement, STR("$1"));
}

int relabel_rule_check(const struct relabel_rule *r, struct error *err)
{
    const char *name = action_names[r->action];
    bool needs_target = r->action == RELABEL_REPLACE || r->action == RELABEL_HASHMOD ||
                        r->action == RELABEL_LOWERCASE || r->action == RELABEL_UPPERCASE ||
                        r->action == RELABEL_KEEPEQUAL || r->action == RELABEL_DROPEQUAL;
    if (r->action == RELABEL_HASHMOD && r->modulus == 0)
        return error_set(err, E_PARSE,
                         "relabel configuration for hashmod requires non-zero modulus");
    if (needs_target && r->target_label.len == 0)
        return error_set(err, E_PARSE,
                         "relabel configuration for %s action requires 'target_label' value", name);
    if (needs_target && (r->action == RELABEL_REPLACE ? !is_target_name(r->target_label)
                                                      : !str_is_utf8(r->target_label)))
        return error_set(err, E_PARSE, "\"%.*s\" is invalid 'target_label' for %s action",
                         STR_ARG(r->target_label), name);
    if (needs_target && r->action != RELABEL_REPLACE && r->action != RELABEL_HASHMOD &&
        !str_eq(r->replacement, STR("$1")))
        return error_set(err, E_PARSE, "'replacement' can not be set for %s action", name);
    if (r->action == RELABEL_LABELMAP && !is_target_name(r->replacement))
        return error_set(err, E_PARSE, "\"%.*s\" is invalid 'replacement' for %s action",
                         STR_ARG(r->replacement), name);
    if ((r->action == RELABEL_KEEPEQUAL || r->action == RELABEL_DROPEQUAL) &&
        !(r->regex_is_default && r->modulus == 0 && str_eq(r->separator, DEFAULT_SEPARATOR) &&
          str_eq(r->replacement, STR("$1"))))
        return error_set(err, E_PARSE,
                         "%s action requires only 'source_labels' and `target_label`, and no other "
                         "fields",
                         name);
    if ((r->action == RELABEL_LABELDROP || r->action == RELABEL_LABELKEEP) && !is_only_regex(r))
        return error_set(err, E_PARSE, "%s action requires only 'regex', and no other fields",
                         name);
    return 0;
}

void relabel_rules_free(struct relabel_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        regex_free(rules->items[i].re);
    rules->n = 0;
}

/* --- applying --- */

static str group_named(const struct regex *re, const str *groups, int n_groups, str name)
{
    int64_t number;
    bool has_zero = name.len > 1 && name.ptr[0] == '0'; /* 01 is a name to Go */
    if (!has_zero && str_to_i64(name, &number))
        return number >= 0 && number < n_groups ? groups[number] : STR_EMPTY;
    for (int i = n_groups - 1; i > 0; i--)
        if (str_eq(regex_group_name(re, i), name))
            return groups[i];
    return STR_EMPTY;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

void relabel_expand(const struct regex *re, str text, const str *groups, int n_groups,
                    struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '$' || i + 1 == text.len) {
            buf_append_char(out, text.ptr[i]);
            continue;
        }
        if (text.ptr[i + 1] == '$') {
            buf_append_char(out, '$');
            i++;
            continue;
        }
        bool braced = text.ptr[i + 1] == '{';
        size_t from = i + (braced ? 2 : 1), to = from;
        while (to < text.len && is_word(text.ptr[to]))
            to++;
        if (to == from || (braced && (to == text.len || text.ptr[to] != '}'))) {
            buf_append_char(out, '$'); /* malformed: the $ stands for itself */
            continue;
        }
        buf_append_str(out, group_named(re, groups, n_groups, str_sub(text, from, to)));
        i = braced ? to : to - 1;
    }
}

static str join_sources(const struct relabel_rule *r, const struct label_list *labels,
                        struct arena *a)
{
    if (r->n_source_labels == 1) {
        str only = label_list_get(labels, r->source_labels[0]);
        return only.ptr != NULL ? only : STR_EMPTY;
    }
    struct buf b;
    buf_init(&b, VALUE_BYTES_MAX);
    for (size_t i = 0; i < r->n_source_labels; i++) {
        if (i > 0)
            buf_append_str(&b, r->separator);
        buf_append_str(&b, label_list_get(labels, r->source_labels[i]));
    }
    str joined = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return joined;
}

/* (.*) is what a rule has without a regex: everything, as group 1 too. */
static bool match(const struct relabel_rule *r, str text, str *groups, int *ret_n)
{
    if (r->re == NULL) {
        groups[0] = groups[1] = text;
        *ret_n = 2;
        return true;
    }
    *ret_n = MIN(regex_group_count(r->re) + 1, GROUPS_MAX);
    return regex_match(r->re, text, 0, groups, *ret_n);
}

static str expand(const struct relabel_rule *r, str text, const str *groups, int n, struct arena *a)
{
    struct buf b;
    buf_init(&b, VALUE_BYTES_MAX);
    relabel_expand(r->re, text, groups, n, &b);
    str out = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return out;
}

static void set_or_remove(struct label_list *labels, struct arena *a, str name, str value)
{
    if (value.len == 0)
        label_list_remove(labels, name);
    else
        label_list_set(labels, a, name, value);
}

static void replace(const struct relabel_rule *r, struct label_list *labels, str value,
                    struct arena *a)
{
    str groups[GROUPS_MAX];
    int n;
    if (!match(r, value, groups, &n))
        return;
    str target = expand(r, r->target_label, groups, n, a);
    if (target.len == 0 || !str_is_utf8(target))
        return;
    set_or_remove(labels, a, target, expand(r, r->replacement, groups, n, a));
}

/* The last eight bytes of the MD5 as a number, big-endian, modulo. */
static str hash_mod(str value, uint64_t modulus, struct arena *a)
{
    unsigned char md[EVP_MAX_MD_SIZE] = {0};
    unsigned int n = 0;
    EVP_Digest(value.ptr, value.len, md, &n, EVP_md5(), NULL);
    uint64_t hash = 0;
    for (int i = 8; i < 16; i++)
        hash = hash << 8 | md[i];
    return arena_printf(a, "%llu", (unsigned long long)(hash % modulus));
}

static void change_case(const struct relabel_rule *r, struct label_list *labels, str value,
                        struct arena *a)
{
    struct buf b;
    buf_init(&b, VALUE_BYTES_MAX);
    if (r->action == RELABEL_LOWERCASE)
        utf8_append_lower(&b, value);
    else
        utf8_append_upper(&b, value);
    set_or_remove(labels, a, r->target_label, arena_str(a, buf_str(&b)));
    buf_deinit(&b);
}

static void map_names(const struct relabel_rule *r, struct label_list *labels, struct arena *a)
{
    size_t n_before = labels->n;
    struct label *before = ARENA_ARRAY(a, struct label, MAX(n_before, 1));
    if (n_before > 0)
        memcpy(before, labels->items, n_before * sizeof *before);
    for (size_t i = 0; i < n_before; i++) {
        str groups[GROUPS_MAX];
        int n;
        if (match(r, before[i].name, groups, &n))
            set_or_remove(labels, a, expand(r, r->replacement, groups, n, a), before[i].value);
    }
}

static void filter_names(const struct relabel_rule *r, struct label_list *labels, bool keep)
{
    size_t n = 0;
    for (size_t i = 0; i < labels->n; i++)
        if ((r->re == NULL || regex_is_match(r->re, labels->items[i].name)) == keep)
            labels->items[n++] = labels->items[i];
    labels->n = n;
    label_list_rehash(labels);
}

static bool apply_one(const struct relabel_rule *r, struct label_list *labels, struct arena *a)
{
    str value = join_sources(r, labels, a);
    str target = label_list_get(labels, r->target_label);
    switch (r->action) {
    case RELABEL_KEEP:
        return r->re == NULL || regex_is_match(r->re, value);
    case RELABEL_DROP:
        return r->re != NULL && !regex_is_match(r->re, value);
    case RELABEL_KEEPEQUAL:
        return str_eq(target, value);
    case RELABEL_DROPEQUAL:
        return !str_eq(target, value);
    case RELABEL_REPLACE:
        replace(r, labels, value, a);
        return true;
    case RELABEL_HASHMOD:
        label_list_set(labels, a, r->target_label, hash_mod(value, r->modulus, a));
        return true;
    case RELABEL_LABELMAP:
        map_names(r, labels, a);
        return true;
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        filter_names(r, labels, r->action == RELABEL_LABELKEEP);
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        change_case(r, labels, value, a);
        return true;
    }
    return true;
}

bool relabel_apply(const struct relabel_rules *rules, struct label_list *labels, struct arena *a)
{
    for (size_t i = 0; i < rules->n; i++)
        if (!apply_one(&rules->items[i], labels, a))
            return false;
    size_t n = 0;
    for (size_t i = 0; i < labels->n; i++)
        if (labels->items[i].value.len > 0)
            labels->items[n++] = labels->items[i];
    labels->n = n;
    label_list_rehash(labels);
    return true;
}
