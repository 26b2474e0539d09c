#include <stdio.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "logql/template/call.h"
#include "logql/template/print.h"

#define VARS_MAX      64      /* variables that are alive at once */
#define ARGS_MAX      64      /* arguments of one call */
#define TEMPLATES_MAX 50      /* {{template}} in {{template}} */
#define STEPS_MAX     5000000 /* nodes visited; seconds of work */

struct variable {
    str name;
    struct tval value;
};

/* What leaves a list before its end. */
enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

struct exec {
    const struct template *t;
    struct template_ctx *ctx;
    struct buf *out;
    struct error *err;
    int rc;                   /* the first failure; everything stops then */
    const struct tnode *node; /* what errors point at */
    str tree_name;
    struct variable vars[VARS_MAX];
    size_t n_vars;
    int depth;
    long steps;
};

static struct tval eval_pipeline(struct exec *x, struct tval dot, const struct tnode *pipe);
static struct tval eval_arg(struct exec *x, struct tval dot, char param, const struct tnode *n);
static enum flow walk(struct exec *x, struct tval dot, const struct tnode *n);

/* --- errors --- */

/* template: line:1:3: executing "line" at <node>: text */
__attribute__((format(printf, 2, 3))) static struct tval fail(struct exec *x, const char *fmt, ...)
{
    if (x->rc != 0)
        return tval_nil();
    x->rc = E_INVALID;
    if (x->err == NULL)
        return tval_nil();
    struct error text = {0};
    va_list ap;
    va_start(ap, fmt);
    error_vset(&text, E_INVALID, fmt, ap);
    va_end(ap);
    struct buf context;
    buf_init(&context, ERROR_TEXT_MAX);
    tnode_append_text(x->node, &context);
    unsigned line = 1, column = x->node->pos, last = 0;
    for (uint32_t i = 0; i < x->node->pos; i++) {
        if (x->t->text.ptr[i] == '\n') {
            line++;
            last = i + 1;
        }
    }
    column -= last;
    error_set(x->err, E_INVALID, "template: %.*s:%u:%u: executing \"%.*s\" at <%s>: %s",
              STR_ARG(x->t->name), line, column, STR_ARG(x->tree_name), buf_c(&context), text.text);
    buf_deinit(&context);
    return tval_nil();
}

static void fail_limit(struct exec *x, const char *what)
{
    if (x->rc == 0)
        x->rc = error_set(x->err, E_LIMIT, "template: %.*s: %s", STR_ARG(x->t->name), what);
}

static void step(struct exec *x)
{
    if (++x->steps > STEPS_MAX)
        fail_limit(x, "too many steps");
}

/* --- variables --- */

static void push_var(struct exec *x, str name, struct tval value)
{
    if (x->n_vars == VARS_MAX)
        fail_limit(x, "too many variables");
    else
        x->vars[x->n_vars++] = (struct variable){name, value};
}

static struct variable *find_var(struct exec *x, str name)
{
    for (size_t i = x->n_vars; i-- > 0;)
        if (str_eq(x->vars[i].name, name))
            return &x->vars[i];
    fail(x, "undefined variable: %.*s", STR_ARG(name));
    return NULL;
}

static void set_var(struct exec *x, str name, struct tval value)
{
    struct variable *v = find_var(x, name);
    if (v != NULL)
        v->value = value;
}

/* --- calls --- */

/* Parameter i; the last one of a variadic function repeats. */
static char param_at(const struct template_func *f, int i)
{
    int n = (int)strlen(f->params);
    bool variadic = n > 0 && f->params[n - 1] == '*';
    return variadic ? f->params[MIN(i, n - 2)] : f->params[i];
}

static bool check_count(struct exec *x, const struct template_func *f, int given, int written)
{
    int n = (int)strlen(f->params);
    bool variadic = n > 0 && f->params[n - 1] == '*';
    int fixed = variadic ? n - 2 : n;
    if (given > ARGS_MAX) {
        fail_limit(x, "too many arguments");
        return false;
    }
    if (variadic && given < fixed)
        fail(x, "wrong number of args for %s: want at least %d got %d", f->name, fixed, written);
    else if (!variadic && given != n)
        fail(x, "wrong number of args for %s: want %d got %d", f->name, n, given);
    return x->rc == 0;
}

/* A value for a parameter of that type, as Go lets it pass. */
static struct tval check_type(struct exec *x, struct tval v, char param)
{
    static const struct {
        char param;
        enum tval_type type;
    } exact[] = {
        {'s', TVAL_STRING}, {'i', TVAL_INT},  {'I', TVAL_INT64},    {'f', TVAL_FLOAT},
        {'b', TVAL_BOOL},   {'t', TVAL_TIME}, {'d', TVAL_DURATION},
    };
    if (param == 'v' || x->rc != 0)
        return v;
    const char *want = template_param_type(param);
    bool ok = false, nilable = true;
    for (size_t i = 0; i < ARRAY_LEN(exact); i++) {
        if (exact[i].param == param) {
            ok = v.type == exact[i].type;
            nilable = false;
        }
    }
    if (param == 'm')
        ok = v.type == TVAL_MAP || v.type == TVAL_ROOT;
    else if (param == 'S' || param == 'l')
        ok = v.type == TVAL_LIST && strcmp(v.list->type_name, want) == 0;
    if (v.type == TVAL_NIL && v.boxed)
        return fail(x, "wrong type for value; expected %s; got interface {}", want);
    if (ok || (v.type == TVAL_NIL && nilable))
        return v;
    if (v.type == TVAL_NIL)
        return fail(x, "invalid value; expected %s", want);
    return fail(x, "wrong type for value; expected %s; got %s", want, tval_type_name(&v));
}

/* and, or: the first argument that decides. */
static struct tval eval_and_or(struct exec *x, struct tval dot, bool is_or, const struct tnode *cmd,
                               const struct tval *final)
{
    struct tval v = tval_nil();
    for (size_t i = 1; i < cmd->kids.len; i++) {
        v = eval_arg(x, dot, 'v', cmd->kids.items[i]);
        if (x->rc != 0 || tval_truth(&v) == is_or)
            return v;
    }
    return final != NULL ? *final : v;
}

static struct tval call(struct exec *x, const struct template_func *f, const struct tnode *node,
                        struct tval *args, int n)
{
    struct template_call c = {.ctx = x->ctx, .arena = &x->ctx->arena};
    struct tval ret = tval_nil();
    int rc = f->fn(&c, args, n, &ret);
    if (rc == E_LIMIT || rc == E_NO_MEMORY) {
        fail_limit(x, "the result is too large");
    } else if (rc != 0) {
        x->node = node;
        return fail(x, "error calling %s: %s", f->name, c.error.text);
    }
    return ret;
}

/* Calls a function, or a method if `receiver` is given, with the arguments that stand in `cmd`
 * (NULL: none) and the value that comes through the pipe. */
static struct tval eval_call(struct exec *x, struct tval dot, const struct template_func *f,
                             const struct tnode *node, const struct tnode *cmd,
                             const struct tval *receiver, const struct tval *final)
{
    int written = cmd == NULL ? 0 : (int)cmd->kids.len - 1, n = 0;
    int self = receiver != NULL;
    struct template_func shown = *f; /* a method's receiver is no argument */
    shown.params += self;
    if (!check_count(x, &shown, written + (final != NULL), written))
        return tval_nil();
    if (f == &template_func_and || f == &template_func_or)
        return eval_and_or(x, dot, f == &template_func_or, cmd, final);
    struct tval args[ARGS_MAX + 1];
    if (receiver != NULL)
        args[n++] = *receiver;
    for (int i = 0; i < written && x->rc == 0; i++, n++)
        args[n] = eval_arg(x, dot, param_at(&shown, n - self), cmd->kids.items[i + 1]);
    if (final != NULL && x->rc == 0) {
        args[n] = check_type(x, *final, param_at(&shown, n - self));
        n++;
    }
    return x->rc == 0 ? call(x, f, node, args, n) : tval_nil();
}

/* --- fields --- */

static struct tval root_field(struct exec *x, str name)
{
    struct tval v;
    if (x->ctx->source->get(x->ctx->user, name, &v)) {
        v.boxed = !x->ctx->missing_is_empty;
        return v;
    }
    return x->ctx->missing_is_empty ? tval_str(STR_EMPTY) : tval_nil();
}

static bool holds_any(const char *type_name)
{
    return str_has_suffix(str_c(type_name), STR("interface {}"));
}

/* Loki asks for the zero value of a missing key, which is a nil interface. */
static struct tval map_field(const struct exec *x, const struct tmap *m, str name)
{
    const struct tval *found = tmap_get(m, name);
    struct tval v = found != NULL ? *found : tval_nil();
    v.boxed = holds_any(m->type_name) && (found != NULL || x->ctx->missing_is_empty);
    return v;
}

static struct tval eval_field(struct exec *x, struct tval dot, str name, const struct tnode *node,
                              const struct tnode *cmd, const struct tval *final,
                              struct tval receiver)
{
    if (receiver.type == TVAL_NIL && receiver.boxed)
        return fail(x, "nil pointer evaluating interface {}.%.*s", STR_ARG(name));
    if (receiver.type == TVAL_NIL)
        return tval_nil();
    const struct template_func *method = template_method_find(&receiver, name);
    if (method != NULL)
        return eval_call(x, dot, method, node, cmd, &receiver, final);
    if (receiver.type != TVAL_ROOT && receiver.type != TVAL_MAP)
        return fail(x, "can't evaluate field %.*s in type %s", STR_ARG(name),
                    receiver.boxed ? "interface {}" : tval_type_name(&receiver));
    if ((cmd != NULL && cmd->kids.len > 1) || final != NULL)
        return fail(x, "%.*s is not a method but has arguments", STR_ARG(name));
    return receiver.type == TVAL_ROOT ? root_field(x, name) : map_field(x, receiver.map, name);
}

/* .a.b.c: only the last one may take arguments. */
static struct tval eval_chain(struct exec *x, struct tval dot, struct tval v,
                              const struct tnode *node, size_t first, const struct tnode *cmd,
                              const struct tval *final)
{
    for (size_t i = first; i < node->idents.len && x->rc == 0; i++) {
        bool last = i + 1 == node->idents.len;
        v = eval_field(x, dot, node->idents.items[i], node, last ? cmd : NULL, last ? final : NULL,
                       v);
    }
    return v;
}

static bool check_no_args(struct exec *x, const struct tnode *cmd, const struct tval *final)
{
    if (cmd == NULL || (cmd->kids.len <= 1 && final == NULL))
        return true;
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    tnode_append_text(cmd->kids.items[0], &b);
    fail(x, "can't give argument to non-function %s", buf_c(&b));
    buf_deinit(&b);
    return false;
}

static struct tval eval_variable(struct exec *x, struct tval dot, const struct tnode *n,
                                 const struct tnode *cmd, const struct tval *final)
{
    x->node = n;
    struct variable *v = find_var(x, n->idents.items[0]);
    if (v == NULL)
        return tval_nil();
    if (n->idents.len > 1)
        return eval_chain(x, dot, v->value, n, 1, cmd, final);
    return check_no_args(x, cmd, final) ? v->value : tval_nil();
}

static struct tval eval_chain_node(struct exec *x, struct tval dot, const struct tnode *n,
                                   const struct tnode *cmd, const struct tval *final)
{
    x->node = n;
    if (n->kids.items[0]->kind == TNODE_NIL)
        return fail(x, "indirection through explicit nil in nil");
    struct tval v = eval_arg(x, dot, 'v', n->kids.items[0]);
    return eval_chain(x, dot, v, n, 0, cmd, final);
}

static struct tval eval_number(struct exec *x, const struct tnode *n)
{
    x->node = n;
    if (n->is_bad && n->value.type == TVAL_NIL)
        return fail(x, "%.*s overflows int", STR_ARG(n->text));
    return n->value;
}

/* --- arguments --- */

/* A literal for a parameter of a known type. */
static struct tval eval_literal(struct exec *x, char param, const struct tnode *n)
{
    struct buf b;
    const char *want;
    switch (param) {
    case 'v':
        return n->kind == TNODE_NUMBER ? eval_number(x, n) : n->value;
    case 's':
        if (n->kind == TNODE_STRING)
            return n->value;
        want = "string";
        break;
    case 'b':
        if (n->kind == TNODE_BOOL)
            return n->value;
        want = "bool";
        break;
    case 'f':
        if (n->kind == TNODE_NUMBER && n->is_float)
            return tval_float(n->f);
        want = "float";
        break;
    case 'i':
    case 'I':
    case 'd':
        if (n->kind == TNODE_NUMBER && n->is_int)
            return (struct tval){.type = param == 'i'   ? TVAL_INT
                                         : param == 'd' ? TVAL_DURATION
                                                        : TVAL_INT64,
                                 .i = n->i};
        want = "integer";
        break;
    default:
        want = NULL;
        break;
    }
    buf_init(&b, ERROR_TEXT_MAX);
    tnode_append_text(n, &b);
    if (want != NULL)
        fail(x, "expected %s; found %s", want, buf_c(&b));
    else
        fail(x, "can't handle %s for arg of type %s", buf_c(&b), template_param_type(param));
    buf_deinit(&b);
    return tval_nil();
}

static struct tval eval_arg(struct exec *x, struct tval dot, char param, const struct tnode *n)
{
    x->node = n;
    switch (n->kind) {
    case TNODE_DOT:
        return check_type(x, dot, param);
    case TNODE_NIL:
        if (strchr("sifIbtd", param) != NULL)
            return fail(x, "cannot assign nil to %s", template_param_type(param));
        return tval_nil();
    case TNODE_FIELD:
        return check_type(x, eval_chain(x, dot, dot, n, 0, NULL, NULL), param);
    case TNODE_VARIABLE:
        return check_type(x, eval_variable(x, dot, n, NULL, NULL), param);
    case TNODE_PIPE:
        return check_type(x, eval_pipeline(x, dot, n), param);
    case TNODE_IDENTIFIER:
        return check_type(x, eval_call(x, dot, n->func, n, NULL, NULL, NULL), param);
    case TNODE_CHAIN:
        return check_type(x, eval_chain_node(x, dot, n, NULL, NULL), param);
    default:
        return eval_literal(x, param, n);
    }
}

/* --- pipelines --- */

static struct tval eval_command(struct exec *x, struct tval dot, const struct tnode *cmd,
                                const struct tval *final)
{
    const struct tnode *n = cmd->kids.items[0];
    step(x);
    switch (n->kind) {
    case TNODE_FIELD:
        x->node = n;
        return eval_chain(x, dot, dot, n, 0, cmd, final);
    case TNODE_CHAIN:
        return eval_chain_node(x, dot, n, cmd, final);
    case TNODE_IDENTIFIER:
        x->node = n;
        return eval_call(x, dot, n->func, cmd, cmd, NULL, final);
    case TNODE_PIPE:
        return check_no_args(x, cmd, final) ? eval_pipeline(x, dot, n) : tval_nil();
    case TNODE_VARIABLE:
        return eval_variable(x, dot, n, cmd, final);
    default:
        break;
    }
    x->node = n;
    if (!check_no_args(x, cmd, final))
        return tval_nil();
    if (n->kind == TNODE_DOT)
        return dot;
    if (n->kind == TNODE_NIL)
        return fail(x, "nil is not a command");
    return n->kind == TNODE_NUMBER ? eval_number(x, n) : n->value;
}

static struct tval eval_pipeline(struct exec *x, struct tval dot, const struct tnode *pipe)
{
    struct tval v = tval_nil();
    x->node = pipe;
    for (size_t i = 0; i < pipe->kids.len && x->rc == 0; i++) {
        v = eval_command(x, dot, pipe->kids.items[i], i == 0 ? NULL : &v);
        v.boxed = false;
    }
    for (size_t i = 0; i < pipe->decl.len && x->rc == 0; i++) {
        str name = pipe->decl.items[i]->idents.items[0];
        if (pipe->is_assign)
            set_var(x, name, v);
        else
            push_var(x, name, v);
    }
    return v;
}

/* --- statements --- */

static void print(struct exec *x, struct tval v)
{
    if (v.type == TVAL_STRING) {
        buf_append_str(x->out, v.s);
    } else if (v.type == TVAL_NIL) {
        buf_append_c(x->out, "<no value>");
    } else if (v.type == TVAL_ROOT) {
        struct template_call c = {.ctx = x->ctx, .arena = &x->ctx->arena};
        struct tval map = {.type = TVAL_MAP};
        if (template_call_map(&c, &v, &map.map) == 0)
            tprint_value(x->out, &map);
        else
            fail_limit(x, "the result is too large");
    } else {
        tprint_value(x->out, &v);
    }
    if (x->out->failed)
        fail_limit(x, "the output is too large");
}

static bool is_true(struct exec *x, struct tval v)
{
    str name;
    struct tval first;
    if (v.type == TVAL_ROOT)
        return x->ctx->source->at(x->ctx->user, 0, &name, &first);
    return tval_truth(&v);
}

static enum flow walk_if_with(struct exec *x, struct tval dot, const struct tnode *n)
{
    size_t mark = x->n_vars;
    struct tval v = eval_pipeline(x, dot, n->pipe);
    enum flow flow = FLOW_NEXT;
    if (x->rc == 0 && is_true(x, v))
        flow = walk(x, n->kind == TNODE_WITH ? v : dot, n->list);
    else if (x->rc == 0 && n->else_list != NULL)
        flow = walk(x, dot, n->else_list);
    x->n_vars = mark;
    return flow;
}

/* Sets the variables of a range and walks its body once; false to stop. */
static bool iterate(struct exec *x, const struct tnode *n, size_t mark, struct tval index,
                    struct tval item)
{
    const struct tnode *pipe = n->pipe;
    size_t n_decl = pipe->decl.len;
    if (n_decl > 0 && pipe->is_assign) {
        set_var(x, pipe->decl.items[0]->idents.items[0], n_decl > 1 ? index : item);
        if (n_decl > 1)
            set_var(x, pipe->decl.items[1]->idents.items[0], item);
    } else if (n_decl > 0) {
        x->vars[mark - 1].value = item;
        if (n_decl > 1)
            x->vars[mark - 2].value = index;
    }
    enum flow flow = x->rc == 0 ? walk(x, item, n->list) : FLOW_BREAK;
    x->n_vars = mark;
    return x->rc == 0 && flow != FLOW_BREAK;
}

static struct tval box(struct tval v, bool boxed)
{
    v.boxed = boxed;
    return v;
}

/* Number of iterations; -1 on an error. */
static int64_t range_over(struct exec *x, const struct tnode *n, struct tval v)
{
    size_t mark = x->n_vars;
    int64_t i = 0;
    if (v.type == TVAL_ROOT) {
        struct template_call c = {.ctx = x->ctx, .arena = &x->ctx->arena};
        struct tval map = {.type = TVAL_MAP};
        if (template_call_map(&c, &v, &map.map) != 0) {
            fail_limit(x, "the result is too large");
            return -1;
        }
        v = map;
    }
    bool boxed = (v.type == TVAL_LIST && holds_any(v.list->type_name)) ||
                 (v.type == TVAL_MAP && holds_any(v.map->type_name));
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
            fail(x, "can't use %lld to iterate over more than one variable", (long long)v.i);
            return -1;
        }
        for (; i < v.i; i++)
            if (!iterate(x, n, mark, tval_nil(), (struct tval){.type = v.type, .i = i}))
                return i + 1;
    } else if (v.type != TVAL_NIL) {
        struct buf b;
        buf_init(&b, ERROR_TEXT_MAX);
        tprint_value(&b, &v);
        fail(x, "range can't iterate over %s", buf_c(&b));
        buf_deinit(&b);
        return -1;
    }
    return i;
}

static void walk_range(struct exec *x, struct tval dot, const struct tnode *n, enum flow *flow)
{
    size_t mark = x->n_vars;
    x->node = n;
    struct tval v = eval_pipeline(x, dot, n->pipe);
    if (x->rc == 0 && range_over(x, n, v) == 0 && n->else_list != NULL)
        *flow = walk(x, dot, n->else_list);
    x->n_vars = mark;
}

static void walk_template(struct exec *x, struct tval dot, const struct tnode *n)
{
    x->node = n;
    const struct tnode_tree *tree = template_find_tree(x->t, n->text);
    if (tree == NULL) {
        fail(x, "template \"%.*s\" not defined", STR_ARG(n->text));
        return;
    }
    if (x->depth == TEMPLATES_MAX) {
        fail(x, "exceeded maximum template depth (%d)", TEMPLATES_MAX);
        return;
    }
    struct tval v = n->pipe == NULL ? tval_nil() : eval_pipeline(x, dot, n->pipe);
    if (x->rc != 0)
        return;
    /* the template sees its argument and no variable of ours */
    size_t mark = x->n_vars;
    str outer = x->tree_name;
    x->tree_name = tree->name;
    push_var(x, STR("$"), v);
    x->depth++;
    walk(x, v, tree->root);
    x->depth--;
    x->tree_name = outer;
    x->n_vars = mark;
}

/* {{.name}}, by far the most frequent action, on a label that is a string. */
static bool print_label(struct exec *x, const struct tval *dot, const struct tnode *n)
{
    const struct tnode *field = n->label;
    struct tval v;
    if (field == NULL || dot->type != TVAL_ROOT ||
        !x->ctx->source->get(x->ctx->user, field->idents.items[0], &v) || v.type != TVAL_STRING)
        return false;
    if (!buf_append_str(x->out, v.s))
        fail_limit(x, "the output is too large");
    return true;
}

static enum flow walk(struct exec *x, struct tval dot, const struct tnode *n)
{
    enum flow flow = FLOW_NEXT;
    struct tval v;
    step(x);
    if (x->rc != 0)
        return FLOW_BREAK;
    switch (n->kind) {
    case TNODE_TEXT:
        if (!buf_append_str(x->out, n->text))
            fail_limit(x, "the output is too large");
        break;
    case TNODE_LIST:
        for (size_t i = 0; i < n->kids.len && x->rc == 0 && flow == FLOW_NEXT; i++)
            flow = walk(x, dot, n->kids.items[i]);
        break;
    case TNODE_ACTION:
        if (print_label(x, &dot, n))
            break;
        v = eval_pipeline(x, dot, n->pipe);
        if (x->rc == 0 && n->pipe->decl.len == 0)
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
    x.t = t;
    x.ctx = ctx;
    x.out = out;
    x.err = err;
    x.rc = 0;
    x.node = t->trees.items[0].root;
    x.tree_name = t->name;
    x.n_vars = 0; /* the slots are not cleared: most templates use one */
    x.depth = 0;
    x.steps = 0;
    struct tval root = {.type = TVAL_ROOT};
    push_var(&x, STR("$"), root);
    const struct tnode_tree *main = template_find_tree(t, t->name);
    walk(&x, root, main->root);
    return x.rc;
}
