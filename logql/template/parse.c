#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/call.h"
#include "logql/template/lex.h"

/* Lists in lists and parentheses in parentheses; far more than people write, far less than a stack
 * holds. */
#define DEPTH_MAX      100
#define TEXT_BYTES_MAX (1024 * 1024)
#define ARENA_MAX      (256 * 1024 * 1024)

struct parser {
    struct template *t;
    const struct template_funcs *funcs;
    tlex_tokens tokens;
    size_t at;
    uint32_t line;        /* of the token looked at last */
    uint32_t action_line; /* where the action began, 0 outside */
    VEC(str) vars;
    int depth, range_depth;
    struct error *err;
    bool failed;
};

/* --- tokens --- */

static const struct tlex_token *peek(struct parser *p)
{
    const struct tlex_token *t = &p->tokens.items[MIN(p->at, p->tokens.len - 1)];
    p->line = MAX(p->line, t->line);
    return t;
}

static const struct tlex_token *next(struct parser *p)
{
    const struct tlex_token *t = peek(p);
    p->at++;
    return t;
}

static const struct tlex_token *peek_word(struct parser *p)
{
    while (peek(p)->type == TLEX_SPACE)
        p->at++;
    return peek(p);
}

static const struct tlex_token *next_word(struct parser *p)
{
    const struct tlex_token *t = peek_word(p);
    p->at++;
    return t;
}

/* --- errors --- */

__attribute__((format(printf, 2, 3))) static struct tnode *fail(struct parser *p, const char *fmt,
                                                                ...)
{
    if (p->failed)
        return NULL;
    p->failed = true;
    struct error text = {0};
    va_list ap;
    va_start(ap, fmt);
    error_vset(&text, E_PARSE, fmt, ap);
    va_end(ap);
    error_set(p->err, E_PARSE, "template: %.*s:%u: %s", STR_ARG(p->t->name), p->line, text.text);
    return NULL;
}

static struct tnode *fail_quoted(struct parser *p, const char *fmt, str s)
{
    struct buf quoted;
    buf_init(&quoted, ERROR_TEXT_MAX);
    goquote(&quoted, s);
    struct error text = {0};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    error_set(&text, E_PARSE, fmt, buf_c(&quoted));
#pragma GCC diagnostic pop
    buf_deinit(&quoted);
    return fail(p, "%s", text.text);
}

/* How Go's errors name a token: EOF, <end>, "text", "long text "... */
static void append_token(struct buf *b, const struct tlex_token *t)
{
    if (t->type == TLEX_EOF) {
        buf_append_c(b, "EOF");
    } else if (t->type >= TLEX_DOT) {
        buf_printf(b, "<%.*s>", STR_ARG(t->val));
    } else {
        bool cut = t->val.len > 10;
        goquote(b, str_sub(t->val, 0, 10));
        buf_append_c(b, cut ? "..." : "");
    }
}

static struct tnode *unexpected(struct parser *p, const struct tlex_token *t, const char *context)
{
    if (t->type == TLEX_ERROR) {
        bool started = p->action_line != 0 && p->action_line != t->line;
        if (!started)
            return fail(p, "%.*s", STR_ARG(t->val));
        bool action = str_has_suffix(t->val, STR(" action"));
        return fail(p, "%.*s%s started at %.*s:%u", STR_ARG(t->val), action ? "" : " in action",
                    STR_ARG(p->t->name), p->action_line);
    }
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    append_token(&b, t);
    fail(p, "unexpected %s in %s", buf_c(&b), context);
    buf_deinit(&b);
    return NULL;
}

static const struct tlex_token *expect(struct parser *p, enum tlex_type type, const char *context)
{
    const struct tlex_token *t = next_word(p);
    if (t->type != type)
        unexpected(p, t, context);
    return t;
}

/* --- nodes --- */

static struct tnode *new_node(struct parser *p, enum tnode_kind kind, uint32_t pos)
{
    struct tnode *n = ARENA_NEW(&p->t->arena, struct tnode);
    n->kind = kind;
    n->pos = pos;
    return n;
}

static void add_kid(struct parser *p, struct tnode *n, struct tnode *kid)
{
    VEC_PUSH_ARENA(&p->t->arena, &n->kids, kid);
}

static void add_ident(struct parser *p, struct tnode *n, str ident)
{
    VEC_PUSH_ARENA(&p->t->arena, &n->idents, ident);
}

static bool unquote(struct parser *p, const struct tlex_token *t, str *ret)
{
    struct buf b;
    buf_init(&b, TEXT_BYTES_MAX * 4);
    bool ok = gounquote(t->val, &b) == 0;
    if (ok)
        *ret = arena_str(&p->t->arena, buf_str(&b));
    else
        fail(p, "invalid syntax");
    buf_deinit(&b);
    return ok;
}

static struct tnode *pipeline(struct parser *p, const char *context, enum tlex_type end);
static struct tnode *item_list(struct parser *p, struct tnode **ret_end);

static bool enter(struct parser *p)
{
    if (++p->depth <= DEPTH_MAX)
        return true;
    fail(p, "max expression depth exceeded");
    return false;
}

/* --- operands --- */

static struct tnode *char_constant(struct parser *p, struct tnode *n)
{
    struct buf b;
    buf_init(&b, 16);
    bool ok = gounquote(n->text, &b) == 0 && b.len > 0;
    uint32_t rune = 0;
    if (ok)
        utf8_decode(buf_str(&b), &rune);
    buf_deinit(&b);
    if (!ok)
        return fail(p, "malformed character constant: %.*s", STR_ARG(n->text));
    n->is_int = n->is_float = true;
    n->i = rune;
    n->f = rune;
    n->value = tval_int(n->i);
    return n;
}

static struct tnode *number(struct parser *p, const struct tlex_token *t)
{
    struct tnode *n = new_node(p, TNODE_NUMBER, t->pos);
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
            return fail_quoted(p, "integer overflow: %s", n->text);
        n->is_float = true;
        n->is_int = n->f >= -9.2e18 && n->f <= 9.2e18 && (double)(int64_t)n->f == n->f;
        n->i = n->is_int ? (int64_t)n->f : 0;
        n->value = tval_float(n->f);
    } else {
        return fail_quoted(p, "illegal number syntax: %s", n->text);
    }
    if (n->is_float && looks_float && !(hex && n->is_int && !n->is_bad))
        n->value = tval_float(n->f);
    return n;
}

static struct tnode *identifier(struct parser *p, const struct tlex_token *t)
{
    struct tnode *n = new_node(p, TNODE_IDENTIFIER, t->pos);
    n->text = t->val;
    n->func = template_func_find(p->funcs, t->val);
    return n->func != NULL ? n : fail_quoted(p, "function %s not defined", t->val);
}

static struct tnode *variable(struct parser *p, const struct tlex_token *t)
{
    struct tnode *n = new_node(p, TNODE_VARIABLE, t->pos);
    n->text = t->val;
    add_ident(p, n, t->val);
    return n;
}

static struct tnode *use_variable(struct parser *p, const struct tlex_token *t)
{
    for (size_t i = 0; i < p->vars.len; i++)
        if (str_eq(p->vars.items[i], t->val))
            return variable(p, t);
    return fail_quoted(p, "undefined variable %s", t->val);
}

static struct tnode *string_node(struct parser *p, const struct tlex_token *t)
{
    struct tnode *n = new_node(p, TNODE_STRING, t->pos);
    n->text = t->val;
    str s;
    if (!unquote(p, t, &s))
        return NULL;
    n->value = tval_str(s);
    return n;
}

/* One word or a pipeline in parentheses; NULL without an error if there is none. */
static struct tnode *term(struct parser *p)
{
    const struct tlex_token *t = next_word(p);
    struct tnode *n;
    switch (t->type) {
    case TLEX_IDENTIFIER:
        return identifier(p, t);
    case TLEX_DOT:
        return new_node(p, TNODE_DOT, t->pos);
    case TLEX_NIL:
        return new_node(p, TNODE_NIL, t->pos);
    case TLEX_VARIABLE:
        return use_variable(p, t);
    case TLEX_FIELD:
        n = new_node(p, TNODE_FIELD, t->pos);
        add_ident(p, n, str_from(t->val, 1));
        return n;
    case TLEX_BOOL:
        n = new_node(p, TNODE_BOOL, t->pos);
        n->text = t->val;
        n->value = tval_bool(t->val.len == 4);
        return n;
    case TLEX_CHAR_CONSTANT:
    case TLEX_NUMBER:
        return number(p, t);
    case TLEX_LEFT_PAREN:
        n = enter(p) ? pipeline(p, "parenthesized pipeline", TLEX_RIGHT_PAREN) : NULL;
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

static void append_node_quoted(struct parser *p, const char *fmt, const struct tnode *n)
{
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    tnode_append_text(n, &b);
    fail_quoted(p, fmt, buf_str(&b));
    buf_deinit(&b);
}

/* A term and the fields behind it. */
static struct tnode *operand(struct parser *p)
{
    struct tnode *n = term(p);
    if (n == NULL || peek(p)->type != TLEX_FIELD)
        return n;
    uint32_t pos = peek(p)->pos;
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
        struct tnode *chain = new_node(p, TNODE_CHAIN, pos);
        add_kid(p, chain, n);
        n = chain;
    }
    }
    while (peek(p)->type == TLEX_FIELD)
        add_ident(p, n, str_from(next(p)->val, 1));
    return n;
}

static struct tnode *command(struct parser *p)
{
    struct tnode *cmd = new_node(p, TNODE_COMMAND, peek_word(p)->pos);
    for (;;) {
        struct tnode *n = operand(p);
        if (p->failed)
            return NULL;
        if (n != NULL)
            add_kid(p, cmd, n);
        const struct tlex_token *t = next(p);
        if (t->type == TLEX_SPACE)
            continue;
        if (t->type == TLEX_RIGHT_DELIM || t->type == TLEX_RIGHT_PAREN)
            p->at--;
        else if (t->type != TLEX_PIPE)
            return unexpected(p, t, "operand");
        break;
    }
    return cmd->kids.len > 0 ? cmd : fail(p, "empty command");
}

/* --- pipelines --- */

static void declare(struct parser *p, struct tnode *pipe, const struct tlex_token *t)
{
    struct tnode *v = variable(p, t);
    VEC_PUSH_ARENA(&p->t->arena, &pipe->decl, v);
    VEC_PUSH_ARENA(&p->t->arena, &p->vars, t->val);
}

/* $x := , $x = , and in range also $i, $x := */
static bool declarations(struct parser *p, struct tnode *pipe, const char *context)
{
    for (;;) {
        if (peek_word(p)->type != TLEX_VARIABLE)
            return true;
        size_t start = p->at;
        const struct tlex_token *v = next(p), *after = peek_word(p);
        if (after->type == TLEX_ASSIGN || after->type == TLEX_DECLARE) {
            pipe->is_assign = after->type == TLEX_ASSIGN;
            next(p);
            declare(p, pipe, v);
            return true;
        }
        if (after->type != TLEX_CHAR || !str_eq(after->val, STR(","))) {
            p->at = start; /* it is an operand */
            return true;
        }
        next(p);
        declare(p, pipe, v);
        if (strcmp(context, "range") != 0 || pipe->decl.len >= 2) {
            fail(p, "too many declarations in %s", context);
            return false;
        }
        enum tlex_type type = peek_word(p)->type;
        if (type != TLEX_VARIABLE && type != TLEX_RIGHT_DELIM && type != TLEX_RIGHT_PAREN) {
            fail(p, "range can only initialize variables");
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
static struct tnode *check_pipeline(struct parser *p, struct tnode *pipe, const char *context)
{
    if (pipe->kids.len == 0)
        return fail(p, "missing value for %s", context);
    for (size_t i = 1; i < pipe->kids.len; i++) {
        enum tnode_kind kind = pipe->kids.items[i]->kids.items[0]->kind;
        if (kind == TNODE_BOOL || kind == TNODE_DOT || kind == TNODE_NIL || kind == TNODE_NUMBER ||
            kind == TNODE_STRING)
            return fail(p, "non executable command in pipeline stage %zu", i + 1);
    }
    return pipe;
}

static struct tnode *pipeline(struct parser *p, const char *context, enum tlex_type end)
{
    struct tnode *pipe = new_node(p, TNODE_PIPE, peek_word(p)->pos);
    if (!declarations(p, pipe, context))
        return NULL;
    for (;;) {
        const struct tlex_token *t = next_word(p);
        if (t->type == end)
            return check_pipeline(p, pipe, context);
        if (!is_operand(t->type))
            return unexpected(p, t, context);
        p->at--;
        struct tnode *cmd = command(p);
        if (cmd == NULL)
            return NULL;
        add_kid(p, pipe, cmd);
    }
}

/* --- actions --- */

/* if, range, with: their pipeline, list and else list. */
static struct tnode *control(struct parser *p, enum tnode_kind kind, const char *context)
{
    struct tnode *n = new_node(p, kind, 0), *end = NULL;
    size_t n_vars = p->vars.len;
    if (!enter(p))
        return NULL;
    n->pipe = pipeline(p, context, TLEX_RIGHT_DELIM);
    if (n->pipe == NULL)
        return NULL;
    n->pos = n->pipe->pos;
    p->range_depth += kind == TNODE_RANGE;
    n->list = item_list(p, &end);
    p->range_depth -= kind == TNODE_RANGE;
    if (n->list == NULL)
        return NULL;
    if (end->kind == TNODE_ELSE) {
        enum tlex_type type = peek(p)->type;
        bool again =
            (kind == TNODE_IF && type == TLEX_IF) || (kind == TNODE_WITH && type == TLEX_WITH);
        if (again) { /* else if: the one {{end}} closes both */
            next(p);
            struct tnode *inner = control(p, kind, context);
            if (inner == NULL)
                return NULL;
            n->else_list = new_node(p, TNODE_LIST, end->pos);
            add_kid(p, n->else_list, inner);
        } else {
            n->else_list = item_list(p, &end);
            if (n->else_list == NULL)
                return NULL;
            if (end->kind != TNODE_END)
                return fail(p, "expected end; found {{else}}");
        }
    }
    p->vars.len = n_vars;
    p->depth--;
    return n;
}

static struct tnode *break_or_continue(struct parser *p, const struct tlex_token *t)
{
    bool is_break = t->type == TLEX_BREAK;
    const char *what = is_break ? "{{break}}" : "{{continue}}";
    const struct tlex_token *end = next_word(p);
    if (end->type != TLEX_RIGHT_DELIM)
        return unexpected(p, end, what);
    if (p->range_depth == 0)
        return fail(p, "%s outside {{range}}", what);
    return new_node(p, is_break ? TNODE_BREAK : TNODE_CONTINUE, t->pos);
}

static struct tnode *else_control(struct parser *p)
{
    const struct tlex_token *t = peek_word(p);
    if (t->type == TLEX_IF || t->type == TLEX_WITH)
        return new_node(p, TNODE_ELSE, t->pos);
    t = expect(p, TLEX_RIGHT_DELIM, "else");
    return p->failed ? NULL : new_node(p, TNODE_ELSE, t->pos);
}

static bool template_name(struct parser *p, const struct tlex_token *t, const char *context,
                          str *ret)
{
    if (t->type == TLEX_STRING || t->type == TLEX_RAW_STRING)
        return unquote(p, t, ret);
    unexpected(p, t, context);
    return false;
}

/* Nothing but blanks. */
static bool is_empty_list(const struct tnode *list)
{
    for (size_t i = 0; i < list->kids.len; i++) {
        const struct tnode *n = list->kids.items[i];
        if (n->kind != TNODE_TEXT || utf8_trim_space(n->text).len > 0)
            return false;
    }
    return true;
}

static bool add_tree(struct parser *p, str name, struct tnode *root)
{
    struct tnode_tree *old = template_find_tree(p->t, name);
    if (old == NULL) {
        struct tnode_tree tree = {name, root};
        VEC_PUSH_ARENA(&p->t->arena, &p->t->trees, tree);
    } else if (old->root == NULL || is_empty_list(old->root)) {
        old->root = root;
    } else if (!is_empty_list(root)) {
        fail_quoted(p, "template: multiple definition of template %s", name);
        return false;
    }
    return true;
}

/* The body of define and block: variables outside are not seen inside. */
static bool definition(struct parser *p, str name, const char *context)
{
    struct parser inner = *p;
    inner.vars.items = NULL;
    inner.vars.len = inner.vars.cap = 0;
    VEC_PUSH_ARENA(&p->t->arena, &inner.vars, STR("$"));
    inner.range_depth = 0;
    struct tnode *end = NULL;
    struct tnode *list = enter(&inner) ? item_list(&inner, &end) : NULL;
    if (list != NULL && end->kind != TNODE_END)
        fail(&inner, "unexpected {{else}} in %s", context);
    if (!inner.failed)
        add_tree(&inner, name, list);
    p->at = inner.at;
    p->line = inner.line;
    p->failed = inner.failed;
    return !p->failed;
}

static struct tnode *block_control(struct parser *p)
{
    static const char context[] = "block clause";
    const struct tlex_token *t = next_word(p);
    struct tnode *n = new_node(p, TNODE_TEMPLATE, t->pos);
    if (!template_name(p, t, context, &n->text))
        return NULL;
    n->pipe = pipeline(p, context, TLEX_RIGHT_DELIM);
    return n->pipe != NULL && definition(p, n->text, context) ? n : NULL;
}

static struct tnode *template_control(struct parser *p)
{
    static const char context[] = "template clause";
    const struct tlex_token *t = next_word(p);
    struct tnode *n = new_node(p, TNODE_TEMPLATE, t->pos);
    if (!template_name(p, t, context, &n->text))
        return NULL;
    if (next_word(p)->type == TLEX_RIGHT_DELIM)
        return n;
    p->at--;
    n->pipe = pipeline(p, context, TLEX_RIGHT_DELIM);
    return n->pipe != NULL ? n : NULL;
}

/* The field of a pipeline that is .name and nothing else, NULL for any other. */
static struct tnode *plain_label(const struct tnode *pipe)
{
    const struct tnode *cmd = pipe->kids.items[0];
    struct tnode *n = cmd->kids.items[0];
    bool plain = pipe->kids.len == 1 && pipe->decl.len == 0 && cmd->kids.len == 1 &&
                 n->kind == TNODE_FIELD && n->idents.len == 1;
    return plain ? n : NULL;
}

static struct tnode *action(struct parser *p)
{
    const struct tlex_token *t = next_word(p);
    switch (t->type) {
    case TLEX_BLOCK:
        return block_control(p);
    case TLEX_BREAK:
    case TLEX_CONTINUE:
        return break_or_continue(p, t);
    case TLEX_ELSE:
        return else_control(p);
    case TLEX_END:
        t = expect(p, TLEX_RIGHT_DELIM, "end");
        return p->failed ? NULL : new_node(p, TNODE_END, t->pos);
    case TLEX_IF:
        return control(p, TNODE_IF, "if");
    case TLEX_RANGE:
        return control(p, TNODE_RANGE, "range");
    case TLEX_TEMPLATE:
        return template_control(p);
    case TLEX_WITH:
        return control(p, TNODE_WITH, "with");
    default:
        break;
    }
    p->at--;
    struct tnode *n = new_node(p, TNODE_ACTION, peek(p)->pos);
    n->pipe = pipeline(p, "command", TLEX_RIGHT_DELIM);
    if (n->pipe == NULL)
        return NULL;
    n->label = plain_label(n->pipe);
    return n;
}

static struct tnode *text_or_action(struct parser *p)
{
    const struct tlex_token *t = next_word(p);
    if (t->type == TLEX_TEXT) {
        struct tnode *n = new_node(p, TNODE_TEXT, t->pos);
        n->text = t->val;
        return n;
    }
    if (t->type != TLEX_LEFT_DELIM)
        return unexpected(p, t, "input");
    p->action_line = t->line;
    struct tnode *n = action(p);
    p->action_line = 0;
    return n;
}

/* Up to {{end}} or {{else}}, which is returned apart; NULL on an error. */
static struct tnode *item_list(struct parser *p, struct tnode **ret_end)
{
    struct tnode *list = new_node(p, TNODE_LIST, peek_word(p)->pos);
    while (peek_word(p)->type != TLEX_EOF) {
        struct tnode *n = text_or_action(p);
        if (n == NULL)
            return NULL;
        if (n->kind == TNODE_END || n->kind == TNODE_ELSE) {
            *ret_end = n;
            return list;
        }
        add_kid(p, list, n);
    }
    return fail(p, "unexpected EOF");
}

static bool define(struct parser *p)
{
    static const char context[] = "define clause";
    const struct tlex_token *t = next_word(p);
    str name;
    if (!template_name(p, t, context, &name))
        return false;
    expect(p, TLEX_RIGHT_DELIM, context);
    return !p->failed && definition(p, name, context);
}

static bool parse_all(struct parser *p)
{
    struct tnode *root = new_node(p, TNODE_LIST, 0);
    while (peek(p)->type != TLEX_EOF) {
        size_t start = p->at;
        if (next(p)->type == TLEX_LEFT_DELIM && next_word(p)->type == TLEX_DEFINE) {
            if (!define(p))
                return false;
            continue;
        }
        p->at = start;
        struct tnode *n = text_or_action(p);
        if (n == NULL)
            return false;
        if (n->kind == TNODE_END || n->kind == TNODE_ELSE) {
            fail(p, "unexpected {{%s}}", n->kind == TNODE_END ? "end" : "else");
            return false;
        }
        add_kid(p, root, n);
    }
    return add_tree(p, p->t->name, root);
}

int template_parse(str name, str text, const struct template_funcs *funcs, struct template **ret,
                   struct error *err)
{
    if (text.len > TEXT_BYTES_MAX)
        return error_set(err, E_PARSE, "template: %.*s: template is too long", STR_ARG(name));
    struct template *t = mem_zalloc(sizeof *t);
    arena_init(&t->arena, ARENA_MAX);
    t->name = arena_str(&t->arena, name);
    t->text = arena_str(&t->arena, text);
    struct parser p = {.t = t, .funcs = funcs, .line = 1, .err = err};
    VEC_PUSH_ARENA(&t->arena, &p.vars, STR("$"));
    tlex(t->text, &t->arena, &p.tokens);
    if (!parse_all(&p)) {
        template_free(t);
        return E_PARSE;
    }
    template_collect_fields(t);
    *ret = t;
    return 0;
}

void template_free(struct template *t)
{
    if (t == NULL)
        return;
    arena_deinit(&t->arena);
    mem_free(t);
}
