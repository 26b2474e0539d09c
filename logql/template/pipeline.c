#include "logql/template/pipeline.h"

#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/utf8.h"

/* --- operands --- */

static void add_ident(struct tparser *p, struct tnode *n, str ident)
{
    VEC_PUSH_ARENA(&p->t->arena, &n->idents, ident);
}

static struct tnode *char_constant(struct tparser *p, struct tnode *n)
{
    struct buf b;
    buf_init(&b, 16);
    bool ok = gounquote(n->text, &b) == 0 && b.len > 0;
    uint32_t rune = 0;
    if (ok)
        utf8_decode(buf_str(&b), &rune);
    buf_deinit(&b);
    if (!ok)
        return tparser_fail(p, "malformed character constant: %.*s", STR_ARG(n->text));
    n->is_int = n->is_float = true;
    n->i = rune;
    n->f = rune;
    n->value = tval_int(n->i);
    return n;
}

static struct tnode *number(struct tparser *p, const struct tlex_token *t)
{
    struct tnode *n = tparser_node(p, TNODE_NUMBER, t->pos);
    n->text = t->val;
    if (t->type == TLEX_CHAR_CONSTANT)
        return char_constant(p, n);
    uint64_t u;
    bool looks_float = false;
    for (size_t i = 0; i < n->text.len; i++)
        looks_float = looks_float || strchr(".eEpP", n->text.ptr[i]) != NULL;
    bool hex = n->text.len > 2 && (n->text.ptr[1] | 0x20) == 'x';
    if (goparse_int(n->text, 0, 64, &n->i) == 0) {
        n->is_int = n->is_float = true;
        n->f = (double)n->i;
        n->value = tval_int(n->i);
    } else if (goparse_uint(n->text, 0, 64, &u) == 0) {
        n->is_float = n->is_bad = true; /* no int, and nothing of ours takes a uint64 */
        n->f = (double)u;
    } else if (goparse_float(n->text, &n->f) == 0) {
        if (!looks_float)
            return tparser_fail_quoted(p, "integer overflow: %s", n->text);
        n->is_float = true;
        n->is_int = n->f >= -9.2e18 && n->f <= 9.2e18 && (double)(int64_t)n->f == n->f;
        n->i = n->is_int ? (int64_t)n->f : 0;
        n->value = tval_float(n->f);
    } else {
        return tparser_fail_quoted(p, "illegal number syntax: %s", n->text);
    }
    if (n->is_float && looks_float && !(hex && n->is_int && !n->is_bad))
        n->value = tval_float(n->f);
    return n;
}

static struct tnode *identifier(struct tparser *p, const struct tlex_token *t)
{
    struct tnode *n = tparser_node(p, TNODE_IDENTIFIER, t->pos);
    n->text = t->val;
    n->func = template_func_find(p->funcs, t->val);
    return n->func != NULL ? n : tparser_fail_quoted(p, "function %s not defined", t->val);
}

static struct tnode *variable(struct tparser *p, const struct tlex_token *t)
{
    struct tnode *n = tparser_node(p, TNODE_VARIABLE, t->pos);
    n->text = t->val;
    add_ident(p, n, t->val);
    return n;
}

static struct tnode *use_variable(struct tparser *p, const struct tlex_token *t)
{
    for (size_t i = 0; i < p->vars.len; i++)
        if (str_eq(p->vars.items[i], t->val))
            return variable(p, t);
    return tparser_fail_quoted(p, "undefined variable %s", t->val);
}

static struct tnode *string_node(struct tparser *p, const struct tlex_token *t)
{
    struct tnode *n = tparser_node(p, TNODE_STRING, t->pos);
    n->text = t->val;
    str s;
    if (!tparser_unquote(p, t, &s))
        return NULL;
    n->value = tval_str(s);
    return n;
}

/* One word or a pipeline in parentheses; NULL without an error if there is none. */
static struct tnode *term(struct tparser *p)
{
    const struct tlex_token *t = tparser_next_word(p);
    struct tnode *n;
    switch (t->type) {
    case TLEX_IDENTIFIER:
        return identifier(p, t);
    case TLEX_DOT:
        return tparser_node(p, TNODE_DOT, t->pos);
    case TLEX_NIL:
        return tparser_node(p, TNODE_NIL, t->pos);
    case TLEX_VARIABLE:
        return use_variable(p, t);
    case TLEX_FIELD:
        n = tparser_node(p, TNODE_FIELD, t->pos);
        add_ident(p, n, str_from(t->val, 1));
        return n;
    case TLEX_BOOL:
        n = tparser_node(p, TNODE_BOOL, t->pos);
        n->text = t->val;
        n->value = tval_bool(t->val.len == 4);
        return n;
    case TLEX_CHAR_CONSTANT:
    case TLEX_NUMBER:
        return number(p, t);
    case TLEX_LEFT_PAREN:
        n = tparser_enter(p) ? tpipeline_parse(p, "parenthesized pipeline", TLEX_RIGHT_PAREN)
                             : NULL;
        p->depth--;
        return n;
    case TLEX_STRING:
    case TLEX_RAW_STRING:
        return string_node(p, t);
    default:
        p->at--;
        return NULL;
    }
}

static void append_node_quoted(struct tparser *p, const char *fmt, const struct tnode *n)
{
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    tnode_append_text(n, &b);
    tparser_fail_quoted(p, fmt, buf_str(&b));
    buf_deinit(&b);
}

/* A term and the fields behind it. */
static struct tnode *operand(struct tparser *p)
{
    struct tnode *n = term(p);
    if (n == NULL || tparser_peek(p)->type != TLEX_FIELD)
        return n;
    uint32_t pos = tparser_peek(p)->pos;
    switch (n->kind) {
    case TNODE_BOOL:
    case TNODE_STRING:
    case TNODE_NUMBER:
    case TNODE_NIL:
    case TNODE_DOT:
        append_node_quoted(p, "unexpected . after term %s", n);
        return NULL;
    case TNODE_FIELD:
    case TNODE_VARIABLE:
        n->pos = pos;
        break;
    default: {
        struct tnode *chain = tparser_node(p, TNODE_CHAIN, pos);
        tparser_add_kid(p, chain, n);
        n = chain;
    }
    }
    while (tparser_peek(p)->type == TLEX_FIELD)
        add_ident(p, n, str_from(tparser_next(p)->val, 1));
    return n;
}

static struct tnode *command(struct tparser *p)
{
    struct tnode *cmd = tparser_node(p, TNODE_COMMAND, tparser_peek_word(p)->pos);
    for (;;) {
        struct tnode *n = operand(p);
        if (p->failed)
            return NULL;
        if (n != NULL)
            tparser_add_kid(p, cmd, n);
        const struct tlex_token *t = tparser_next(p);
        if (t->type == TLEX_SPACE)
            continue;
        if (t->type == TLEX_RIGHT_DELIM || t->type == TLEX_RIGHT_PAREN)
            p->at--;
        else if (t->type != TLEX_PIPE)
            return tparser_unexpected(p, t, "operand");
        break;
    }
    return cmd->kids.len > 0 ? cmd : tparser_fail(p, "empty command");
}

/* --- pipelines --- */

static void declare(struct tparser *p, struct tnode *pipe, const struct tlex_token *t)
{
    struct tnode *v = variable(p, t);
    VEC_PUSH_ARENA(&p->t->arena, &pipe->decl, v);
    VEC_PUSH_ARENA(&p->t->arena, &p->vars, t->val);
}

/* $x := , $x = , and in range also $i, $x := */
static bool declarations(struct tparser *p, struct tnode *pipe, const char *context)
{
    for (;;) {
        if (tparser_peek_word(p)->type != TLEX_VARIABLE)
            return true;
        size_t start = p->at;
        const struct tlex_token *v = tparser_next(p), *after = tparser_peek_word(p);
        if (after->type == TLEX_ASSIGN || after->type == TLEX_DECLARE) {
            pipe->is_assign = after->type == TLEX_ASSIGN;
            tparser_next(p);
            declare(p, pipe, v);
            return true;
        }
        if (after->type != TLEX_CHAR || !str_eq(after->val, STR(","))) {
            p->at = start; /* it is an operand */
            return true;
        }
        tparser_next(p);
        declare(p, pipe, v);
        if (strcmp(context, "range") != 0 || pipe->decl.len >= 2) {
            tparser_fail(p, "too many declarations in %s", context);
            return false;
        }
        enum tlex_type type = tparser_peek_word(p)->type;
        if (type != TLEX_VARIABLE && type != TLEX_RIGHT_DELIM && type != TLEX_RIGHT_PAREN) {
            tparser_fail(p, "range can only initialize variables");
            return false;
        }
    }
}

static bool is_operand(enum tlex_type type)
{
    switch (type) {
    case TLEX_BOOL:
    case TLEX_CHAR_CONSTANT:
    case TLEX_DOT:
    case TLEX_FIELD:
    case TLEX_IDENTIFIER:
    case TLEX_NUMBER:
    case TLEX_NIL:
    case TLEX_RAW_STRING:
    case TLEX_STRING:
    case TLEX_VARIABLE:
    case TLEX_LEFT_PAREN:
        return true;
    default:
        return false;
    }
}

/* Only the first command may be a plain value. */
static struct tnode *check_pipeline(struct tparser *p, struct tnode *pipe, const char *context)
{
    if (pipe->kids.len == 0)
        return tparser_fail(p, "missing value for %s", context);
    for (size_t i = 1; i < pipe->kids.len; i++) {
        enum tnode_kind kind = pipe->kids.items[i]->kids.items[0]->kind;
        if (kind == TNODE_BOOL || kind == TNODE_DOT || kind == TNODE_NIL || kind == TNODE_NUMBER ||
            kind == TNODE_STRING)
            return tparser_fail(p, "non executable command in pipeline stage %zu", i + 1);
    }
    return pipe;
}

struct tnode *tpipeline_parse(struct tparser *p, const char *context, enum tlex_type end)
{
    struct tnode *pipe = tparser_node(p, TNODE_PIPE, tparser_peek_word(p)->pos);
    if (!declarations(p, pipe, context))
        return NULL;
    for (;;) {
        const struct tlex_token *t = tparser_next_word(p);
        if (t->type == end)
            return check_pipeline(p, pipe, context);
        if (!is_operand(t->type))
            return tparser_unexpected(p, t, context);
        p->at--;
        struct tnode *cmd = command(p);
        if (cmd == NULL)
            return NULL;
        tparser_add_kid(p, pipe, cmd);
    }
}
