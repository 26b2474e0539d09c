/* The functions of JMESPath.  A wrong number or type of arguments fails the search. */
#include <math.h>
#include <stdlib.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "promtail/stages/jmespath_node.h"

typedef const struct json_tree *tree;

#define ARGS_MAX 3

/* What an argument may be: bits by enum json_type, and arrays of one type. */
enum {
    T_BOOL = 1 << JSON_VALUE_BOOL,
    T_NUMBER = 1 << JSON_VALUE_NUMBER,
    T_STRING = 1 << JSON_VALUE_STRING,
    T_ARRAY = 1 << JSON_VALUE_ARRAY,
    T_OBJECT = 1 << JSON_VALUE_OBJECT,
    T_EXPRESSION = 1 << JSON_VALUE_EXPRESSION,
    T_ANY = (1 << (JSON_VALUE_EXPRESSION + 1)) - 1,
    T_NUMBERS = 1 << 8,
    T_STRINGS = 1 << 9,
};

struct jmes_function {
    const char *name;
    tree (*call)(struct jmes_run *run, tree *args, size_t n);
    unsigned types[ARGS_MAX];
    size_t n_args;
    bool is_variadic; /* the last one or more times */
};

static bool is_all(tree v, enum json_type type)
{
    if (v->type != JSON_VALUE_ARRAY)
        return false;
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i]->type != type)
            return false;
    return true;
}

static bool fits(tree v, unsigned types)
{
    return (types & (1u << v->type)) != 0 ||
           ((types & T_NUMBERS) != 0 && is_all(v, JSON_VALUE_NUMBER)) ||
           ((types & T_STRINGS) != 0 && is_all(v, JSON_VALUE_STRING));
}

tree jmes_call(struct jmes_run *run, const struct jmes_function *f, tree *args, size_t n)
{
    if (f->is_variadic ? n < f->n_args : n != f->n_args)
        return jmes_fail(run);
    for (size_t i = 0; i < n; i++)
        if (!fits(args[i], f->types[MIN(i, f->n_args - 1)]))
            return jmes_fail(run);
    return f->call(run, args, n);
}

/* --- numbers --- */

static tree fn_abs(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    return jmes_number(run, fabs(args[0]->number));
}

static tree fn_ceil(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    return jmes_number(run, ceil(args[0]->number));
}

static tree fn_floor(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    return jmes_number(run, floor(args[0]->number));
}

static double add_up(tree v)
{
    double sum = 0;
    for (size_t i = 0; i < v->n; i++)
        sum += v->items[i]->number;
    return sum;
}

static tree fn_sum(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    return jmes_number(run, add_up(args[0]));
}

static tree fn_avg(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    return jmes_number(run, args[0]->n > 0 ? add_up(args[0]) / (double)args[0]->n : (double)NAN);
}

static tree fn_to_number(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    double v;
    if (args[0]->type == JSON_VALUE_EXPRESSION)
        return jmes_fail(run);
    if (args[0]->type == JSON_VALUE_NUMBER)
        return args[0];
    if (args[0]->type == JSON_VALUE_STRING && goparse_float(args[0]->text, &v) == 0)
        return jmes_number(run, v);
    return &jmes_null;
}

/* --- order --- */

static int compare(tree a, tree b)
{
    if (a->type == JSON_VALUE_STRING)
        return str_cmp(a->text, b->text);
    return (a->number > b->number) - (a->number < b->number);
}

static tree extreme(tree v, int sign)
{
    tree best = &jmes_null;
    for (size_t i = 0; i < v->n; i++)
        if (i == 0 || compare(v->items[i], best) * sign > 0)
            best = v->items[i];
    return best;
}

static tree fn_max(struct jmes_run *run, tree *args, size_t n)
{
    (void)run, (void)n;
    return extreme(args[0], 1);
}

static tree fn_min(struct jmes_run *run, tree *args, size_t n)
{
    (void)run, (void)n;
    return extreme(args[0], -1);
}

struct keyed {
    tree key, item;
    size_t at; /* keeps the order of equal keys */
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int c = compare(x->key, y->key);
    return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

/* The items of args[0] with what the expression args[1] gives for them; NULL (failed) unless these
 * are all numbers or all strings. */
static struct keyed *key_items(struct jmes_run *run, tree *args)
{
    tree v = args[0];
    struct keyed *keyed = arena_alloc(run->arena, MAX(v->n, 1) * sizeof *keyed);
    for (size_t i = 0; i < v->n; i++) {
        tree key = args[1]->type == JSON_VALUE_EXPRESSION
                       ? jmes_eval(run, args[1]->expression, v->items[i])
                       : v->items[i];
        keyed[i] = (struct keyed){key, v->items[i], i};
        bool is_ordered = key->type == JSON_VALUE_NUMBER || key->type == JSON_VALUE_STRING;
        if (run->failed || !is_ordered || key->type != keyed[0].key->type) {
            jmes_fail(run);
            return NULL;
        }
    }
    return keyed;
}

static tree extreme_by(struct jmes_run *run, tree *args, int sign)
{
    if (args[0]->n <= 1) /* nothing to compare: whatever its key is */
        return args[0]->n == 1 ? args[0]->items[0] : &jmes_null;
    struct keyed *keyed = key_items(run, args);
    if (keyed == NULL)
        return &jmes_null;
    size_t best = 0;
    for (size_t i = 1; i < args[0]->n; i++)
        if (compare(keyed[i].key, keyed[best].key) * sign > 0)
            best = i;
    return keyed[best].item;
}

static tree fn_max_by(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    return extreme_by(run, args, 1);
}

static tree fn_min_by(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    return extreme_by(run, args, -1);
}

static tree fn_sort_by(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    if (args[0]->n <= 1)
        return args[0];
    struct keyed *keyed = key_items(run, args);
    if (keyed == NULL)
        return &jmes_null;
    struct json_tree *out = jmes_array(run, args[0]->n);
    qsort(keyed, args[0]->n, sizeof *keyed, compare_keyed);
    for (size_t i = 0; i < args[0]->n; i++)
        out->items[out->n++] = keyed[i].item;
    return out;
}

static tree fn_sort(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    tree by_itself[] = {args[0], &jmes_null};
    return fn_sort_by(run, by_itself, 2);
}

/* --- strings and arrays --- */

static tree fn_length(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    tree v = args[0];
    return jmes_number(run, (double)(v->type == JSON_VALUE_STRING ? utf8_count(v->text) : v->n));
}

static tree fn_contains(struct jmes_run *run, tree *args, size_t n)
{
    (void)run, (void)n;
    tree in = args[0], what = args[1];
    if (in->type == JSON_VALUE_STRING)
        return jmes_bool(what->type == JSON_VALUE_STRING && str_contains(in->text, what->text));
    for (size_t i = 0; i < in->n; i++)
        if (json_tree_eq(in->items[i], what))
            return jmes_bool(true);
    return jmes_bool(false);
}

static tree fn_starts_with(struct jmes_run *run, tree *args, size_t n)
{
    (void)run, (void)n;
    return jmes_bool(str_has_prefix(args[0]->text, args[1]->text));
}

static tree fn_ends_with(struct jmes_run *run, tree *args, size_t n)
{
    (void)run, (void)n;
    return jmes_bool(str_has_suffix(args[0]->text, args[1]->text));
}

static tree take_text(struct jmes_run *run, struct buf *b)
{
    tree out = b->failed ? jmes_fail(run) : jmes_string(run, arena_str(run->arena, buf_str(b)));
    buf_deinit(b);
    return out;
}

static tree fn_join(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    struct buf b;
    buf_init(&b, JSON_PRINT_BYTES_MAX);
    for (size_t i = 0; i < args[1]->n; i++) {
        if (i > 0)
            buf_append_str(&b, args[0]->text);
        buf_append_str(&b, args[1]->items[i]->text);
    }
    return take_text(run, &b);
}

static tree reverse_text(struct jmes_run *run, str text)
{
    struct buf b;
    uint32_t rune;
    buf_init(&b, JSON_PRINT_BYTES_MAX);
    for (size_t width; text.len > 0; text = str_sub(text, 0, text.len - width)) {
        width = utf8_decode_last(text, &rune);
        utf8_append(&b, rune);
    }
    return take_text(run, &b);
}

static tree fn_reverse(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    tree v = args[0];
    if (v->type == JSON_VALUE_STRING)
        return reverse_text(run, v->text);
    struct json_tree *out = jmes_array(run, v->n);
    for (size_t i = v->n; i-- > 0;)
        out->items[out->n++] = v->items[i];
    return out;
}

static tree fn_to_array(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    if (args[0]->type == JSON_VALUE_ARRAY)
        return args[0];
    struct json_tree *out = jmes_array(run, 1);
    out->items[out->n++] = args[0];
    return out;
}

static tree fn_to_string(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    struct buf b;
    if (args[0]->type == JSON_VALUE_STRING)
        return args[0];
    buf_init(&b, JSON_PRINT_BYTES_MAX);
    json_tree_print_go(args[0], &b);
    return take_text(run, &b);
}

static tree fn_map(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    struct json_tree *out = jmes_array(run, args[1]->n);
    for (size_t i = 0; i < args[1]->n && !run->failed; i++)
        out->items[out->n++] = jmes_eval(run, args[0]->expression, args[1]->items[i]);
    return out;
}

/* --- objects and types --- */

static tree fn_keys(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    struct json_tree *out = jmes_array(run, args[0]->n);
    for (size_t i = 0; i < args[0]->n; i++)
        out->items[out->n++] = jmes_string(run, args[0]->keys[i]);
    return out;
}

static tree fn_values(struct jmes_run *run, tree *args, size_t n)
{
    (void)n;
    struct json_tree *out = jmes_array(run, args[0]->n);
    for (size_t i = 0; i < args[0]->n; i++)
        out->items[out->n++] = args[0]->items[i];
    return out;
}

static tree fn_merge(struct jmes_run *run, tree *args, size_t n)
{
    size_t room = 0;
    for (size_t i = 0; i < n; i++)
        room += args[i]->n;
    struct json_tree *out = jmes_array(run, room);
    out->type = JSON_VALUE_OBJECT;
    out->keys = arena_alloc(run->arena, MAX(room, 1) * sizeof *out->keys);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < args[i]->n; k++) {
            size_t at = 0;
            while (at < out->n && !str_eq(out->keys[at], args[i]->keys[k]))
                at++;
            out->keys[at] = args[i]->keys[k];
            out->items[at] = args[i]->items[k];
            out->n = MAX(out->n, at + 1);
        }
    return out;
}

static tree fn_not_null(struct jmes_run *run, tree *args, size_t n)
{
    (void)run;
    for (size_t i = 0; i < n; i++)
        if (args[i]->type != JSON_VALUE_NULL)
            return args[i];
    return &jmes_null;
}

static tree fn_type(struct jmes_run *run, tree *args, size_t n)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    (void)n;
    if (args[0]->type == JSON_VALUE_EXPRESSION)
        return jmes_fail(run);
    return jmes_string(run, str_c(names[args[0]->type]));
}

static const struct jmes_function functions[] = {
    {"abs", fn_abs, {T_NUMBER}, 1, false},
    {"avg", fn_avg, {T_NUMBERS}, 1, false},
    {"ceil", fn_ceil, {T_NUMBER}, 1, false},
    {"contains", fn_contains, {T_ARRAY | T_STRING, T_ANY}, 2, false},
    {"ends_with", fn_ends_with, {T_STRING, T_STRING}, 2, false},
    {"floor", fn_floor, {T_NUMBER}, 1, false},
    {"join", fn_join, {T_STRING, T_STRINGS}, 2, false},
    {"keys", fn_keys, {T_OBJECT}, 1, false},
    {"length", fn_length, {T_STRING | T_ARRAY | T_OBJECT}, 1, false},
    {"map", fn_map, {T_EXPRESSION, T_ARRAY}, 2, false},
    {"max", fn_max, {T_NUMBERS | T_STRINGS}, 1, false},
    {"max_by", fn_max_by, {T_ARRAY, T_EXPRESSION}, 2, false},
    {"merge", fn_merge, {T_OBJECT}, 1, true},
    {"min", fn_min, {T_NUMBERS | T_STRINGS}, 1, false},
    {"min_by", fn_min_by, {T_ARRAY, T_EXPRESSION}, 2, false},
    {"not_null", fn_not_null, {T_ANY}, 1, true},
    {"reverse", fn_reverse, {T_ARRAY | T_STRING}, 1, false},
    {"sort", fn_sort, {T_NUMBERS | T_STRINGS}, 1, false},
    {"sort_by", fn_sort_by, {T_ARRAY, T_EXPRESSION}, 2, false},
    {"starts_with", fn_starts_with, {T_STRING, T_STRING}, 2, false},
    {"sum", fn_sum, {T_NUMBERS}, 1, false},
    {"to_array", fn_to_array, {T_ANY}, 1, false},
    {"to_number", fn_to_number, {T_ANY}, 1, false},
    {"to_string", fn_to_string, {T_ANY}, 1, false},
    {"type", fn_type, {T_ANY}, 1, false},
    {"values", fn_values, {T_OBJECT}, 1, false},
};

const struct jmes_function *jmes_function_find(str name)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (str_eq_c(name, functions[i].name))
            return &functions[i];
    return NULL;
}
