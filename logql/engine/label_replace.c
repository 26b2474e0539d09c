/* label_replace(v, "dst", "replacement", "src", "regex") */
#include "base/mem.h"
#include "base/regex.h"
#include "logql/engine/matrix.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Takes the name behind a '$': name or {name}.  False if it is malformed. */
static bool take_name(str s, str *ret_name, size_t *ret_len)
{
    bool is_braced = s.len > 0 && s.ptr[0] == '{';
    size_t from = is_braced, to = from;
    while (to < s.len && is_name_char(s.ptr[to]))
        to++;
    if (to == from || (is_braced && (to == s.len || s.ptr[to] != '}')))
        return false;
    *ret_name = str_sub(s, from, to);
    *ret_len = to + is_braced;
    return true;
}

/* What a name stands for: a number is the group of that index; unknown ones stand for nothing. */
static str group_value(const struct regex *re, str name, const str *groups, size_t n)
{
    uint64_t index;
    bool is_number = true;
    for (size_t i = 0; i < name.len; i++)
        is_number = is_number && name.ptr[i] >= '0' && name.ptr[i] <= '9';
    if (is_number)
        return str_to_u64(name, &index) && index < n && groups[index].ptr != NULL ? groups[index]
                                                                                  : STR_EMPTY;
    for (size_t i = 1; i < n; i++)
        if (str_eq(regex_group_name(re, (int)i), name) && groups[i].ptr != NULL)
            return groups[i];
    return STR_EMPTY;
}

/* Go's Regexp.Expand. */
static void expand(const struct regex *re, str text, const str *groups, size_t n, struct buf *out)
{
    while (text.len > 0) {
        size_t at = str_find_char(text, '$');
        if (at == STR_NPOS) {
            buf_append_str(out, text);
            return;
        }
        buf_append_str(out, str_sub(text, 0, at));
        text = str_from(text, at + 1);
        str name;
        size_t len;
        if (text.len > 0 && text.ptr[0] == '$') {
            buf_append_char(out, '$');
            text = str_from(text, 1);
        } else if (take_name(text, &name, &len)) {
            buf_append_str(out, group_value(re, name, groups, n));
            text = str_from(text, len);
        } else {
            buf_append_char(out, '$');
        }
    }
}

#define REPLACED_VALUE_BYTES_MAX (1u << 20)

int label_replace_eval(struct evaluator *ev, const struct expr *e, const struct matrix *in,
                       struct matrix *ret, struct error *err)
{
    struct regex *re = NULL;
    int rc = regex_compile(e->label_replace.regex, REGEX_ANCHORED, &re, err);
    if (rc != 0)
        return rc;
    size_t n_groups = (size_t)regex_group_count(re) + 1;
    str *groups = mem_array(n_groups, sizeof *groups);
    struct buf value;
    buf_init(&value, REPLACED_VALUE_BYTES_MAX);
    struct matrix_series *out = evaluator_alloc(ev, in->n, sizeof *out, err);
    for (size_t i = 0; out != NULL && i < in->n; i++) {
        out[i] = in->items[i];
        str src = labels_get(&in->items[i].labels, e->label_replace.src);
        if (src.ptr == NULL)
            src = STR_EMPTY;
        if (!regex_match(re, src, 0, groups, (int)n_groups))
            continue;
        buf_reset(&value);
        expand(re, e->label_replace.replacement, groups, n_groups, &value);
        struct label set = {e->label_replace.dst, arena_str(ev->arena, buf_str(&value))};
        struct labels base = labels_without_empty(ev->arena, &in->items[i].labels);
        out[i].labels = labels_with(ev->arena, &base, &set, 1);
    }
    *ret = (struct matrix){out, out == NULL ? 0 : in->n};
    buf_deinit(&value);
    mem_free(groups);
    regex_free(re);
    return out == NULL ? E_LIMIT : 0;
}
