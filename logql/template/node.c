#include "logql/template/node.h"

#include "base/goquote.h"
#include "base/mem.h"

struct tnode_tree *template_find_tree(const struct template *t, str name)
{
    for (size_t i = 0; i < t->trees.len; i++)
        if (str_eq(t->trees.items[i].name, name))
            return &t->trees.items[i];
    return NULL;
}

static void append_joined(const struct tnode *n, struct buf *b)
{
    for (size_t i = 0; i < n->idents.len; i++) {
        if (i > 0)
            buf_append_char(b, '.');
        buf_append_str(b, n->idents.items[i]);
    }
}

/* An operand: pipelines stand in parentheses. */
static void append_operand(const struct tnode *n, struct buf *b)
{
    if (n->kind == TNODE_PIPE)
        buf_append_char(b, '(');
    tnode_append_text(n, b);
    if (n->kind == TNODE_PIPE)
        buf_append_char(b, ')');
}

static void append_pipe(const struct tnode *n, struct buf *b)
{
    for (size_t i = 0; i < n->decl.len; i++) {
        if (i > 0)
            buf_append_c(b, ", ");
        append_joined(n->decl.items[i], b);
    }
    if (n->decl.len > 0)
        buf_append_c(b, n->is_assign ? " = " : " := ");
    for (size_t i = 0; i < n->kids.len; i++) {
        if (i > 0)
            buf_append_c(b, " | ");
        tnode_append_text(n->kids.items[i], b);
    }
}

static void append_template(const struct tnode *n, struct buf *b)
{
    buf_append_c(b, "{{template ");
    goquote(b, n->text);
    if (n->pipe != NULL) {
        buf_append_char(b, ' ');
        tnode_append_text(n->pipe, b);
    }
    buf_append_c(b, "}}");
}

void tnode_append_text(const struct tnode *n, struct buf *b)
{
    switch (n->kind) {
    case TNODE_PIPE:
        append_pipe(n, b);
        break;
    case TNODE_COMMAND:
        for (size_t i = 0; i < n->kids.len; i++) {
            if (i > 0)
                buf_append_char(b, ' ');
            append_operand(n->kids.items[i], b);
        }
        break;
    case TNODE_CHAIN:
        append_operand(n->kids.items[0], b);
        buf_append_char(b, '.');
        append_joined(n, b);
        break;
    case TNODE_FIELD:
        buf_append_char(b, '.');
        append_joined(n, b);
        break;
    case TNODE_VARIABLE:
        append_joined(n, b);
        break;
    case TNODE_DOT:
        buf_append_char(b, '.');
        break;
    case TNODE_NIL:
        buf_append_c(b, "nil");
        break;
    case TNODE_TEMPLATE:
        append_template(n, b);
        break;
    case TNODE_ACTION:
        buf_append_c(b, "{{");
        append_pipe(n->pipe, b);
        buf_append_c(b, "}}");
        break;
    case TNODE_END:
        buf_append_c(b, "{{end}}");
        break;
    case TNODE_ELSE:
        buf_append_c(b, "{{else}}");
        break;
    default:
        buf_append_str(b, n->text);
        break;
    }
}

static void add_field(struct template *t, str name)
{
    for (size_t i = 0; i < t->fields.len; i++)
        if (str_eq(t->fields.items[i], name))
            return;
    VEC_PUSH_ARENA(&t->arena, &t->fields, name);
}

/* Inside range and with the dot may be something else; counting its fields too does no harm. */
static void collect(struct template *t, const struct tnode *n)
{
    if (n == NULL)
        return;
    if (n->kind == TNODE_DOT)
        t->any_field = true;
    if (n->kind == TNODE_FIELD)
        add_field(t, n->idents.items[0]);
    if (n->kind == TNODE_VARIABLE && str_eq(n->idents.items[0], STR("$"))) {
        if (n->idents.len > 1)
            add_field(t, n->idents.items[1]);
        else
            t->any_field = true;
    }
    if (n->kind == TNODE_CHAIN && n->kids.items[0]->kind == TNODE_DOT)
        t->any_field = true;
    if (n->kind == TNODE_IDENTIFIER && str_has_prefix(n->text, STR("__")))
        t->needs_line = true; /* __line__, __timestamp__ */
    for (size_t i = 0; i < n->kids.len; i++)
        collect(t, n->kids.items[i]);
    collect(t, n->pipe);
    collect(t, n->list);
    collect(t, n->else_list);
}

void template_collect_fields(struct template *t)
{
    for (size_t i = 0; i < t->trees.len; i++)
        collect(t, t->trees.items[i].root);
}

bool template_needed_fields(const struct template *t, const str **ret, size_t *ret_n)
{
    *ret = t->fields.items;
    *ret_n = t->fields.len;
    return !t->any_field;
}

bool template_needs_line(const struct template *t)
{
    return t->needs_line;
}
