#include "logql/template/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/gofmt.h"

#define DIV_PLACES 16

/* Room that is left for one more factor of ten. */
static const __int128 mantissa_max = ((__int128)1 << 126) / 10;

static __int128 magnitude(__int128 v)
{
    return v < 0 ? -v : v;
}

struct decimal decimal_from_float(double f)
{
    struct decimal d = {0, 0};
    struct buf b;
    if (!isfinite(f) || f == 0)
        return d;
    buf_init(&b, 64);
    gofmt_float(&b, f, 'e', -1);
    const char *p = buf_c(&b);
    int digits = 0, point = -1;
    for (; *p != '\0' && *p != 'e'; p++) {
        if (*p == '.')
            point = digits;
        if (*p < '0' || *p > '9')
            continue;
        d.mantissa = d.mantissa * 10 + (*p - '0');
        digits++;
    }
    d.exponent = (int)strtol(p + 1, NULL, 10) - (point < 0 ? 0 : digits - point);
    d.mantissa = f < 0 ? -d.mantissa : d.mantissa;
    buf_deinit(&b);
    return d;
}

double decimal_to_float(struct decimal d)
{
    char text[64];
    size_t at = sizeof text;
    __int128 m = magnitude(d.mantissa);
    int n = snprintf(text, sizeof text, "e%d", d.exponent);
    char all[128];
    at = sizeof all - (size_t)n - 1;
    for (int i = 0; i <= n; i++)
        all[at + (size_t)i] = text[i];
    do {
        all[--at] = (char)('0' + (int)(m % 10));
        m /= 10;
    } while (m > 0);
    double f = strtod(all + at, NULL);
    return d.mantissa < 0 ? -f : f;
}

/* Brings an exponent down to `to`; false if the digits do not fit. */
static bool scale_to(struct decimal *d, int to)
{
    struct decimal r = *d;
    while (r.exponent > to && r.mantissa != 0) {
        if (magnitude(r.mantissa) > mantissa_max)
            return false;
        r.mantissa *= 10;
        r.exponent--;
    }
    r.exponent = to;
    *d = r;
    return true;
}

struct decimal decimal_add(struct decimal a, struct decimal b)
{
    int to = a.exponent < b.exponent ? a.exponent : b.exponent;
    if (a.mantissa == 0)
        return b;
    if (b.mantissa == 0)
        return a;
    struct decimal x = a, y = b;
    if (!scale_to(&x, to) || !scale_to(&y, to))
        return decimal_from_float(decimal_to_float(a) + decimal_to_float(b));
    return (struct decimal){x.mantissa + y.mantissa, to};
}

struct decimal decimal_sub(struct decimal a, struct decimal b)
{
    b.mantissa = -b.mantissa;
    return decimal_add(a, b);
}

struct decimal decimal_mul(struct decimal a, struct decimal b)
{
    __int128 m;
    if (__builtin_mul_overflow(a.mantissa, b.mantissa, &m) || magnitude(m) > mantissa_max)
        return decimal_from_float(decimal_to_float(a) * decimal_to_float(b));
    return (struct decimal){m, a.exponent + b.exponent};
}

struct decimal decimal_div(struct decimal a, struct decimal b)
{
    /* a / b * 10^16 as a whole number: shift what has to grow */
    int shift = a.exponent - b.exponent + DIV_PLACES;
    __int128 n = a.mantissa, d = b.mantissa;
    bool neg = (n < 0) != (d < 0);
    n = magnitude(n);
    d = magnitude(d);
    for (; shift > 0 && n <= mantissa_max && n != 0; shift--)
        n *= 10;
    for (; shift < 0 && d <= mantissa_max; shift++)
        d *= 10;
    if (shift != 0 && n != 0)
        return decimal_from_float(decimal_to_float(a) / decimal_to_float(b));
    __int128 q = n / d;
    q += n % d >= d - n % d; /* halves away from zero */
    return (struct decimal){neg ? -q : q, -DIV_PLACES};
}
