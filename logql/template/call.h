/* logql/template/call.h - how template functions and methods are declared and called; for the files
 * of this folder. */
#pragma once
#include "logql/template/node.h"

struct regex;

/* One call.  A function reads its checked arguments, sets *ret and returns 0, or fails with
 * template_call_fail(). */
struct template_call {
    struct template_ctx *ctx;
    struct arena *arena;
    struct error error; /* text without the prefix "error calling f:" */
};

typedef int (*template_fn)(struct template_call *c, struct tval *args, int n, struct tval *ret);

/* `params` has a letter per parameter: s string, i int, I int64, f float64, b bool, t time.Time,
 * d time.Duration, v anything, S []string, l []interface {}, m map[string]interface {}; a * behind
 * the last one takes any number of it. */
struct template_func {
    const char *name;
    const char *params;
    template_fn fn;
};

struct template_func_table {
    const struct template_func *items;
    size_t len;
};

#define TEMPLATE_TABLES_MAX 24

/* Tables are searched in order, up to the first NULL; the first hit counts. */
struct template_funcs {
    const struct template_func_table *tables[TEMPLATE_TABLES_MAX];
};

#define TEMPLATE_TABLE(array)                                                                      \
    {                                                                                              \
        (array), sizeof(array) / sizeof((array)[0])                                                \
    }

const struct template_func *template_func_find(const struct template_funcs *funcs, str name);
/* Method of a value (time.Time, time.Duration, ...), NULL if its type has none of that name.  The
 * value itself is args[0] of the call and the first letter of params. */
const struct template_func *template_method_find(const struct tval *v, str name);

/* and, or: evaluated by the executor, which stops at the first that decides. */
extern const struct template_func template_func_and, template_func_or;
/* The functions Go's templates always have. */
extern const struct template_func_table template_builtins;

/* Go's name of a parameter's type, for errors. */
const char *template_param_type(char param);

int template_call_fail(struct template_call *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Passes on the text of another error. */
int template_call_fail_with(struct template_call *c, const struct error *err);
/* Memory of the execution; NULL (with the error set) at its limit. */
void *template_call_alloc(struct template_call *c, size_t bytes);
/* A buffer whose bytes template_call_take() moves to the arena; its maximum is what is left. */
void template_call_buf(struct template_call *c, struct buf *b);
/* *ret = the bytes of b as a string; frees b.  Fails if b was full. */
int template_call_take(struct template_call *c, struct buf *b, struct tval *ret);
/* The same for a string that may stay where it is. */
static inline int template_return_str(struct tval *ret, str s)
{
    *ret = tval_str(s);
    return 0;
}

/* Compiled once per context and pattern. */
int template_call_regex(struct template_call *c, str pattern, const struct regex **ret);
/* The zone of a name; UTC if it is not known. */
const struct tzone *template_call_zone(struct template_call *c, str name);
/* A value of the root. */
bool template_root_get(const struct template_ctx *ctx, str name, struct tval *ret);
/* A root as a map of its own (unless it was changed: then it is one), another map as it is. */
int template_call_map(struct template_call *c, const struct tval *v, struct tmap **ret);
