#include "logql/template/parser.h"

#include "base/goquote.h"
#include "base/mem.h"
#include "logql/template/statement.h"

/* Lists in lists and parentheses in parentheses; far more than people write, far less than a stack
 * holds. */
#define DEPTH_MAX      100
#define TEXT_BYTES_MAX (1024 * 1024)
#define ARENA_MAX      (256 * 1024 * 1024)

/* --- tokens --- */

const struct tlex_token *tparser_peek(struct tparser *p)
{
    const struct tlex_token *t = &p->tokens.items[MIN(p->at, p->tokens.len - 1)];
    p->line = MAX(p->line, t->line);
    return t;
}

const struct tlex_token *tparser_next(struct tparser *p)
{
    const struct tlex_token *t = tparser_peek(p);
    p->at++;
    return t;
}

const struct tlex_token *tparser_peek_word(struct tparser *p)
{
    while (tparser_peek(p)->type == TLEX_SPACE)
        p->at++;
    return tparser_peek(p);
}

const struct tlex_token *tparser_next_word(struct tparser *p)
{
    const struct tlex_token *t = tparser_peek_word(p);
    p->at++;
    return t;
}

/* --- errors --- */

struct tnode *tparser_fail(struct tparser *p, const char *fmt, ...)
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

struct tnode *tparser_fail_quoted(struct tparser *p, const char *fmt, str s)
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
    return tparser_fail(p, "%s", text.text);
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

struct tnode *tparser_unexpected(struct tparser *p, const struct tlex_token *t, const char *context)
{
    if (t->type == TLEX_ERROR) {
        bool started = p->action_line != 0 && p->action_line != t->line;
        if (!started)
            return tparser_fail(p, "%.*s", STR_ARG(t->val));
        bool action = str_has_suffix(t->val, STR(" action"));
        return tparser_fail(p, "%.*s%s started at %.*s:%u", STR_ARG(t->val),
                            action ? "" : " in action", STR_ARG(p->t->name), p->action_line);
    }
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    append_token(&b, t);
    tparser_fail(p, "unexpected %s in %s", buf_c(&b), context);
    buf_deinit(&b);
    return NULL;
}

const struct tlex_token *tparser_expect(struct tparser *p, enum tlex_type type, const char *context)
{
    const struct tlex_token *t = tparser_next_word(p);
    if (t->type != type)
        tparser_unexpected(p, t, context);
    return t;
}

/* --- nodes --- */

struct tnode *tparser_node(struct tparser *p, enum tnode_kind kind, uint32_t pos)
{
    struct tnode *n = ARENA_NEW(&p->t->arena, struct tnode);
    n->kind = kind;
    n->pos = pos;
    return n;
}

void tparser_add_kid(struct tparser *p, struct tnode *n, struct tnode *kid)
{
    VEC_PUSH_ARENA(&p->t->arena, &n->kids, kid);
}

bool tparser_unquote(struct tparser *p, const struct tlex_token *t, str *ret)
{
    struct buf b;
    buf_init(&b, TEXT_BYTES_MAX * 4);
    bool ok = gounquote(t->val, &b) == 0;
    if (ok)
        *ret = arena_str(&p->t->arena, buf_str(&b));
    else
        tparser_fail(p, "invalid syntax");
    buf_deinit(&b);
    return ok;
}

bool tparser_enter(struct tparser *p)
{
    if (++p->depth <= DEPTH_MAX)
        return true;
    tparser_fail(p, "max expression depth exceeded");
    return false;
}

/* --- a whole template --- */

int template_parse(str name, str text, const struct template_funcs *funcs, struct template **ret,
                   struct error *err)
{
    if (text.len > TEXT_BYTES_MAX)
        return error_set(err, E_PARSE, "template: %.*s: template is too long", STR_ARG(name));
    struct template *t = mem_zalloc(sizeof *t);
    arena_init(&t->arena, ARENA_MAX);
    t->name = arena_str(&t->arena, name);
    t->text = arena_str(&t->arena, text);
    struct tparser p = {.t = t, .funcs = funcs, .line = 1, .err = err};
    VEC_PUSH_ARENA(&t->arena, &p.vars, STR("$"));
    tlex(t->text, &t->arena, &p.tokens);
    if (!tstatement_parse_all(&p)) {
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
