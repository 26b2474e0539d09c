/* Reading numbers as Go's strconv does; declared in base/gofmt.h. */
#include <math.h>
#include <stdlib.h>

#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/mem.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return (char)(c | 0x20);
}

static bool is_hex(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

/* Underscores stand between digits only; a base prefix counts as a digit. */
static bool underscores_ok(str s)
{
    size_t i = s.len > 0 && (s.ptr[0] == '+' || s.ptr[0] == '-') ? 1 : 0;
    bool hex = false, after_digit = false, after_underscore = false;
    if (s.len >= i + 2 && s.ptr[i] == '0' && char_in((unsigned char)lower(s.ptr[i + 1]), "box")) {
        hex = lower(s.ptr[i + 1]) == 'x';
        after_digit = true;
        i += 2;
    }
    for (; i < s.len; i++) {
        char c = s.ptr[i];
        bool digit = is_digit(c) || (hex && is_hex(c));
        if (c == '_' ? !after_digit : after_underscore && !digit)
            return false;
        after_digit = digit;
        after_underscore = c == '_';
    }
    return !after_underscore;
}

/* What a scan of a float literal found. */
struct float_scan {
    uint64_t mantissa; /* the first 19 significant digits */
    int exponent;      /* of ten, for the mantissa */
    bool neg, hex, cut, underscores;
};

static bool scan_exponent(str s, size_t *at, int *ret)
{
    bool neg = false;
    if (*at < s.len && (s.ptr[*at] == '+' || s.ptr[*at] == '-'))
        neg = s.ptr[(*at)++] == '-';
    if (*at >= s.len || !is_digit(s.ptr[*at]))
        return false;
    int e = 0;
    for (; *at < s.len && (is_digit(s.ptr[*at]) || s.ptr[*at] == '_'); (*at)++)
        if (s.ptr[*at] != '_' && e < 100000)
            e = e * 10 + (s.ptr[*at] - '0');
    *ret = neg ? -e : e;
    return true;
}

/* Checks the whole literal against Go's grammar. */
static bool scan_float(str s, struct float_scan *f)
{
    *f = (struct float_scan){0};
    size_t at = 0;
    if (s.len > 0 && (s.ptr[0] == '+' || s.ptr[0] == '-'))
        f->neg = s.ptr[at++] == '-';
    if (s.len >= at + 3 && s.ptr[at] == '0' && lower(s.ptr[at + 1]) == 'x') {
        f->hex = true;
        at += 2;
    }
    bool digits = false, point = false;
    int significant = 0;
    for (; at < s.len; at++) {
        char c = s.ptr[at];
        if (c == '_') {
            f->underscores = true;
        } else if (c == '.') {
            if (point)
                break;
            point = true;
        } else if (f->hex ? is_hex(c) : is_digit(c)) {
            digits = true;
            if (f->hex)
                continue;
            if (f->mantissa == 0 && c == '0') {
                f->exponent -= point;
            } else if (significant < 19) {
                f->mantissa = f->mantissa * 10 + (unsigned)(c - '0');
                significant++;
                f->exponent -= point;
            } else {
                f->cut = f->cut || c != '0';
                f->exponent += !point;
            }
        } else {
            break;
        }
    }
    if (!digits)
        return false;
    if (at < s.len && lower(s.ptr[at]) == (f->hex ? 'p' : 'e')) {
        int e;
        at++;
        if (!scan_exponent(s, &at, &e))
            return false;
        f->exponent += e;
        f->underscores = f->underscores || str_find_char(s, '_') != STR_NPOS;
    } else if (f->hex) {
        return false; /* hexadecimal needs its p */
    }
    return at == s.len && (!f->underscores || underscores_ok(s));
}

static bool parse_word(str s, double *ret)
{
    bool sign = s.len > 0 && (s.ptr[0] == '+' || s.ptr[0] == '-');
    str word = str_from(s, sign ? 1 : 0);
    if (str_eq_nocase(word, STR("inf")) || str_eq_nocase(word, STR("infinity"))) {
        *ret = s.ptr[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (!sign && str_eq_nocase(word, STR("nan"))) {
        *ret = NAN;
        return true;
    }
    return false;
}

/* strtod wants a NUL and knows no underscores; it rounds correctly in both bases. */
static double parse_slowly(str s)
{
    char small[128];
    char *text = s.len < sizeof small ? small : mem_alloc(s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '_')
            text[n++] = s.ptr[i];
    text[n] = '\0';
    double v = strtod(text, NULL);
    if (text != small)
        mem_free(text);
    return v;
}

/* Digits, and perhaps a point with digits behind it, so few that the number is exact: what nearly
 * all are.  False, and nothing said, of any other. */
static bool parse_plain(str s, double *ret)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    uint64_t mantissa = 0;
    size_t i = 0, point;
    if (s.len == 0 || s.len > ARRAY_LEN(powers))
        return false;
    for (; i < s.len && is_digit(s.ptr[i]); i++)
        mantissa = mantissa * 10 + (unsigned)(s.ptr[i] - '0');
    if (i == 0 || (i < s.len && (s.ptr[i] != '.' || i + 1 == s.len)))
        return false;
    point = i;
    for (i++; i < s.len && is_digit(s.ptr[i]); i++)
        mantissa = mantissa * 10 + (unsigned)(s.ptr[i] - '0');
    if (i < s.len)
        return false;
    *ret = point == s.len ? (double)mantissa : (double)mantissa / powers[s.len - point - 1];
    return true;
}

int goparse_float(str s, double *ret)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (parse_plain(s, ret) || parse_word(s, ret))
        return 0;
    struct float_scan f;
    if (!scan_float(s, &f))
        return E_PARSE;
    double v;
    if (!f.hex && !f.cut && f.mantissa < (UINT64_C(1) << 53) && f.exponent >= -22 &&
        f.exponent <= 22) { /* both are exact doubles, so one operation rounds correctly */
        v = (double)f.mantissa;
        v = f.exponent < 0 ? v / powers[-f.exponent] : v * powers[f.exponent];
        v = f.neg ? -v : v;
    } else {
        v = parse_slowly(s);
    }
    *ret = v;
    return isinf(v) ? E_LIMIT : 0;
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* Takes the base prefix of a base-0 literal off s. */
static int take_base(str *s)
{
    if (s->ptr[0] != '0')
        return 10;
    char p = s->len >= 3 ? lower(s->ptr[1]) : '\0';
    int base = p == 'b' ? 2 : p == 'o' ? 8 : p == 'x' ? 16 : 0;
    *s = str_from(*s, base != 0 ? 2 : 1);
    return base != 0 ? base : 8;
}

int goparse_uint(str s, int base, int bits, uint64_t *ret)
{
    ASSERT(base == 0 || (base >= 2 && base <= 36));
    if (s.len == 0)
        return E_PARSE;
    str whole = s;
    bool base0 = base == 0, underscores = false;
    if (base0)
        base = take_base(&s);
    uint64_t max = bits == 0 || bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    uint64_t v = 0;
    bool over = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '_' && base0) {
            underscores = true;
            continue;
        }
        int d = digit_value(s.ptr[i]);
        if (d >= base)
            return E_PARSE;
        over = over || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
               __builtin_add_overflow(v, (uint64_t)d, &v) || v > max;
        if (over) /* what follows does not matter any more */
            break;
    }
    if (over) {
        *ret = max;
        return E_LIMIT;
    }
    if (underscores && !underscores_ok(whole))
        return E_PARSE;
    *ret = v;
    return 0;
}

int goparse_int(str s, int base, int bits, int64_t *ret)
{
    bool neg = s.len > 0 && s.ptr[0] == '-';
    if (neg || (s.len > 0 && s.ptr[0] == '+'))
        s = str_from(s, 1);
    bits = bits == 0 ? 64 : bits;
    uint64_t v, cutoff = UINT64_C(1) << (bits - 1);
    int rc = goparse_uint(s, base, bits, &v);
    if (rc == E_PARSE)
        return rc;
    if (rc == E_LIMIT || v > cutoff || (v == cutoff && !neg)) {
        *ret = neg ? (int64_t)(0 - cutoff) : (int64_t)(cutoff - 1);
        return E_LIMIT;
    }
    *ret = (int64_t)(neg ? 0 - v : v);
    return 0;
}

int goparse_bool(str s, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_eq_c(s, yes[i]) || str_eq_c(s, no[i])) {
            *ret = str_eq_c(s, yes[i]);
            return 0;
        }
    }
    return E_PARSE;
}

int goparse_error(struct error *err, const char *func, str s, int code)
{
    if (err == NULL)
        return code;
    struct buf quoted;
    buf_init(&quoted, ERROR_TEXT_MAX);
    goquote(&quoted, s);
    error_set(err, code, "strconv.%s: parsing %s: %s", func, buf_c(&quoted),
              code == E_LIMIT ? "value out of range" : "invalid syntax");
    buf_deinit(&quoted);
    return code;
}
