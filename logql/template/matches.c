#include "logql/template/matches.h"

#include "base/mem.h"
#include "base/utf8.h"

void matches_start(struct matches *m, const struct regex *re, str text)
{
    m->re = re;
    m->text = text;
    m->at = 0;
    m->ended = STR_NPOS;
    m->n_groups = MIN(regex_group_count(re) + 1, MATCHES_GROUPS_MAX);
}

/* Offset of the first rune at or behind `at`; RE2 finds \B between the bytes of one, too. */
static size_t rune_start(str text, size_t at)
{
    uint32_t rune;
    for (size_t back = 1; back < UTF8_MAX && back <= at; back++) {
        size_t width = utf8_decode(str_from(text, at - back), &rune);
        if (width > back)
            return at - back + width;
    }
    return at;
}

/* An empty match right behind another match does not count. */
bool matches_next(struct matches *m)
{
    while (m->at <= m->text.len) {
        uint32_t rune;
        if (!regex_match(m->re, m->text, m->at, m->groups, m->n_groups))
            return false;
        size_t start = (size_t)(m->groups[0].ptr - m->text.ptr), end = start + m->groups[0].len;
        bool counts = true;
        if (start == end && rune_start(m->text, start) != start) {
            m->at = rune_start(m->text, start);
            continue;
        }
        if (end == m->at) {
            counts = start != m->ended;
            m->at += MAX(utf8_decode(str_from(m->text, m->at), &rune), (size_t)1);
        } else {
            m->at = end;
        }
        m->ended = end;
        if (counts)
            return true;
    }
    return false;
}

/* Length of a name at the beginning of s: letters, digits and underscores. */
static size_t name_length(str s)
{
    uint32_t rune;
    size_t n = 0;
    while (n < s.len) {
        size_t width = utf8_decode(str_from(s, n), &rune);
        if (!rune_is_letter(rune) && !rune_is_digit(rune) && rune != '_')
            break;
        n += width;
    }
    return n;
}

/* The name in $name or ${name}, taken off *s; false if it is none. */
static bool take_name(str *s, str *ret)
{
    str rest = str_from(*s, 1);
    bool braced = rest.len > 0 && rest.ptr[0] == '{';
    if (braced)
        rest = str_from(rest, 1);
    size_t n = name_length(rest);
    if (n == 0 || (braced && (n == rest.len || rest.ptr[n] != '}')))
        return false;
    *ret = str_sub(rest, 0, n);
    *s = str_from(rest, n + braced);
    return true;
}

static str group_of(const struct matches *m, str name)
{
    uint64_t number;
    bool numeric = str_to_u64(name, &number) && !(name.len > 1 && name.ptr[0] == '0');
    if (numeric)
        return number < (uint64_t)m->n_groups ? m->groups[number] : STR_EMPTY;
    for (int i = 1; i < m->n_groups; i++)
        if (m->groups[i].ptr != NULL && str_eq(regex_group_name(m->re, i), name))
            return m->groups[i];
    return STR_EMPTY;
}

static void expand(struct buf *b, const struct matches *m, str s)
{
    while (s.len > 0) {
        size_t at = str_find_char(s, '$');
        buf_append_str(b, str_sub(s, 0, MIN(at, s.len)));
        if (at == STR_NPOS)
            return;
        s = str_from(s, at);
        str name;
        if (s.len > 1 && s.ptr[1] == '$') {
            buf_append_char(b, '$');
            s = str_from(s, 2);
        } else if (take_name(&s, &name)) {
            str group = group_of(m, name);
            if (group.ptr != NULL)
                buf_append_str(b, group);
        } else {
            buf_append_char(b, '$');
            s = str_from(s, 1);
        }
    }
}

void matches_append_replaced(struct buf *b, const struct regex *re, str text, str replacement,
                             bool literal)
{
    struct matches m;
    size_t copied = 0;
    matches_start(&m, re, text);
    while (!b->failed && matches_next(&m)) {
        size_t start = (size_t)(m.groups[0].ptr - text.ptr);
        buf_append_str(b, str_sub(text, copied, start));
        copied = start + m.groups[0].len;
        if (literal)
            buf_append_str(b, replacement);
        else
            expand(b, &m, replacement);
    }
    buf_append_str(b, str_from(text, copied));
}
