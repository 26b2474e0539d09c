#include "logql/template/eval.h"

#include "base/mem.h"

#define ARGS_MAX 64 /* arguments of one call */

static struct tval eval_arg(struct teval *x, struct tval dot, char param, const struct tnode *n);

/* --- errors --- */

/* template: line:1:3: executing "line" at <node>: text */
struct tval teval_fail(struct teval *x, const char *fmt, ...)
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

void teval_fail_limit(struct teval *x, const char *what)
{
    if (x->rc == 0)
        x->rc = error_set(x->err, E_LIMIT, "template: %.*s: %s", STR_ARG(x->t->name), what);
}

/* --- variables --- */

void teval_push_var(struct teval *x, str name, struct tval value)
{
    if (x->n_vars == TEVAL_VARS_MAX)
        teval_fail_limit(x, "too many variables");
    else
        x->vars[x->n_vars++] = (struct teval_var){name, value};
}

static struct teval_var *find_var(struct teval *x, str name)
{
    for (size_t i = x->n_vars; i-- > 0;)
        if (str_eq(x->vars[i].name, name))
            return &x->vars[i];
    teval_fail(x, "undefined variable: %.*s", STR_ARG(name));
    return NULL;
}

void teval_set_var(struct teval *x, str name, struct tval value)
{
    struct teval_var *v = find_var(x, name);
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

static bool check_count(struct teval *x, const struct template_func *f, int given, int written)
{
    int n = (int)strlen(f->params);
    bool variadic = n > 0 && f->params[n - 1] == '*';
    int fixed = variadic ? n - 2 : n;
    if (given > ARGS_MAX) {
        teval_fail_limit(x, "too many arguments");
        return false;
    }
    if (variadic && given < fixed)
        teval_fail(x, "wrong number of args for %s: want at least %d got %d", f->name, fixed,
                   written);
    else if (!variadic && given != n)
        teval_fail(x, "wrong number of args for %s: want %d got %d", f->name, n, given);
    return x->rc == 0;
}

/* A value for a parameter of that type, as Go lets it pass. */
static struct tval check_type(struct teval *x, struct tval v, char param)
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
        return teval_fail(x, "wrong type for value; expected %s; got interface {}", want);
    if (ok || (v.type == TVAL_NIL && nilable))
        return v;
    if (v.type == TVAL_NIL)
        return teval_fail(x, "invalid value; expected %s", want);
    return teval_fail(x, "wrong type for value; expected %s; got %s", want, tval_type_name(&v));
}

/* and, or: the first argument that decides. */
static struct tval eval_and_or(struct teval *x, struct tval dot, bool is_or,
                               const struct tnode *cmd, const struct tval *final)
{
    struct tval v = tval_nil();
    for (size_t i = 1; i < cmd->kids.len; i++) {
        v = eval_arg(x, dot, 'v', cmd->kids.items[i]);
        if (x->rc != 0 || tval_truth(&v) == is_or)
            return v;
    }
    return final != NULL ? *final : v;
}

/* The root where any value may stand is a map like others: it may be kept in a list, or printed.
 * The builtins look after themselves. */
static int flatten_roots(struct template_call *c, const struct template_func *f, struct tval *args,
                         int n)
{
    bool is_builtin =
        f >= template_builtins.items && f < template_builtins.items + template_builtins.len;
    for (int i = 0; i < n && !is_builtin; i++) {
        struct tmap *m;
        if (args[i].type != TVAL_ROOT || param_at(f, i) != 'v')
            continue;
        int rc = template_call_map(c, &args[i], &m);
        if (rc != 0)
            return rc;
        args[i] = (struct tval){.type = TVAL_MAP, .map = m};
    }
    return 0;
}

static struct tval call(struct teval *x, const struct template_func *f, const struct tnode *node,
                        struct tval *args, int n)
{
    struct template_call c = {.ctx = x->ctx, .arena = &x->ctx->arena};
    struct tval ret = tval_nil();
    int rc = flatten_roots(&c, f, args, n);
    if (rc == 0)
        rc = f->fn(&c, args, n, &ret);
    if (rc == E_LIMIT || rc == E_NO_MEMORY) {
        teval_fail_limit(x, "the result is too large");
    } else if (rc != 0) {
        x->node = node;
        return teval_fail(x, "error calling %s: %s", f->name, c.error.text);
    }
    return ret;
}

/* Calls a function, or a method if `receiver` is given, with the arguments that stand in `cmd`
 * (NULL: none) and the value that comes through the pipe. */
static struct tval eval_call(struct teval *x, struct tval dot, const struct template_func *f,
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

static struct tval root_field(struct teval *x, str name)
{
    struct tval v;
    if (template_root_get(x->ctx, name, &v)) {
        v.boxed = !x->ctx->missing_is_empty;
        return v;
    }
    return x->ctx->missing_is_empty ? tval_str(STR_EMPTY) : tval_nil();
}

/* Loki asks for the zero value of a missing key, which is a nil interface. */
static struct tval map_field(const struct teval *x, const struct tval *map, str name)
{
    const struct tval *found = tmap_get(map->map, name);
    struct tval v = found != NULL ? *found : tval_nil();
    v.boxed = tval_holds_any(map) && (found != NULL || x->ctx->missing_is_empty);
    return v;
}

static struct tval eval_field(struct teval *x, struct tval dot, str name, const struct tnode *node,
                              const struct tnode *cmd, const struct tval *final,
                              struct tval receiver)
{
    if (receiver.type == TVAL_NIL && receiver.boxed)
        return teval_fail(x, "nil pointer evaluating interface {}.%.*s", STR_ARG(name));
    if (receiver.type == TVAL_NIL)
        return tval_nil();
    const struct template_func *method = template_method_find(&receiver, name);
    if (method != NULL)
        return eval_call(x, dot, method, node, cmd, &receiver, final);
    if (receiver.type != TVAL_ROOT && receiver.type != TVAL_MAP)
        return teval_fail(x, "can't evaluate field %.*s in type %s", STR_ARG(name),
                          receiver.boxed ? "interface {}" : tval_type_name(&receiver));
    if ((cmd != NULL && cmd->kids.len > 1) || final != NULL)
        return teval_fail(x, "%.*s is not a method but has arguments", STR_ARG(name));
    return receiver.type == TVAL_ROOT ? root_field(x, name) : map_field(x, &receiver, name);
}

/* .a.b.c: only the last one may take arguments. */
static struct tval eval_chain(struct teval *x, struct tval dot, struct tval v,
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

static bool check_no_args(struct teval *x, const struct tnode *cmd, const struct tval *final)
{
    if (cmd == NULL || (cmd->kids.len <= 1 && final == NULL))
        return true;
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    tnode_append_text(cmd->kids.items[0], &b);
    teval_fail(x, "can't give argument to non-function %s", buf_c(&b));
    buf_deinit(&b);
    return false;
}

static struct tval eval_variable(struct teval *x, struct tval dot, const struct tnode *n,
                                 const struct tnode *cmd, const struct tval *final)
{
    x->node = n;
    struct teval_var *v = find_var(x, n->idents.items[0]);
    if (v == NULL)
        return tval_nil();
    if (n->idents.len > 1)
        return eval_chain(x, dot, v->value, n, 1, cmd, final);
    return check_no_args(x, cmd, final) ? v->value : tval_nil();
}

static struct tval eval_chain_node(struct teval *x, struct tval dot, const struct tnode *n,
                                   const struct tnode *cmd, const struct tval *final)
{
    x->node = n;
    if (n->kids.items[0]->kind == TNODE_NIL)
        return teval_fail(x, "indirection through explicit nil in nil");
    struct tval v = eval_arg(x, dot, 'v', n->kids.items[0]);
    return eval_chain(x, dot, v, n, 0, cmd, final);
}

static struct tval eval_number(struct teval *x, const struct tnode *n)
{
    x->node = n;
    if (n->is_bad && n->value.type == TVAL_NIL)
        return teval_fail(x, "%.*s overflows int", STR_ARG(n->text));
    return n->value;
}

/* --- arguments --- */

/* A literal for a parameter of a known type. */
static struct tval eval_literal(struct teval *x, char param, const struct tnode *n)
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
        teval_fail(x, "expected %s; found %s", want, buf_c(&b));
    else
        teval_fail(x, "can't handle %s for arg of type %s", buf_c(&b), template_param_type(param));
    buf_deinit(&b);
    return tval_nil();
}

static struct tval eval_arg(struct teval *x, struct tval dot, char param, const struct tnode *n)
{
    x->node = n;
    switch (n->kind) {
    case TNODE_DOT:
        return check_type(x, dot, param);
    case TNODE_NIL:
        if (char_in((uint32_t)param, "sifIbtd"))
            return teval_fail(x, "cannot assign nil to %s", template_param_type(param));
        return tval_nil();
    case TNODE_FIELD:
        return check_type(x, eval_chain(x, dot, dot, n, 0, NULL, NULL), param);
    case TNODE_VARIABLE:
        return check_type(x, eval_variable(x, dot, n, NULL, NULL), param);
    case TNODE_PIPE:
        return check_type(x, teval_pipeline(x, dot, n), param);
    case TNODE_IDENTIFIER:
        return check_type(x, eval_call(x, dot, n->func, n, NULL, NULL, NULL), param);
    case TNODE_CHAIN:
        return check_type(x, eval_chain_node(x, dot, n, NULL, NULL), param);
    default:
        return eval_literal(x, param, n);
    }
}

/* --- pipelines --- */

static struct tval eval_command(struct teval *x, struct tval dot, const struct tnode *cmd,
                                const struct tval *final)
{
    const struct tnode *n = cmd->kids.items[0];
    teval_step(x);
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
        return check_no_args(x, cmd, final) ? teval_pipeline(x, dot, n) : tval_nil();
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
        return teval_fail(x, "nil is not a command");
    return n->kind == TNODE_NUMBER ? eval_number(x, n) : n->value;
}

struct tval teval_pipeline(struct teval *x, struct tval dot, const struct tnode *pipe)
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
            teval_set_var(x, name, v);
        else
            teval_push_var(x, name, v);
    }
    return v;
}
