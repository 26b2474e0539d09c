#include "logql/stages/skipper_syntax.h"

#include "base/mem.h"

/* Repetitions written out, an expression has at most so many characters to match: time and memory
 * for compiling it grow with them. */
#define ATOMS_MAX 200
#define DEPTH_MAX 32

/* RE2's \s; Hyperscan's has the vertical tab too. */
#define BLANKS "\\t\\n\\f\\r "

/* An open group, and its last item, which is what a repetition repeats. */
struct group {
    size_t atoms, last_atoms;
    size_t width, last_width; /* what the alternative takes at least, in characters */
    size_t least_width;       /* of the alternatives before; SIZE_MAX if none */
};

struct writer {
    str re;
    size_t at;
    struct buf *out;
    struct group groups[DEPTH_MAX];
    size_t depth;
};

static struct group *group(struct writer *w)
{
    return &w->groups[w->depth];
}

static bool is_at(const struct writer *w, char c)
{
    return w->at < w->re.len && w->re.ptr[w->at] == c;
}

static bool is_literal_when_escaped(char c)
{
    return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
           !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static void add_item(struct writer *w, size_t atoms, size_t width)
{
    struct group *g = group(w);
    g->atoms += atoms;
    g->last_atoms = atoms;
    g->width += width;
    g->last_width = width;
}

/* at stands behind the operator; that it takes as few as it can is of no matter here. */
static bool repeat_item(struct writer *w, size_t least, size_t most)
{
    struct group *g = group(w);
    w->at += is_at(w, '?');
    if (most > 1)
        g->atoms += g->last_atoms * (most - 1);
    g->width = g->width - g->last_width + g->last_width * least;
    return g->atoms <= ATOMS_MAX;
}

static void begin_group(struct writer *w)
{
    *group(w) = (struct group){.least_width = SIZE_MAX};
}

static void end_alternative(struct writer *w)
{
    struct group *g = group(w);
    g->least_width = MIN(g->least_width, g->width);
    g->width = g->last_width = 0;
}

/* An escape outside a class; at stands on the backslash. */
static bool write_escape(struct writer *w)
{
    if (w->at + 1 >= w->re.len)
        return false;
    char c = w->re.ptr[w->at + 1];
    w->at += 2;
    add_item(w, 1, c != 'b' && c != 'B');
    if (c == 's')
        return buf_append_c(w->out, "[" BLANKS "]");
    if (c == 'S')
        return buf_append_c(w->out, "[^" BLANKS "]");
    if (!char_in((unsigned char)c, "dDwWbBtnrf") && !is_literal_when_escaped(c))
        return false;
    return buf_append_char(w->out, '\\') && buf_append_char(w->out, c);
}

/* An escape in a class. */
static bool write_class_escape(struct writer *w)
{
    if (w->at + 1 >= w->re.len)
        return false;
    char c = w->re.ptr[w->at + 1];
    w->at += 2;
    if (c == 's')
        return buf_append_c(w->out, BLANKS);
    if (!char_in((unsigned char)c, "dDwWtnrf") && !is_literal_when_escaped(c))
        return false;
    return buf_append_char(w->out, '\\') && buf_append_char(w->out, c);
}

/* [...] */
static bool write_class(struct writer *w)
{
    buf_append_char(w->out, '[');
    w->at++;
    if (is_at(w, '^')) {
        buf_append_char(w->out, '^');
        w->at++;
    }
    for (bool is_first = true; w->at < w->re.len; is_first = false) {
        char c = w->re.ptr[w->at];
        if (c == ']' && !is_first)
            break;
        if (c == '\\') {
            if (!write_class_escape(w))
                return false;
            continue;
        }
        if (c == '[' && w->at + 1 < w->re.len && w->re.ptr[w->at + 1] == ':')
            return false; /* [[:alpha:]] */
        if (c == '[' || c == ']')
            buf_append_char(w->out, '\\');
        buf_append_char(w->out, c);
        w->at++;
    }
    w->at++;
    add_item(w, 1, 1);
    return buf_append_char(w->out, ']');
}

/* What stands behind "(?" up to and with the ':' or ')'. */
static bool write_group_flags(struct writer *w)
{
    size_t from = w->at;
    while (w->at < w->re.len && char_in((unsigned char)w->re.ptr[w->at], "ims"))
        w->at++;
    if (!is_at(w, ':') && !is_at(w, ')'))
        return false;
    w->at++;
    return buf_append_c(w->out, "(?") && buf_append_str(w->out, str_sub(w->re, from, w->at));
}

/* "(" and what belongs to it; names of groups are left out. */
static bool write_open(struct writer *w)
{
    w->at++;
    if (!is_at(w, '?')) {
        buf_append_c(w->out, "(?:");
    } else if (str_has_prefix(str_from(w->re, w->at), STR("?P<")) ||
               str_has_prefix(str_from(w->re, w->at), STR("?<"))) {
        size_t name = str_find_char(str_from(w->re, w->at), '>');
        if (name == STR_NPOS)
            return false;
        w->at += name + 1;
        buf_append_c(w->out, "(?:");
    } else {
        w->at++;
        if (!write_group_flags(w))
            return false;
        if (w->re.ptr[w->at - 1] == ')') /* flags for what follows: no group */
            return true;
    }
    if (++w->depth >= DEPTH_MAX)
        return false;
    begin_group(w);
    return true;
}

static bool write_close(struct writer *w)
{
    if (w->depth == 0)
        return false;
    w->at++;
    end_alternative(w);
    struct group inner = *group(w);
    w->depth--;
    add_item(w, inner.atoms, inner.least_width);
    return buf_append_char(w->out, ')');
}

static size_t read_number(struct writer *w)
{
    size_t n = 0;
    for (; w->at < w->re.len && w->re.ptr[w->at] >= '0' && w->re.ptr[w->at] <= '9'; w->at++)
        n = MIN(n * 10 + (size_t)(w->re.ptr[w->at] - '0'), (size_t)ATOMS_MAX + 1);
    return n;
}

/* {2}, {2,} or {2,3}; any other brace is a character. */
static bool write_brace(struct writer *w)
{
    size_t from = w->at++;
    size_t digits = w->at, least = read_number(w), most = least;
    bool is_repeat = w->at > digits;
    if (is_repeat && is_at(w, ',')) {
        w->at++;
        size_t upper = read_number(w); /* MAX would read twice */
        most = MAX(least, upper);
    }
    if (is_repeat && is_at(w, '}')) {
        w->at++;
        buf_append_str(w->out, str_sub(w->re, from, w->at));
        return repeat_item(w, least, most);
    }
    w->at = from + 1;
    add_item(w, 1, 1);
    return buf_append_c(w->out, "\\{");
}

static bool write_next(struct writer *w)
{
    char c = w->re.ptr[w->at];
    if ((unsigned char)c >= 0x80 || c == '\0')
        return false;
    switch (c) {
    case '\\':
        return write_escape(w);
    case '[':
        return write_class(w);
    case '(':
        return write_open(w);
    case ')':
        return write_close(w);
    case '{':
        return write_brace(w);
    case ']':
    case '}':
        buf_append_char(w->out, '\\');
        break;
    case '*':
    case '+':
    case '?':
        w->at++;
        return repeat_item(w, c == '+', 1) && buf_append_char(w->out, c);
    case '|':
        w->at++;
        end_alternative(w);
        return buf_append_char(w->out, c);
    default:
        break;
    }
    w->at++;
    add_item(w, 1, c != '^' && c != '$');
    return buf_append_char(w->out, c) && group(w)->atoms <= ATOMS_MAX;
}

bool skipper_syntax_write(str re, struct buf *out)
{
    struct writer w = {.re = re, .out = out};
    begin_group(&w);
    while (w.at < re.len)
        if (!write_next(&w))
            return false;
    end_alternative(&w);
    return w.depth == 0 && w.groups[0].atoms <= ATOMS_MAX && w.groups[0].least_width > 0 &&
           !out->failed;
}
