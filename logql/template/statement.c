#include "logql/template/statement.h"

#include "base/utf8.h"
#include "logql/template/pipeline.h"

static struct tnode *item_list(struct tparser *p, struct tnode **ret_end);

/* if, range, with: their pipeline, list and else list. */
static struct tnode *control(struct tparser *p, enum tnode_kind kind, const char *context)
{
    struct tnode *n = tparser_node(p, kind, 0), *end = NULL;
    size_t n_vars = p->vars.len;
    if (!tparser_enter(p))
        return NULL;
    n->pipe = tpipeline_parse(p, context, TLEX_RIGHT_DELIM);
    if (n->pipe == NULL)
        return NULL;
    n->pos = n->pipe->pos;
    p->range_depth += kind == TNODE_RANGE;
    n->list = item_list(p, &end);
    p->range_depth -= kind == TNODE_RANGE;
    if (n->list == NULL)
        return NULL;
    if (end->kind == TNODE_ELSE) {
        enum tlex_type type = tparser_peek(p)->type;
        bool again =
            (kind == TNODE_IF && type == TLEX_IF) || (kind == TNODE_WITH && type == TLEX_WITH);
        if (again) { /* else if: the one {{end}} closes both */
            tparser_next(p);
            struct tnode *inner = control(p, kind, context);
            if (inner == NULL)
                return NULL;
            n->else_list = tparser_node(p, TNODE_LIST, end->pos);
            tparser_add_kid(p, n->else_list, inner);
        } else {
            n->else_list = item_list(p, &end);
            if (n->else_list == NULL)
                return NULL;
            if (end->kind != TNODE_END)
                return tparser_fail(p, "expected end; found {{else}}");
        }
    }
    p->vars.len = n_vars;
    p->depth--;
    return n;
}

static struct tnode *break_or_continue(struct tparser *p, const struct tlex_token *t)
{
    bool is_break = t->type == TLEX_BREAK;
    const char *what = is_break ? "{{break}}" : "{{continue}}";
    const struct tlex_token *end = tparser_next_word(p);
    if (end->type != TLEX_RIGHT_DELIM)
        return tparser_unexpected(p, end, what);
    if (p->range_depth == 0)
        return tparser_fail(p, "%s outside {{range}}", what);
    return tparser_node(p, is_break ? TNODE_BREAK : TNODE_CONTINUE, t->pos);
}

static struct tnode *else_control(struct tparser *p)
{
    const struct tlex_token *t = tparser_peek_word(p);
    if (t->type == TLEX_IF || t->type == TLEX_WITH)
        return tparser_node(p, TNODE_ELSE, t->pos);
    t = tparser_expect(p, TLEX_RIGHT_DELIM, "else");
    return p->failed ? NULL : tparser_node(p, TNODE_ELSE, t->pos);
}

static bool template_name(struct tparser *p, const struct tlex_token *t, const char *context,
                          str *ret)
{
    if (t->type == TLEX_STRING || t->type == TLEX_RAW_STRING)
        return tparser_unquote(p, t, ret);
    tparser_unexpected(p, t, context);
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

static bool add_tree(struct tparser *p, str name, struct tnode *root)
{
    struct tnode_tree *old = template_find_tree(p->t, name);
    if (old == NULL) {
        struct tnode_tree tree = {name, root};
        VEC_PUSH_ARENA(&p->t->arena, &p->t->trees, tree);
    } else if (old->root == NULL || is_empty_list(old->root)) {
        old->root = root;
    } else if (!is_empty_list(root)) {
        tparser_fail_quoted(p, "template: multiple definition of template %s", name);
        return false;
    }
    return true;
}

/* The body of define and block: variables outside are not seen inside. */
static bool definition(struct tparser *p, str name, const char *context)
{
    struct tparser inner = *p;
    inner.vars.items = NULL;
    inner.vars.len = inner.vars.cap = 0;
    VEC_PUSH_ARENA(&p->t->arena, &inner.vars, STR("$"));
    inner.range_depth = 0;
    struct tnode *end = NULL;
    struct tnode *list = tparser_enter(&inner) ? item_list(&inner, &end) : NULL;
    if (list != NULL && end->kind != TNODE_END)
        tparser_fail(&inner, "unexpected {{else}} in %s", context);
    if (!inner.failed)
        add_tree(&inner, name, list);
    p->at = inner.at;
    p->line = inner.line;
    p->failed = inner.failed;
    return !p->failed;
}

static struct tnode *block_control(struct tparser *p)
{
    static const char context[] = "block clause";
    const struct tlex_token *t = tparser_next_word(p);
    struct tnode *n = tparser_node(p, TNODE_TEMPLATE, t->pos);
    if (!template_name(p, t, context, &n->text))
        return NULL;
    n->pipe = tpipeline_parse(p, context, TLEX_RIGHT_DELIM);
    return n->pipe != NULL && definition(p, n->text, context) ? n : NULL;
}

static struct tnode *template_control(struct tparser *p)
{
    static const char context[] = "template clause";
    const struct tlex_token *t = tparser_next_word(p);
    struct tnode *n = tparser_node(p, TNODE_TEMPLATE, t->pos);
    if (!template_name(p, t, context, &n->text))
        return NULL;
    if (tparser_next_word(p)->type == TLEX_RIGHT_DELIM)
        return n;
    p->at--;
    n->pipe = tpipeline_parse(p, context, TLEX_RIGHT_DELIM);
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

static struct tnode *action(struct tparser *p)
{
    const struct tlex_token *t = tparser_next_word(p);
    switch (t->type) {
    case TLEX_BLOCK:
        return block_control(p);
    case TLEX_BREAK:
    case TLEX_CONTINUE:
        return break_or_continue(p, t);
    case TLEX_ELSE:
        return else_control(p);
    case TLEX_END:
        t = tparser_expect(p, TLEX_RIGHT_DELIM, "end");
        return p->failed ? NULL : tparser_node(p, TNODE_END, t->pos);
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
    struct tnode *n = tparser_node(p, TNODE_ACTION, tparser_peek(p)->pos);
    n->pipe = tpipeline_parse(p, "command", TLEX_RIGHT_DELIM);
    if (n->pipe == NULL)
        return NULL;
    n->label = plain_label(n->pipe);
    return n;
}

static struct tnode *text_or_action(struct tparser *p)
{
    const struct tlex_token *t = tparser_next_word(p);
    if (t->type == TLEX_TEXT) {
        struct tnode *n = tparser_node(p, TNODE_TEXT, t->pos);
        n->text = t->val;
        return n;
    }
    if (t->type != TLEX_LEFT_DELIM)
        return tparser_unexpected(p, t, "input");
    p->action_line = t->line;
    struct tnode *n = action(p);
    p->action_line = 0;
    return n;
}

/* Up to {{end}} or {{else}}, which is returned apart; NULL on an error. */
static struct tnode *item_list(struct tparser *p, struct tnode **ret_end)
{
    struct tnode *list = tparser_node(p, TNODE_LIST, tparser_peek_word(p)->pos);
    while (tparser_peek_word(p)->type != TLEX_EOF) {
        struct tnode *n = text_or_action(p);
        if (n == NULL)
            return NULL;
        if (n->kind == TNODE_END || n->kind == TNODE_ELSE) {
            *ret_end = n;
            return list;
        }
        tparser_add_kid(p, list, n);
    }
    return tparser_fail(p, "unexpected EOF");
}

static bool define(struct tparser *p)
{
    static const char context[] = "define clause";
    const struct tlex_token *t = tparser_next_word(p);
    str name;
    if (!template_name(p, t, context, &name))
        return false;
    tparser_expect(p, TLEX_RIGHT_DELIM, context);
    return !p->failed && definition(p, name, context);
}

bool tstatement_parse_all(struct tparser *p)
{
    struct tnode *root = tparser_node(p, TNODE_LIST, 0);
    while (tparser_peek(p)->type != TLEX_EOF) {
        size_t start = p->at;
        if (tparser_next(p)->type == TLEX_LEFT_DELIM && tparser_next_word(p)->type == TLEX_DEFINE) {
            if (!define(p))
                return false;
            continue;
        }
        p->at = start;
        struct tnode *n = text_or_action(p);
        if (n == NULL)
            return false;
        if (n->kind == TNODE_END || n->kind == TNODE_ELSE) {
            tparser_fail(p, "unexpected {{%s}}", n->kind == TNODE_END ? "end" : "else");
            return false;
        }
        tparser_add_kid(p, root, n);
    }
    return add_tree(p, p->t->name, root);
}
