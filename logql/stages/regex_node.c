#include "logql/stages/regex_node.h"

#include "base/utf8.h"
#include "base/vec.h"

#define REGEX_NODE_DEPTH_MAX 100

struct parser {
    str re;
    size_t at;
    bool is_caseless, is_dot_newline; /* (?i), (?s) */
    unsigned depth;
    bool is_too_deep;
    struct arena *arena;
};

typedef VEC(struct regex_node *) node_list;

struct regex_node *regex_node_new(struct arena *a, enum regex_node_kind kind)
{
    struct regex_node *n = ARENA_NEW(a, struct regex_node);
    n->kind = kind;
    return n;
}

static bool is_end(const struct parser *p)
{
    return p->at >= p->re.len;
}

static char peek(const struct parser *p)
{
    return p->at < p->re.len ? p->re.ptr[p->at] : '\0';
}

static bool take(struct parser *p, const char *what)
{
    if (!str_has_prefix(str_from(p->re, p->at), str_c(what)))
        return false;
    p->at += strlen(what);
    return true;
}

static struct regex_node *literal(struct parser *p, const char *bytes, size_t n, bool is_caseless)
{
    struct regex_node *node = regex_node_new(p->arena, REGEX_LITERAL);
    char *text = arena_alloc(p->arena, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (is_caseless && (unsigned char)bytes[i] >= 0x80)
            node->kind = REGEX_OTHER; /* more cases than two: leave it to RE2 */
        text[i] = is_caseless && bytes[i] >= 'a' && bytes[i] <= 'z' ? bytes[i] & ~0x20 : bytes[i];
    }
    node->text = str_make(text, n);
    node->room = n;
    node->is_caseless = is_caseless;
    return node;
}

/* Behind a backslash. */
static struct regex_node *parse_escape(struct parser *p)
{
    static const char from[] = "nrtfav", to[] = "\n\r\t\f\a\v";
    char c = peek(p);
    p->at++;
    const char *at = c == '\0' ? NULL : strchr(from, c);
    if (at != NULL)
        return literal(p, &to[at - from], 1, p->is_caseless);
    bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if ((unsigned char)c < 0x80 && !is_alnum)
        return literal(p, &c, 1, p->is_caseless);
    if (memchr("dDsSwW", c, 6) != NULL)
        return regex_node_new(p->arena, REGEX_ONE);
    /* \pN, \x41, \Q..\E, \b, \A and the like: the rest of the expression cannot be trusted to be
     * read right, and need not be. */
    p->is_too_deep = memchr("bBAzC", c, 5) == NULL;
    return regex_node_new(p->arena, REGEX_OTHER);
}

/* Behind the '[': to the ']' that ends the class. */
static struct regex_node *parse_class(struct parser *p)
{
    size_t from = p->at;
    take(p, "^");
    take(p, "]");
    while (!is_end(p) && peek(p) != ']') {
        if (take(p, "[:")) {
            size_t end = str_find(str_from(p->re, p->at), STR(":]"));
            p->at += end == STR_NPOS ? 0 : end + 2;
        } else {
            p->at += peek(p) == '\\' ? 2 : 1;
        }
    }
    str inside = str_sub(p->re, from, p->at);
    p->at++;
    if (inside.len == 2 && inside.ptr[0] == '\\' && memchr(".*+?()|[]{}^$\\-/", inside.ptr[1], 16))
        inside = str_from(inside, 1);
    if (inside.len == 1 && (unsigned char)inside.ptr[0] < 0x80)
        return literal(p, inside.ptr, 1, p->is_caseless);
    if (inside.len == 2 && (inside.ptr[0] ^ inside.ptr[1]) == 0x20 &&
        (inside.ptr[0] | 0x20) >= 'a' && (inside.ptr[0] | 0x20) <= 'z')
        return literal(p, inside.ptr, 1, true);
    return regex_node_new(p->arena, REGEX_ONE);
}

/* Letters of (?is-m: ; false if something else stands there. */
static bool parse_flags(struct parser *p)
{
    bool on = true;
    for (; !is_end(p) && peek(p) != ':' && peek(p) != ')'; p->at++) {
        char c = peek(p);
        if (c == '-')
            on = false;
        else if (c == 'i')
            p->is_caseless = on;
        else if (c == 's')
            p->is_dot_newline = on;
        else if (c != 'm' && c != 'U')
            return false;
    }
    return !is_end(p);
}

static struct regex_node *parse_alternation(struct parser *p);

/* Behind the '('.  NULL for (?i), which changes the flags to the end of the group around it. */
static struct regex_node *parse_group(struct parser *p)
{
    bool was_caseless = p->is_caseless, was_dot_newline = p->is_dot_newline, is_capture = true;
    if (take(p, "?P<") || (take(p, "?<"))) {
        size_t end = str_find_char(str_from(p->re, p->at), '>');
        p->at += end == STR_NPOS ? 0 : end + 1;
    } else if (take(p, "?")) {
        is_capture = false;
        if (!parse_flags(p))
            p->is_too_deep = true;
        if (take(p, ")"))
            return NULL;
        p->at++;
    }
    struct regex_node *inner = parse_alternation(p);
    take(p, ")");
    p->is_caseless = was_caseless;
    p->is_dot_newline = was_dot_newline;
    if (!is_capture)
        return inner;
    struct regex_node *node = regex_node_new(p->arena, REGEX_CAPTURE);
    node->subs = ARENA_ARRAY(p->arena, struct regex_node *, 1);
    node->subs[0] = inner;
    node->n = 1;
    return node;
}

/* {2}, {2,} or {2,5} */
static bool take_counts(struct parser *p)
{
    size_t at = p->at + 1, digits = 0;
    for (; at < p->re.len && p->re.ptr[at] >= '0' && p->re.ptr[at] <= '9'; at++)
        digits++;
    if (digits > 0 && at < p->re.len && p->re.ptr[at] == ',')
        for (at++; at < p->re.len && p->re.ptr[at] >= '0' && p->re.ptr[at] <= '9'; at++)
            ;
    if (digits == 0 || at >= p->re.len || p->re.ptr[at] != '}')
        return false;
    p->at = at + 1;
    return true;
}

static struct regex_node *parse_atom(struct parser *p, bool *ret_is_dot)
{
    char c = peek(p);
    *ret_is_dot = false;
    if (c == '{' && !take_counts(p)) {
        p->at++;
        return literal(p, "{", 1, p->is_caseless);
    }
    switch (c) {
    case '(':
        p->at++;
        return parse_group(p);
    case '[':
        p->at++;
        return parse_class(p);
    case '\\':
        p->at++;
        return parse_escape(p);
    case '.':
        p->at++;
        *ret_is_dot = !p->is_dot_newline;
        return regex_node_new(p->arena, REGEX_ONE);
    case '^':
    case '$':
    case '{':
        p->at += c != '{';
        return regex_node_new(p->arena, REGEX_OTHER);
    }
    uint32_t ignored;
    size_t n = utf8_decode(str_from(p->re, p->at), &ignored);
    p->at += n;
    return literal(p, p->re.ptr + p->at - n, n, p->is_caseless);
}

static struct regex_node *parse_quantifier(struct parser *p, struct regex_node *atom, bool is_dot)
{
    enum regex_node_kind kind = REGEX_OTHER;
    if (take(p, "*"))
        kind = is_dot ? REGEX_ANY_STAR : REGEX_OTHER;
    else if (take(p, "+"))
        kind = is_dot ? REGEX_ANY_PLUS : REGEX_OTHER;
    else if (!take(p, "?") && !(peek(p) == '{' && take_counts(p)))
        return atom;
    take(p, "?"); /* as few as possible: no difference to whether it matches */
    return regex_node_new(p->arena, kind);
}

/* Literals that stand side by side are one. */
static void append(struct parser *p, node_list *list, struct regex_node *x)
{
    struct regex_node *last = list->len > 0 ? list->items[list->len - 1] : NULL;
    if (last == NULL || last->kind != REGEX_LITERAL || x->kind != REGEX_LITERAL ||
        last->is_caseless != x->is_caseless) {
        VEC_PUSH_ARENA(p->arena, list, x);
        return;
    }
    size_t n = last->text.len + x->text.len;
    if (n > last->room) {
        char *text = arena_alloc(p->arena, n * 2);
        memcpy(text, last->text.ptr, last->text.len);
        last->text.ptr = text;
        last->room = n * 2;
    }
    memcpy((char *)(uintptr_t)last->text.ptr + last->text.len, x->text.ptr, x->text.len);
    last->text.len = n;
}

static struct regex_node *from_list(struct arena *a, enum regex_node_kind kind,
                                    const node_list *list)
{
    if (list->len == 0)
        return regex_node_new(a, REGEX_EMPTY);
    if (list->len == 1)
        return list->items[0];
    struct regex_node *node = regex_node_new(a, kind);
    node->subs = list->items;
    node->n = list->len;
    return node;
}

static struct regex_node *parse_concat(struct parser *p)
{
    node_list list = {0};
    while (!is_end(p) && peek(p) != '|' && peek(p) != ')' && !p->is_too_deep) {
        bool is_dot;
        struct regex_node *atom = parse_atom(p, &is_dot);
        if (atom == NULL)
            continue;
        atom = parse_quantifier(p, atom, is_dot);
        if (atom->kind == REGEX_CONCAT) /* of a group that captures nothing */
            for (size_t i = 0; i < atom->n; i++)
                append(p, &list, atom->subs[i]);
        else
            append(p, &list, atom);
    }
    return from_list(p->arena, REGEX_CONCAT, &list);
}

static struct regex_node *parse_alternation(struct parser *p)
{
    node_list list = {0};
    if (++p->depth > REGEX_NODE_DEPTH_MAX)
        p->is_too_deep = true;
    do {
        struct regex_node *x = parse_concat(p);
        if (x->kind == REGEX_ALTERNATE)
            for (size_t i = 0; i < x->n; i++)
                VEC_PUSH_ARENA(p->arena, &list, x->subs[i]);
        else
            VEC_PUSH_ARENA(p->arena, &list, x);
    } while (!p->is_too_deep && take(p, "|"));
    p->depth--;
    return regex_node_alternate(list.items, list.len, p->arena);
}

struct regex_node *regex_node_parse(str re, struct arena *a)
{
    struct parser p = {.re = re, .arena = a};
    struct regex_node *node = parse_alternation(&p);
    return p.is_too_deep || !is_end(&p) ? NULL : node;
}
