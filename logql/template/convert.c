#include "logql/template/convert.h"

#include <math.h>

#include "base/gofmt.h"
#include "logql/template/print.h"

/* Go's conversion of a float that does not fit is what the processor gives: the smallest int. */
static int64_t float_to_int(double f)
{
    return f >= -9223372036854775808.0 && f < 9223372036854775808.0 ? (int64_t)f : INT64_MIN;
}

/* "7.00" -> "7"; "7.01" stays. */
static str trim_zero_decimals(str s)
{
    for (size_t i = s.len; i > 0; i--) {
        char c = s.ptr[i - 1];
        if (c == '.' && i < s.len)
            return str_sub(s, 0, i - 1);
        if (c != '0')
            break;
    }
    return s;
}

int64_t convert_int(const struct tval *v)
{
    int64_t i = 0;
    switch (v->type) {
    case TVAL_BOOL:
        return v->b;
    case TVAL_FLOAT:
        return float_to_int(v->f);
    case TVAL_STRING:
        return goparse_int(trim_zero_decimals(v->s), 0, 64, &i) == 0 ? i : 0;
    case TVAL_DURATION: /* a type of its own, which cast does not know */
        return 0;
    default:
        return tval_is_int(v) ? v->i : 0;
    }
}

double convert_float(const struct tval *v)
{
    double f = 0;
    switch (v->type) {
    case TVAL_BOOL:
        return v->b;
    case TVAL_FLOAT:
        return v->f;
    case TVAL_STRING:
        return goparse_float(v->s, &f) == 0 ? f : 0;
    case TVAL_DURATION:
        return 0;
    default:
        return tval_is_int(v) ? (double)v->i : 0;
    }
}

void convert_append_text(struct buf *b, const struct tval *v)
{
    if (v->type == TVAL_STRING)
        buf_append_str(b, v->s);
    else
        tprint_value(b, v);
}

bool convert_is_empty(const struct tval *v)
{
    return v->type != TVAL_TIME && !tval_truth(v);
}
