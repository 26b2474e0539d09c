/* Searching a JSON tree with a JMESPath tree. */
#include "base/mem.h"
#include "promtail/stages/jmespath_node.h"

typedef const struct json_tree *tree;

const struct json_tree jmes_null = {.type = JSON_VALUE_NULL};
static const struct json_tree yes = {.type = JSON_VALUE_BOOL, .is_true = true};
static const struct json_tree no = {.type = JSON_VALUE_BOOL};

tree jmes_fail(struct jmes_run *run)
{
    run->failed = true;
    return &jmes_null;
}

tree jmes_exhaust(struct jmes_run *run)
{
    run->is_exhausted = true;
    return jmes_fail(run);
}

tree jmes_bool(bool b)
{
    return b ? &yes : &no;
}

static struct json_tree *make(struct jmes_run *run, enum json_type type)
{
    struct json_tree *t = ARENA_NEW(run->arena, struct json_tree);
    t->type = type;
    return t;
}

tree jmes_number(struct jmes_run *run, double n)
{
    struct json_tree *t = make(run, JSON_VALUE_NUMBER);
    t->number = n;
    return t;
}

tree jmes_string(struct jmes_run *run, str s)
{
    struct json_tree *t = make(run, JSON_VALUE_STRING);
    t->text = s;
    return t;
}

struct json_tree *jmes_array(struct jmes_run *run, size_t n)
{
    struct json_tree *t = make(run, JSON_VALUE_ARRAY);
    t->items = arena_alloc(run->arena, MAX(n, 1) * sizeof *t->items);
    run->steps += n;
    return t;
}

bool jmes_is_false(tree v)
{
    switch (v->type) {
    case JSON_VALUE_NULL:
        return true;
    case JSON_VALUE_BOOL:
        return !v->is_true;
    case JSON_VALUE_STRING:
        return v->text.len == 0;
    case JSON_VALUE_ARRAY:
    case JSON_VALUE_OBJECT:
        return v->n == 0;
    default:
        return false;
    }
}

static tree eval_index(const struct jmespath *e, tree v)
{
    int64_t at = e->number < 0 ? e->number + (int64_t)v->n : e->number;
    return v->type == JSON_VALUE_ARRAY && at >= 0 && at < (int64_t)v->n ? v->items[at] : &jmes_null;
}

/* A bound of a slice brought into the array, as Python does. */
static int64_t cap_bound(int64_t at, int64_t len, int64_t step)
{
    if (at < 0) {
        at += len;
        return at >= 0 ? at : step < 0 ? -1 : 0;
    }
    return at < len ? at : step < 0 ? len - 1 : len;
}

static tree eval_slice(struct jmes_run *run, const struct jmes_slice *s, tree v)
{
    if (v->type != JSON_VALUE_ARRAY)
        return &jmes_null;
    int64_t len = (int64_t)v->n, step = s->has[2] ? s->part[2] : 1;
    if (step == 0)
        return jmes_fail(run);
    int64_t at = s->has[0] ? cap_bound(s->part[0], len, step) : step < 0 ? len - 1 : 0;
    int64_t stop = s->has[1] ? cap_bound(s->part[1], len, step) : step < 0 ? -1 : len;
    struct json_tree *out = jmes_array(run, v->n);
    while (step > 0 ? at < stop : at > stop) {
        out->items[out->n++] = v->items[at];
        if (__builtin_add_overflow(at, step, &at))
            break;
    }
    return out;
}

/* What go-jmespath's filters, flattenings and .* work on: a failure there counts as null. */
static tree eval_forgiven(struct jmes_run *run, const struct jmespath *e, tree v)
{
    tree left = jmes_eval(run, e, v);
    if (run->failed)
        left = &jmes_null; /* not what was found before it failed */
    run->failed = run->is_exhausted;
    return left;
}

/* go-jmespath runs .* on as many nulls first as there are values; most expressions make null of
 * them, which is left out. */
static void project_nulls(struct jmes_run *run, const struct jmespath *e, size_t n,
                          struct json_tree *out)
{
    tree item = n > 0 ? jmes_eval(run, e, &jmes_null) : &jmes_null;
    for (size_t i = 0; i < n && item->type != JSON_VALUE_NULL; i++)
        out->items[out->n++] = item;
}

/* `e->right` on each item (that meets the condition); nulls are left out. */
static tree eval_projection(struct jmes_run *run, const struct jmespath *e, tree v)
{
    bool is_values = e->kind == JMES_N_PROJECT_VALUES;
    tree left =
        e->kind == JMES_N_PROJECT ? jmes_eval(run, e->left, v) : eval_forgiven(run, e->left, v);
    if (run->failed || left->type != (is_values ? JSON_VALUE_OBJECT : JSON_VALUE_ARRAY))
        return &jmes_null;
    struct json_tree *out = jmes_array(run, is_values ? 2 * left->n : left->n);
    if (is_values)
        project_nulls(run, e->right, left->n, out);
    for (size_t i = 0; i < left->n && !run->failed; i++) {
        if (e->third != NULL && jmes_is_false(jmes_eval(run, e->third, left->items[i])))
            continue;
        tree item = jmes_eval(run, e->right, left->items[i]);
        if (item->type != JSON_VALUE_NULL)
            out->items[out->n++] = item;
    }
    return out;
}

static tree eval_flatten(struct jmes_run *run, const struct jmespath *e, tree v)
{
    tree left = eval_forgiven(run, e->left, v);
    if (run->failed || left->type != JSON_VALUE_ARRAY)
        return &jmes_null;
    size_t n = 0;
    for (size_t i = 0; i < left->n; i++)
        n += left->items[i]->type == JSON_VALUE_ARRAY ? left->items[i]->n : 1;
    if (n > JMESPATH_STEPS_MAX)
        return jmes_exhaust(run);
    struct json_tree *out = jmes_array(run, n);
    for (size_t i = 0; i < left->n; i++) {
        tree item = left->items[i];
        if (item->type != JSON_VALUE_ARRAY)
            out->items[out->n++] = item;
        for (size_t k = 0; item->type == JSON_VALUE_ARRAY && k < item->n; k++)
            out->items[out->n++] = item->items[k];
    }
    return out;
}

static tree eval_multi(struct jmes_run *run, const struct jmespath *e, tree v)
{
    if (v->type == JSON_VALUE_NULL)
        return &jmes_null;
    struct json_tree *out = jmes_array(run, e->n);
    bool is_hash = e->kind == JMES_N_HASH;
    if (is_hash) {
        out->type = JSON_VALUE_OBJECT;
        out->keys = arena_alloc(run->arena, MAX(e->n, 1) * sizeof *out->keys);
    }
    for (size_t i = 0; i < e->n; i++) {
        tree item = jmes_eval(run, e->items[i], v);
        size_t at = out->n;
        for (size_t k = 0; is_hash && k < out->n; k++)
            if (str_eq(out->keys[k], e->keys[i]))
                at = k;
        out->items[at] = item;
        if (is_hash)
            out->keys[at] = e->keys[i];
        out->n = MAX(out->n, at + 1);
    }
    return out;
}

static tree eval_comparison(struct jmes_run *run, const struct jmespath *e, tree v)
{
    tree a = jmes_eval(run, e->left, v), b = jmes_eval(run, e->right, v);
    if (e->token == JMES_EQ || e->token == JMES_NE)
        return jmes_bool(json_tree_eq(a, b) == (e->token == JMES_EQ));
    if (a->type != JSON_VALUE_NUMBER || b->type != JSON_VALUE_NUMBER)
        return &jmes_null;
    switch (e->token) {
    case JMES_LT:
        return jmes_bool(a->number < b->number);
    case JMES_LE:
        return jmes_bool(a->number <= b->number);
    case JMES_GT:
        return jmes_bool(a->number > b->number);
    default:
        return jmes_bool(a->number >= b->number);
    }
}

static tree eval_call(struct jmes_run *run, const struct jmespath *e, tree v)
{
    if (e->function == NULL)
        return jmes_fail(run);
    tree *args = arena_alloc(run->arena, MAX(e->n, 1) * sizeof *args);
    for (size_t i = 0; i < e->n; i++)
        args[i] = jmes_eval(run, e->items[i], v);
    return run->failed ? &jmes_null : jmes_call(run, e->function, args, e->n);
}

static tree eval_kind(struct jmes_run *run, const struct jmespath *e, tree v)
{
    tree left;
    switch (e->kind) {
    case JMES_N_IDENTITY:
        return v;
    case JMES_N_BROKEN:
        return jmes_fail(run);
    case JMES_N_FIELD:
        left = json_tree_get(v, e->text);
        return left != NULL ? left : &jmes_null;
    case JMES_N_INDEX:
        return eval_index(e, v);
    case JMES_N_SLICE:
        return eval_slice(run, &e->slice, v);
    case JMES_N_CHAIN:
        return jmes_eval(run, e->right, jmes_eval(run, e->left, v));
    case JMES_N_PROJECT:
    case JMES_N_PROJECT_VALUES:
    case JMES_N_PROJECT_FILTER:
        return eval_projection(run, e, v);
    case JMES_N_FLATTEN:
        return eval_flatten(run, e, v);
    case JMES_N_LITERAL:
        return e->literal;
    case JMES_N_LIST:
    case JMES_N_HASH:
        return eval_multi(run, e, v);
    case JMES_N_CMP:
        return eval_comparison(run, e, v);
    case JMES_N_OR:
        left = jmes_eval(run, e->left, v);
        return jmes_is_false(left) ? jmes_eval(run, e->right, v) : left;
    case JMES_N_AND:
        left = jmes_eval(run, e->left, v);
        return jmes_is_false(left) ? left : jmes_eval(run, e->right, v);
    case JMES_N_NOT:
        return jmes_bool(jmes_is_false(jmes_eval(run, e->left, v)));
    case JMES_N_CALL:
        return eval_call(run, e, v);
    case JMES_N_EXPREF: {
        struct json_tree *t = make(run, JSON_VALUE_EXPRESSION);
        t->expression = e->left;
        return t;
    }
    }
    return &jmes_null;
}

tree jmes_eval(struct jmes_run *run, const struct jmespath *e, tree v)
{
    if (run->failed)
        return &jmes_null;
    /* A parse tree is as deep as twice its limit: to the right by nesting, to the left by length;
     * functions that call expressions add to it. */
    if (run->depth >= 4 * JMESPATH_DEPTH_MAX || run->steps >= JMESPATH_STEPS_MAX)
        return jmes_exhaust(run);
    run->depth++;
    run->steps++;
    tree result = eval_kind(run, e, v);
    run->depth--;
    return result;
}

tree jmespath_search(const struct jmespath *e, tree document, struct arena *a)
{
    struct jmes_run run = {.arena = a};
    tree found = jmes_eval(&run, e, document);
    return run.failed ? NULL : found;
}
