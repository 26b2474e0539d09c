#include "base/gofmt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* A positive finite number in decimal: 0.d1d2d3... * 10^point. */
struct decimal {
    char digits[24];
    int len;
    int point;
};

#define DIGITS_MAX 17 /* enough to tell any two doubles apart */

static void decimal_trim(struct decimal *d)
{
    while (d->len > 1 && d->digits[d->len - 1] == '0')
        d->len--;
}

static void decimal_from_u64(struct decimal *d, uint64_t m, int exponent)
{
    d->len = snprintf(d->digits, sizeof d->digits, "%llu", (unsigned long long)m);
    d->point = d->len + exponent;
    decimal_trim(d);
}

/* d.ddde+XX as printf writes it */
static void decimal_from_text(struct decimal *d, const char *text)
{
    d->len = 0;
    for (; *text != '\0' && *text != 'e'; text++)
        if (*text != '.')
            d->digits[d->len++] = *text;
    d->point = (int)strtol(text + 1, NULL, 10) + 1;
    decimal_trim(d);
}

/* Most numbers people send have few decimals.  If v equals m / 10^k with m < 10^15, the division
 * rounds correctly, and since decimals of up to 15 digits map one to one to doubles, m without its
 * trailing zeros is the shortest text. */
static bool decimal_try_short(struct decimal *d, double v)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    for (unsigned k = 0; k < ARRAY_LEN(powers); k++) {
        double m = v * powers[k];
        if (m >= 1e15)
            return false;
        m = nearbyint(m);
        if (m / powers[k] == v) {
            decimal_from_u64(d, (uint64_t)m, -(int)k);
            return true;
        }
    }
    return false;
}

/* The shortest digits that read back as v, the closest to v among those. */
static void decimal_shortest(struct decimal *d, double v)
{
    if (v >= 1e-6 && decimal_try_short(d, v))
        return;
    char text[40];
    /* 15 digits always survive the way through a normal double, fewer ones a denormal */
    int n = v < 2.3e-308 ? 1 : 15;
    for (; n < DIGITS_MAX; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, v);
        if (strtod(text, NULL) == v)
            break;
        /* At a power of two the gap below is half the gap above: the next decimal up may read
         * back though the nearest one, which lies below, does not. */
        int exp2;
        if (frexp(v, &exp2) == 0.5) {
            struct decimal up;
            decimal_from_text(&up, text);
            char *last = strchr(text, 'e') - 1;
            if (strtod(text, NULL) < v && *last < '9') {
                (*last)++;
                if (strtod(text, NULL) == v)
                    break;
            }
        }
    }
    if (n == DIGITS_MAX)
        snprintf(text, sizeof text, "%.*e", n - 1, v);
    decimal_from_text(d, text);
}

static bool append_zeros(struct buf *b, int n)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    for (; n > 0; n -= (int)sizeof zeros - 1)
        buf_append(b, zeros, (size_t)MIN(n, (int)sizeof zeros - 1));
    return !b->failed;
}

static bool append_fixed(struct buf *b, const struct decimal *d)
{
    if (d->point <= 0) {
        buf_append_c(b, "0.");
        append_zeros(b, -d->point);
        return buf_append(b, d->digits, (size_t)d->len);
    }
    int whole = MIN(d->point, d->len);
    buf_append(b, d->digits, (size_t)whole);
    append_zeros(b, d->point - whole);
    if (whole < d->len) {
        buf_append_char(b, '.');
        buf_append(b, d->digits + whole, (size_t)(d->len - whole));
    }
    return !b->failed;
}

static bool append_exponent(struct buf *b, const struct decimal *d, char e)
{
    buf_append_char(b, d->digits[0]);
    if (d->len > 1) {
        buf_append_char(b, '.');
        buf_append(b, d->digits + 1, (size_t)(d->len - 1));
    }
    int exponent = d->point - 1;
    return buf_printf(b, "%c%c%02d", e, exponent < 0 ? '-' : '+', abs(exponent));
}

/* NaN, the infinities and the sign; true if that was all there is to say. */
static bool append_special(struct buf *b, double *v)
{
    if (isnan(*v)) {
        buf_append_c(b, "NaN");
        return true;
    }
    if (isinf(*v)) {
        buf_append_c(b, *v > 0 ? "+Inf" : "-Inf");
        return true;
    }
    if (signbit(*v)) {
        buf_append_char(b, '-');
        *v = -*v;
    }
    return false;
}

/* 'g' without a precision changes to the exponent at these powers of ten */
#define EXPONENT_BELOW (-4)
#define EXPONENT_FROM  6

static bool append_shortest(struct buf *b, double v, char fmt)
{
    struct decimal d = {.digits = "0", .len = 1, .point = 1};
    if (v != 0)
        decimal_shortest(&d, v);
    bool fixed = fmt == 'f' || fmt == 'F';
    if (fmt == 'g' || fmt == 'G')
        fixed = d.point - 1 >= EXPONENT_BELOW && d.point - 1 < EXPONENT_FROM;
    return fixed ? append_fixed(b, &d)
                 : append_exponent(b, &d, fmt == 'E' || fmt == 'G' ? 'E' : 'e');
}

/* C and Go agree on %e and %f; %g of Go never pads and treats precision 0 as 1, as C does. */
static bool append_with_precision(struct buf *b, double v, char fmt, int prec)
{
    char format[] = {'%', '.', '*', fmt, '\0'};
    char small[64];
    /* the longest text: 309 digits, a point and the decimals */
    int n = snprintf(small, sizeof small, format, prec, v);
    if (n < (int)sizeof small)
        return buf_append(b, small, (size_t)n);
    if (!buf_reserve(b, (size_t)n + 1))
        return false;
    snprintf(b->ptr + b->len, (size_t)n + 1, format, prec, v);
    b->len += (size_t)n;
    return true;
}

bool gofmt_float(struct buf *b, double v, char fmt, int prec)
{
    if (append_special(b, &v))
        return !b->failed;
    if (prec < 0)
        return append_shortest(b, v, fmt);
    return append_with_precision(b, v, fmt, prec);
}

bool gofmt_float_v(struct buf *b, double v)
{
    return gofmt_float(b, v, 'g', -1);
}

bool gofmt_float_json(struct buf *b, double v)
{
    if (!isfinite(v))
        return buf_append_c(b, "null");
    append_special(b, &v);
    if (v == 0 || (v >= 1e-6 && v < 1e21))
        return append_shortest(b, v, 'f');
    size_t start = b->len;
    append_shortest(b, v, 'e');
    if (!b->failed && b->len - start >= 4 && memcmp(b->ptr + b->len - 4, "e-0", 3) == 0) {
        b->ptr[b->len - 2] = b->ptr[b->len - 1];
        b->len--;
    }
    return !b->failed;
}

bool gofmt_uint(struct buf *b, uint64_t v, int base)
{
    ASSERT(base >= 2 && base <= 36);
    char text[64];
    size_t at = sizeof text;
    do {
        text[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % (unsigned)base];
        v /= (unsigned)base;
    } while (v > 0);
    return buf_append(b, text + at, sizeof text - at);
}

bool gofmt_int(struct buf *b, int64_t v, int base)
{
    if (v < 0)
        buf_append_char(b, '-');
    return gofmt_uint(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, base);
}
