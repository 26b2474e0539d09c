#include "base/mem.h"
#include "logql/template/eval.h"
#include "logql/template/print.h"

#define TEMPLATES_MAX 50 /* {{template}} in {{template}} */

/* What leaves a list before its end. */
enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

struct exec {
    struct teval eval;
    struct buf *out;
    int depth; /* of {{template}} */
};

static enum flow walk(struct exec *x, struct tval dot, const struct tnode *n);

static void print(struct exec *x, struct tval v)
{
    if (v.type == TVAL_STRING) {
        buf_append_str(x->out, v.s);
    } else if (v.type == TVAL_NIL) {
        buf_append_c(x->out, "<no value>");
    } else if (v.type == TVAL_ROOT) {
        struct template_call c = {.ctx = x->eval.ctx, .arena = &x->eval.ctx->arena};
        struct tval map = {.type = TVAL_MAP};
        if (template_call_map(&c, &v, &map.map) == 0)
            tprint_value(x->out, &map);
        else
            teval_fail_limit(&x->eval, "the result is too large");
    } else {
        tprint_value(x->out, &v);
    }
    if (x->out->failed)
        teval_fail_limit(&x->eval, "the output is too large");
}

static bool is_true(struct exec *x, struct tval v)
{
    str name;
    struct tval first;
    if (v.type == TVAL_ROOT)
        return x->eval.ctx->source->at(x->eval.ctx->user, 0, &name, &first);
    return tval_truth(&v);
}

static enum flow walk_if_with(struct exec *x, struct tval dot, const struct tnode *n)
{
    size_t mark = x->eval.n_vars;
    struct tval v = teval_pipeline(&x->eval, dot, n->pipe);
    enum flow flow = FLOW_NEXT;
    if (x->eval.rc == 0 && is_true(x, v))
        flow = walk(x, n->kind == TNODE_WITH ? v : dot, n->list);
    else if (x->eval.rc == 0 && n->else_list != NULL)
        flow = walk(x, dot, n->else_list);
    x->eval.n_vars = mark;
    return flow;
}

/* Sets the variables of a range and walks its body once; false to stop. */
static bool iterate(struct exec *x, const struct tnode *n, size_t mark, struct tval index,
                    struct tval item)
{
    const struct tnode *pipe = n->pipe;
    size_t n_decl = pipe->decl.len;
    if (n_decl > 0 && pipe->is_assign) {
        teval_set_var(&x->eval, pipe->decl.items[0]->idents.items[0], n_decl > 1 ? index : item);
        if (n_decl > 1)
            teval_set_var(&x->eval, pipe->decl.items[1]->idents.items[0], item);
    } else if (n_decl > 0) {
        x->eval.vars[mark - 1].value = item;
        if (n_decl > 1)
            x->eval.vars[mark - 2].value = index;
    }
    enum flow flow = x->eval.rc == 0 ? walk(x, item, n->list) : FLOW_BREAK;
    x->eval.n_vars = mark;
    return x->eval.rc == 0 && flow != FLOW_BREAK;
}

static struct tval box(struct tval v, bool boxed)
{
    v.boxed = boxed;
    return v;
}

/* Number of iterations; -1 on an error. */
static int64_t range_over(struct exec *x, const struct tnode *n, struct tval v)
{
    size_t mark = x->eval.n_vars;
    int64_t i = 0;
    if (v.type == TVAL_ROOT) {
        struct template_call c = {.ctx = x->eval.ctx, .arena = &x->eval.ctx->arena};
        struct tval map = {.type = TVAL_MAP};
        if (template_call_map(&c, &v, &map.map) != 0) {
            teval_fail_limit(&x->eval, "the result is too large");
            return -1;
        }
        v = map;
    }
    bool boxed = tval_holds_any(&v);
    if (v.type == TVAL_LIST) {
        for (; (size_t)i < v.list->len; i++)
            if (!iterate(x, n, mark, tval_int(i), box(v.list->items[i], boxed)))
                return i + 1;
    } else if (v.type == TVAL_MAP) {
        for (; (size_t)i < v.map->len; i++)
            if (!iterate(x, n, mark, tval_str(v.map->keys[i]), box(v.map->values[i], boxed)))
                return i + 1;
    } else if (tval_is_int(&v)) {
        if (n->pipe->decl.len > 1) {
            teval_fail(&x->eval, "can't use %lld to iterate over more than one variable",
                       (long long)v.i);
            return -1;
        }
        for (; i < v.i; i++)
            if (!iterate(x, n, mark, tval_nil(), (struct tval){.type = v.type, .i = i}))
                return i + 1;
    } else if (v.type != TVAL_NIL) {
        struct buf b;
        buf_init(&b, ERROR_TEXT_MAX);
        tprint_value(&b, &v);
        teval_fail(&x->eval, "range can't iterate over %s", buf_c(&b));
        buf_deinit(&b);
        return -1;
    }
    return i;
}

static void walk_range(struct exec *x, struct tval dot, const struct tnode *n, enum flow *flow)
{
    size_t mark = x->eval.n_vars;
    x->eval.node = n;
    struct tval v = teval_pipeline(&x->eval, dot, n->pipe);
    if (x->eval.rc == 0 && range_over(x, n, v) == 0 && n->else_list != NULL)
        *flow = walk(x, dot, n->else_list);
    x->eval.n_vars = mark;
}

static void walk_template(struct exec *x, struct tval dot, const struct tnode *n)
{
    x->eval.node = n;
    const struct tnode_tree *tree = template_find_tree(x->eval.t, n->text);
    if (tree == NULL) {
        teval_fail(&x->eval, "template \"%.*s\" not defined", STR_ARG(n->text));
        return;
    }
    if (x->depth == TEMPLATES_MAX) {
        teval_fail(&x->eval, "exceeded maximum template depth (%d)", TEMPLATES_MAX);
        return;
    }
    struct tval v = n->pipe == NULL ? tval_nil() : teval_pipeline(&x->eval, dot, n->pipe);
    if (x->eval.rc != 0)
        return;
    /* the template sees its argument and no variable of ours */
    size_t mark = x->eval.n_vars;
    str outer = x->eval.tree_name;
    x->eval.tree_name = tree->name;
    teval_push_var(&x->eval, STR("$"), v);
    x->depth++;
    walk(x, v, tree->root);
    x->depth--;
    x->eval.tree_name = outer;
    x->eval.n_vars = mark;
}

/* {{.name}}, by far the most frequent action, on a label that is a string. */
static bool print_label(struct exec *x, const struct tval *dot, const struct tnode *n)
{
    const struct tnode *field = n->label;
    struct tval v;
    if (field == NULL || dot->type != TVAL_ROOT ||
        !template_root_get(x->eval.ctx, field->idents.items[0], &v) || v.type != TVAL_STRING)
        return false;
    if (!buf_append_str(x->out, v.s))
        teval_fail_limit(&x->eval, "the output is too large");
    return true;
}

static enum flow walk(struct exec *x, struct tval dot, const struct tnode *n)
{
    enum flow flow = FLOW_NEXT;
    struct tval v;
    teval_step(&x->eval);
    if (x->eval.rc != 0)
        return FLOW_BREAK;
    switch (n->kind) {
    case TNODE_TEXT:
        if (!buf_append_str(x->out, n->text))
            teval_fail_limit(&x->eval, "the output is too large");
        break;
    case TNODE_LIST:
        for (size_t i = 0; i < n->kids.len && x->eval.rc == 0 && flow == FLOW_NEXT; i++)
            flow = walk(x, dot, n->kids.items[i]);
        break;
    case TNODE_ACTION:
        if (print_label(x, &dot, n))
            break;
        v = teval_pipeline(&x->eval, dot, n->pipe);
        if (x->eval.rc == 0 && n->pipe->decl.len == 0)
            print(x, v);
        break;
    case TNODE_IF:
    case TNODE_WITH:
        flow = walk_if_with(x, dot, n);
        break;
    case TNODE_RANGE:
        walk_range(x, dot, n, &flow);
        break;
    case TNODE_TEMPLATE:
        walk_template(x, dot, n);
        break;
    case TNODE_BREAK:
        return FLOW_BREAK;
    case TNODE_CONTINUE:
        return FLOW_CONTINUE;
    default:
        break;
    }
    return flow;
}

int template_exec(const struct template *t, struct template_ctx *ctx, struct buf *out,
                  struct error *err)
{
    struct exec x;
    x.out = out;
    x.depth = 0;
    teval_init(&x.eval, t, ctx, err);
    const struct tnode_tree *main = template_find_tree(t, t->name);
    walk(&x, (struct tval){.type = TVAL_ROOT}, main->root);
    return x.eval.rc;
}
