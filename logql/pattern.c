#include "logql/pattern.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/utf8.h"
#include "base/vec.h"

static bool is_name_start(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of a capture <name> at the beginning of `s`, 0 if there is none. */
static size_t capture_len(str s)
{
    if (s.len < 3 || s.ptr[0] != '<' || !is_name_start(s.ptr[1])) {
        return 0;
    }
    size_t i = 2;
    while (i < s.len && (is_name_start(s.ptr[i]) || (s.ptr[i] >= '0' && s.ptr[i] <= '9'))) {
        i++;
    }
    return i < s.len && s.ptr[i] == '>' ? i + 1 : 0;
}

/* Splits the text into literals and captures.  Loki stops reading at a byte that is no UTF-8. */
static int parse(str text, struct arena *a, struct pattern *ret, struct error *err)
{
    VEC(struct pattern_node) nodes = {0};
    text = arena_str(a, text);
    size_t at = 0;
    while (at < text.len) {
        str rest = str_sub(text, at, text.len);
        size_t len = capture_len(rest);
        if (len > 0) {
            str name = str_sub(rest, 1, len - 1);
            struct pattern_node capture = {true, str_eq(name, STR("_")), name};
            VEC_PUSH_ARENA(a, &nodes, capture);
            ret->n_captures += !capture.is_unnamed;
            at += len;
            continue;
        }
        uint32_t rune;
        len = utf8_decode(rest, &rune);
        if (rune == RUNE_ERROR && len == 1) {
            break;
        }
        if (nodes.len > 0 && !nodes.items[nodes.len - 1].is_capture) {
            nodes.items[nodes.len - 1].text.len += len;
        } else {
            struct pattern_node literal = {false, false, str_sub(rest, 0, len)};
            VEC_PUSH_ARENA(a, &nodes, literal);
        }
        at += len;
    }
    if (nodes.len == 0) {
        return error_set(err, E_PARSE,
                         "parse error at line 1, col 1: syntax error: unexpected $end, expecting "
                         "IDENTIFIER or LITERAL");
    }
    ret->nodes = nodes.items;
    ret->n = nodes.len;
    return 0;
}

static int check_neighbours(const struct pattern *p, struct error *err)
{
    for (size_t i = 0; i + 1 < p->n; i++) {
        if (p->nodes[i].is_capture && p->nodes[i + 1].is_capture) {
            return error_set(err, E_PARSE,
                             "found consecutive capture '<%.*s><%.*s>': invalid expression",
                             STR_ARG(p->nodes[i].text), STR_ARG(p->nodes[i + 1].text));
        }
    }
    return 0;
}

static int check_unique(const struct pattern *p, struct error *err)
{
    for (size_t i = 0; i < p->n_captures; i++) {
        for (size_t j = 0; j < i; j++) {
            if (str_eq(pattern_name(p, i), pattern_name(p, j))) {
                return error_set(err, E_PARSE, "duplicate capture name (%.*s): invalid expression",
                                 STR_ARG(pattern_name(p, i)));
            }
        }
    }
    return 0;
}

int pattern_compile(str text, struct arena *a, struct pattern *ret, struct error *err)
{
    *ret = (struct pattern){0};
    int rc = parse(text, a, ret, err);
    if (rc != 0) {
        return rc;
    }
    if (ret->n_captures == 0) {
        return error_set(err, E_PARSE, "at least one capture is required");
    }
    rc = check_neighbours(ret, err);
    return rc != 0 ? rc : check_unique(ret, err);
}

int pattern_compile_filter(str text, struct arena *a, struct pattern *ret, struct error *err)
{
    *ret = (struct pattern){0};
    if (text.len == 0) {
        return 0;
    }
    int rc = parse(text, a, ret, err);
    if (rc == 0) {
        rc = check_neighbours(ret, err);
    }
    for (size_t i = 0; rc == 0 && i < ret->n; i++) {
        if (ret->nodes[i].is_capture && !ret->nodes[i].is_unnamed) {
            rc = error_set(err, E_PARSE, "named captures are not allowed: found '<%.*s>'",
                           STR_ARG(ret->nodes[i].text));
        }
    }
    return rc;
}

str pattern_name(const struct pattern *p, size_t i)
{
    for (size_t at = 0; at < p->n; at++) {
        const struct pattern_node *node = &p->nodes[at];
        if (node->is_capture && !node->is_unnamed && i-- == 0) {
            return node->text;
        }
    }
    return STR_EMPTY;
}

/* Looks for the first two bytes of the needle at 16 places at a time: what stands between captures
 * is near as a rule, so that beginning quickly is all.  Returns the offset of the needle, or, if it
 * is not there, that of the first place not looked at. */
static size_t find_near(str s, str needle, bool *ret_found)
{
    size_t at = 0;
    *ret_found = false;
#if defined(__SSE2__)
    const __m128i first = _mm_set1_epi8(needle.ptr[0]), second = _mm_set1_epi8(needle.ptr[1]);
    for (; at + 17 <= s.len; at += 16) {
        const char *p = s.ptr + at;
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
        __m128i both = _mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second));
        for (unsigned hits = (unsigned)_mm_movemask_epi8(both); hits != 0; hits &= hits - 1) {
            size_t i = at + (size_t)__builtin_ctz(hits);
            if (needle.len > 2 && !str_has_prefix(str_from(s, i), needle))
                continue;
            *ret_found = true;
            return i;
        }
    }
#else
    (void)s, (void)needle;
#endif
    return at;
}

/* Offset of `needle` in `s`, SIZE_MAX if it is not there. */
static size_t find(str s, str needle)
{
    bool is_found = false;
    size_t from = needle.len < 2 ? 0 : find_near(s, needle, &is_found);
    if (is_found)
        return from;
    str rest = str_from(s, from);
    const char *at = needle.len == 1 ? memchr(rest.ptr, needle.ptr[0], rest.len)
                                     : memmem(rest.ptr, rest.len, needle.ptr, needle.len);
    return at == NULL ? SIZE_MAX : (size_t)(at - s.ptr);
}

size_t pattern_match(const struct pattern *p, str line, str *values)
{
    size_t n = 0, at = 0;
    if (line.len == 0 || p->n == 0) {
        return 0;
    }
    if (!p->nodes[0].is_capture) {
        if (!str_has_prefix(line, p->nodes[0].text)) {
            return 0;
        }
        line = str_sub(line, p->nodes[0].text.len, line.len);
        at = 1;
    }
    for (; at < p->n; at += 2) {
        const struct pattern_node *capture = &p->nodes[at];
        bool is_last = at + 1 == p->n;
        size_t end = is_last ? SIZE_MAX : find(line, p->nodes[at + 1].text);
        if (!capture->is_unnamed) {
            values[n++] = str_sub(line, 0, end); /* up to the end if what follows is missing */
        }
        if (end == SIZE_MAX) {
            break;
        }
        line = str_sub(line, end + p->nodes[at + 1].text.len, line.len);
    }
    return n;
}

bool pattern_test(const struct pattern *p, str line)
{
    if (line.len == 0 || p->n == 0) {
        return line.len == 0 && p->n == 0;
    }
    for (size_t i = 0; i < p->n; i++) {
        if (p->nodes[i].is_capture) {
            continue;
        }
        size_t at = find(line, p->nodes[i].text);
        if (at == SIZE_MAX || (i != 0 && at == 0)) {
            return false; /* missing, or the capture before it would be empty */
        }
        line = str_sub(line, at + p->nodes[i].text.len, line.len);
    }
    return p->nodes[p->n - 1].is_capture == (line.len != 0);
}
