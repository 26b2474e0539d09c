/* sprig's arithmetic. */
#include <math.h>

#include "base/mem.h"
#include "logql/template/convert.h"
#include "logql/template/decimal.h"
#include "logql/template/funcs.h"

static int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

#define INT_FN(name, expr)                                                                         \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)c, (void)n;                                                                          \
        *ret = (expr);                                                                             \
        return 0;                                                                                  \
    }

INT_FN(f_int, tval_int(convert_int(&args[0])))
INT_FN(f_int64, tval_int64(convert_int(&args[0])))
INT_FN(f_float64, tval_float(convert_float(&args[0])))
INT_FN(f_add1, tval_int64(wrap_add(convert_int(&args[0]), 1)))
INT_FN(f_sub, tval_int64(wrap_add(convert_int(&args[0]), wrap_mul(convert_int(&args[1]), -1))))
INT_FN(f_ceil, tval_float(ceil(convert_float(&args[0]))))
INT_FN(f_floor, tval_float(floor(convert_float(&args[0]))))

static int f_add(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum = wrap_add(sum, convert_int(&args[i]));
    *ret = tval_int64(sum);
    return 0;
}

static int f_mul(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    int64_t product = convert_int(&args[0]);
    for (int i = 1; i < n; i++)
        product = wrap_mul(product, convert_int(&args[i]));
    *ret = tval_int64(product);
    return 0;
}

static int f_div(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    int64_t a = convert_int(&args[0]), b = convert_int(&args[1]);
    if (b == 0)
        return template_call_fail(c, "runtime error: integer divide by zero");
    *ret = tval_int64(b == -1 ? wrap_mul(a, -1) : a / b);
    return 0;
}

static int f_mod(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    int64_t a = convert_int(&args[0]), b = convert_int(&args[1]);
    if (b == 0)
        return template_call_fail(c, "runtime error: integer divide by zero");
    *ret = tval_int64(b == -1 ? 0 : a % b);
    return 0;
}

static int f_max(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    int64_t best = convert_int(&args[0]);
    for (int i = 1; i < n; i++)
        best = MAX(best, convert_int(&args[i]));
    *ret = tval_int64(best);
    return 0;
}

static int f_min(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    int64_t best = convert_int(&args[0]);
    for (int i = 1; i < n; i++)
        best = MIN(best, convert_int(&args[i]));
    *ret = tval_int64(best);
    return 0;
}

/* math.Max and math.Min: a NaN wins, save against the infinity that is looked for. */
static double float_max(double a, double b)
{
    if (isinf(a) || isinf(b))
        return a > 0 && isinf(a)   ? a
               : b > 0 && isinf(b) ? b
               : isnan(a)          ? a
               : isnan(b)          ? b
               : a > b             ? a
                                   : b;
    return isnan(a) ? a : isnan(b) ? b : a > b ? a : b;
}

static int f_maxf(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    double best = convert_float(&args[0]);
    for (int i = 1; i < n; i++)
        best = float_max(best, convert_float(&args[i]));
    *ret = tval_float(best);
    return 0;
}

static int f_minf(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    double best = convert_float(&args[0]);
    for (int i = 1; i < n; i++)
        best = -float_max(-best, -convert_float(&args[i]));
    *ret = tval_float(best);
    return 0;
}

/* Folds the arguments as decimals, the first one being the start. */
static int fold(struct template_call *c, struct tval *args, int n, struct tval *ret,
                struct decimal (*op)(struct decimal, struct decimal))
{
    struct decimal d = {0, 0};
    for (int i = 0; i < n; i++) {
        double f = convert_float(&args[i]);
        if (!isfinite(f))
            return template_call_fail(c, "Cannot create a Decimal from %s",
                                      isnan(f) ? "NaN"
                                      : f > 0  ? "+Inf"
                                               : "-Inf");
        struct decimal v = decimal_from_float(f);
        if (i > 0 && op == decimal_div && v.mantissa == 0)
            return template_call_fail(c, "decimal division by 0");
        d = i == 0 ? v : op(d, v);
    }
    *ret = tval_float(decimal_to_float(d));
    return 0;
}

static int f_addf(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return fold(c, args, n, ret, decimal_add);
}

static int f_subf(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return fold(c, args, n, ret, decimal_sub);
}

static int f_mulf(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return fold(c, args, n, ret, decimal_mul);
}

static int f_divf(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    return fold(c, args, n, ret, decimal_div);
}

static int f_add1f(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct tval both[2] = {args[0], tval_int(1)};
    return fold(c, both, 2, ret, decimal_add);
}

/* Away from zero from one half on - for negative numbers always down, as in sprig. */
static int f_round(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)c;
    double half = n > 2 ? args[2].f : 0.5, whole;
    double power = pow(10, convert_float(&args[1])), v = power * convert_float(&args[0]);
    double rest = modf(v, &whole);
    *ret = tval_float((rest >= half ? ceil(v) : floor(v)) / power);
    return 0;
}

static const struct template_func funcs[] = {
    {"int", "v", f_int},     {"float64", "v", f_float64}, {"add", "v*", f_add},
    {"sub", "vv", f_sub},    {"mul", "vv*", f_mul},       {"div", "vv", f_div},
    {"mod", "vv", f_mod},    {"max", "vv*", f_max},       {"min", "vv*", f_min},
    {"maxf", "vv*", f_maxf}, {"minf", "vv*", f_minf},     {"addf", "v*", f_addf},
    {"subf", "vv*", f_subf}, {"mulf", "vv*", f_mulf},     {"divf", "vv*", f_divf},
    {"ceil", "v", f_ceil},   {"floor", "v", f_floor},     {"round", "vif*", f_round},
};

static const struct template_func more[] = {
    {"int64", "v", f_int64},
    {"add1", "v", f_add1},
    {"add1f", "v", f_add1f},
    {"biggest", "vv*", f_max},
};

const struct template_func_table template_funcs_math = TEMPLATE_TABLE(funcs);
const struct template_func_table template_funcs_math_more = TEMPLATE_TABLE(more);
