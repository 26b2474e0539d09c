#include "logql/template/verb.h"

#include <math.h>
#include <stdio.h>

#include "base/duration.h"
#include "base/gofmt.h"
#include "base/golayout.h"
#include "base/goquote.h"
#include "base/mem.h"
#include "base/utf8.h"

#define DEPTH_MAX 600 /* JSON nests at most 512 deep */

static void print_arg(struct buf *b, struct tverb *f, const struct tval *v, uint32_t verb,
                      int depth);

/* --- padding --- */

static void append_fill(struct buf *b, int n, char c)
{
    for (; n > 0 && !b->failed; n--)
        buf_append_char(b, c);
}

static void pad(struct buf *b, const struct tverb *f, str s)
{
    int missing = f->has_width ? f->width - (int)utf8_count(s) : 0;
    if (!f->minus)
        append_fill(b, missing, f->zero ? '0' : ' ');
    buf_append_str(b, s);
    if (f->minus)
        append_fill(b, missing, ' ');
}

/* Cut to the precision, which counts runes. */
static str cut(const struct tverb *f, str s)
{
    return f->has_prec ? str_sub(s, 0, utf8_offset(s, (size_t)f->prec)) : s;
}

/* --- one type each; false if the verb does not fit --- */

static bool print_bool(struct buf *b, const struct tverb *f, bool v, uint32_t verb)
{
    if (verb != 't' && verb != 'v')
        return false;
    pad(b, f, v ? STR("true") : STR("false"));
    return true;
}

static void print_rune(struct buf *b, const struct tverb *f, uint64_t v, bool quoted)
{
    uint32_t rune = v > RUNE_MAX ? RUNE_ERROR : (uint32_t)v;
    struct buf text;
    buf_init(&text, 32);
    if (quoted)
        goquote_rune(&text, rune);
    else
        utf8_append(&text, rune);
    pad(b, f, buf_str(&text));
    buf_deinit(&text);
}

static void print_unicode(struct buf *b, const struct tverb *f, uint64_t v)
{
    struct buf text;
    buf_init(&text, 128);
    int digits = f->has_prec && f->prec > 4 ? MIN(f->prec, 64) : 4;
    buf_printf(&text, "U+%0*llX", digits, (unsigned long long)v);
    if (f->sharp && v <= RUNE_MAX && rune_is_print((uint32_t)v)) {
        buf_append_c(&text, " '");
        utf8_append(&text, (uint32_t)v);
        buf_append_char(&text, '\'');
    }
    struct tverb g = *f;
    g.zero = false;
    pad(b, &g, buf_str(&text));
    buf_deinit(&text);
}

static void print_digits(struct buf *b, const struct tverb *f, int64_t v, bool is_signed, int base,
                         uint32_t verb)
{
    struct tverb g = *f;
    bool neg = is_signed && v < 0;
    uint64_t u = neg ? 0 - (uint64_t)v : (uint64_t)v;
    int least = 0;
    g.zero = false;
    if (f->has_prec) {
        least = f->prec;
        if (least == 0 && u == 0) {
            append_fill(b, f->has_width ? f->width : 0, ' ');
            return;
        }
    } else if (f->zero && !f->minus && f->has_width) {
        least = f->width - (neg || f->plus || f->space);
    }
    struct buf digits, text;
    buf_init(&digits, 128);
    gofmt_uint(&digits, u, base);
    if (verb == 'X')
        for (size_t i = 0; i < digits.len; i++)
            digits.ptr[i] = (char)(digits.ptr[i] >= 'a' ? digits.ptr[i] - 32 : digits.ptr[i]);
    buf_init(&text, TVERB_WIDTH_MAX + 256);
    buf_append_c(&text, neg ? "-" : f->plus ? "+" : f->space ? " " : "");
    if (verb == 'O')
        buf_append_c(&text, "0o");
    else if (f->sharp && base != 10)
        buf_append_c(&text, base == 2 ? "0b" : base == 8 ? "0" : verb == 'X' ? "0X" : "0x");
    append_fill(&text, least - (int)digits.len, '0');
    buf_append_str(&text, buf_str(&digits));
    pad(b, &g, buf_str(&text));
    buf_deinit(&digits);
    buf_deinit(&text);
}

static bool print_int(struct buf *b, const struct tverb *f, const struct tval *v, uint32_t verb)
{
    bool is_signed = v->type != TVAL_UINT8 && v->type != TVAL_UINT32;
    switch (verb) {
    case 'v':
    case 'd':
        print_digits(b, f, v->i, is_signed, 10, verb);
        return true;
    case 'b':
        print_digits(b, f, v->i, is_signed, 2, verb);
        return true;
    case 'o':
    case 'O':
        print_digits(b, f, v->i, is_signed, 8, verb);
        return true;
    case 'x':
    case 'X':
        print_digits(b, f, v->i, is_signed, 16, verb);
        return true;
    case 'c':
    case 'q':
        print_rune(b, f, (uint64_t)v->i, verb == 'q');
        return true;
    case 'U':
        print_unicode(b, f, (uint64_t)v->i);
        return true;
    default:
        return false;
    }
}

/* C's %a has one exponent digit at least, Go's has two. */
static void append_hex_float(struct buf *b, double v, bool upper, int prec)
{
    char text[64];
    if (prec < 0)
        snprintf(text, sizeof text, upper ? "%A" : "%a", v);
    else
        snprintf(text, sizeof text, upper ? "%.*A" : "%.*a", MIN(prec, 30), v);
    char *sign = strpbrk(text, "pP");
    if (sign != NULL && strlen(sign) == 3) {
        sign[4] = '\0';
        sign[3] = sign[2];
        sign[2] = '0';
    }
    buf_append_c(b, text);
}

static bool print_float(struct buf *b, const struct tverb *f, double v, uint32_t verb)
{
    int prec = f->has_prec ? f->prec : -1;
    char format = (char)verb;
    if (verb == 'v')
        format = 'g';
    else if (verb == 'F')
        format = 'f';
    else if (!char_in(verb, "eEfgGxX"))
        return false;
    if (!f->has_prec && char_in((uint32_t)format, "eEf"))
        prec = 6;
    struct buf text;
    buf_init(&text, TVERB_WIDTH_MAX + 512);
    if (!signbit(v) || isnan(v))
        buf_append_char(&text, '+');
    if (isinf(v))
        buf_append_c(&text, v > 0 ? "Inf" : "-Inf");
    else if (format == 'x' || format == 'X')
        append_hex_float(&text, v, format == 'X', prec);
    else
        gofmt_float(&text, v, format, prec);
    struct tverb g = *f;
    str s = buf_str(&text);
    bool plain = !isfinite(v);
    if (f->space && s.ptr[0] == '+' && !f->plus)
        text.ptr[0] = ' ';
    g.zero = f->zero && !plain;
    bool show_sign = f->plus || s.ptr[0] != '+' || isinf(v);
    if (isnan(v))
        show_sign = f->plus || f->space;
    if (!show_sign) {
        pad(b, &g, str_from(s, 1));
    } else if (g.zero && !f->minus && f->has_width && f->width > (int)s.len) {
        buf_append_char(b, s.ptr[0]);
        append_fill(b, f->width - (int)s.len, '0');
        buf_append_str(b, str_from(s, 1));
    } else {
        pad(b, &g, s);
    }
    buf_deinit(&text);
    return true;
}

static void print_hex(struct buf *b, const struct tverb *f, str s, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    struct buf text;
    buf_init(&text, b->max);
    if (f->has_prec)
        s = str_sub(s, 0, (size_t)f->prec);
    for (size_t i = 0; i < s.len; i++) {
        if (f->space && i > 0)
            buf_append_char(&text, ' ');
        if (f->sharp && (f->space || i == 0))
            buf_append_c(&text, upper ? "0X" : "0x");
        buf_append_char(&text, digits[(unsigned char)s.ptr[i] >> 4]);
        buf_append_char(&text, digits[s.ptr[i] & 15]);
    }
    pad(b, f, buf_str(&text));
    b->failed = b->failed || text.failed;
    buf_deinit(&text);
}

static void print_quoted(struct buf *b, const struct tverb *f, str s)
{
    struct buf text;
    buf_init(&text, b->max);
    s = cut(f, s);
    if (f->sharp && goquote_can_backquote(s))
        buf_printf(&text, "`%.*s`", STR_ARG(s));
    else if (f->plus)
        goquote_ascii(&text, s);
    else
        goquote(&text, s);
    pad(b, f, buf_str(&text));
    b->failed = b->failed || text.failed;
    buf_deinit(&text);
}

static bool print_string(struct buf *b, const struct tverb *f, str s, uint32_t verb)
{
    switch (verb) {
    case 'v':
        if (f->sharp_v)
            print_quoted(b, f, s);
        else
            pad(b, f, cut(f, s));
        return true;
    case 's':
        pad(b, f, cut(f, s));
        return true;
    case 'x':
    case 'X':
        print_hex(b, f, s, verb == 'X');
        return true;
    case 'q':
        print_quoted(b, f, s);
        return true;
    default:
        return false;
    }
}

/* The String() of the types that have one; false for the others. */
static bool append_stringer(struct buf *b, const struct tval *v)
{
    switch (v->type) {
    case TVAL_TIME:
        gotime_append(b, v->t);
        return true;
    case TVAL_DURATION:
        duration_append_go(b, v->i);
        return true;
    case TVAL_MONTH:
        if (v->i < 1 || v->i > 12)
            buf_printf(b, "%%!Month(%lld)", (long long)v->i);
        else
            buf_append_c(b, golayout_months[v->i - 1]);
        return true;
    case TVAL_WEEKDAY:
        if (v->i < 0 || v->i > 6)
            buf_printf(b, "%%!Weekday(%lld)", (long long)v->i);
        else
            buf_append_c(b, golayout_weekdays[v->i]);
        return true;
    default:
        return false;
    }
}

static void print_list(struct buf *b, struct tverb *f, const struct tlist *l, uint32_t verb,
                       int depth)
{
    if (f->sharp_v)
        buf_append_c(b, l->type_name);
    buf_append_char(b, f->sharp_v ? '{' : '[');
    for (size_t i = 0; i < l->len && !b->failed; i++) {
        if (i > 0)
            buf_append_c(b, f->sharp_v ? ", " : " ");
        print_arg(b, f, &l->items[i], verb, depth + 1);
    }
    buf_append_char(b, f->sharp_v ? '}' : ']');
}

static void print_map(struct buf *b, struct tverb *f, const struct tmap *m, uint32_t verb,
                      int depth)
{
    const struct tval *text =
        strcmp(m->type_name, TMAP_VERSION) == 0 && !f->sharp_v ? tmap_get(m, STR("String")) : NULL;
    if (text != NULL) {
        print_arg(b, f, text, verb, depth + 1);
        return;
    }
    buf_append_c(b, f->sharp_v ? m->type_name : "map");
    buf_append_char(b, f->sharp_v ? '{' : '[');
    for (size_t i = 0; i < m->len && !b->failed; i++) {
        struct tval key = tval_str(m->keys[i]);
        if (i > 0)
            buf_append_c(b, f->sharp_v ? ", " : " ");
        print_arg(b, f, &key, verb, depth + 1);
        buf_append_char(b, ':');
        print_arg(b, f, &m->values[i], verb, depth + 1);
    }
    buf_append_char(b, f->sharp_v ? '}' : ']');
}

static void bad_verb(struct buf *b, struct tverb *f, const struct tval *v, uint32_t verb, int depth)
{
    bool outer = f->erroring;
    f->erroring = true;
    buf_append_c(b, "%!");
    utf8_append(b, verb);
    buf_append_char(b, '(');
    if (v->type != TVAL_NIL) {
        buf_append_c(b, tval_type_name(v));
        buf_append_char(b, '=');
    }
    print_arg(b, f, v, 'v', depth + 1);
    buf_append_char(b, ')');
    f->erroring = outer;
}

static void print_arg(struct buf *b, struct tverb *f, const struct tval *v, uint32_t verb,
                      int depth)
{
    bool ok = true;
    if (depth > DEPTH_MAX)
        return;
    if (depth > 0 && v->type == TVAL_NIL) {
        buf_append_c(b, f->sharp_v ? "interface {}(nil)" : "<nil>");
        return;
    }
    if (verb == 'T') {
        pad(b, f, cut(f, str_c(tval_type_name(v))));
        return;
    }
    struct buf text;
    buf_init(&text, 128);
    if (!f->sharp_v && !f->erroring && char_in(verb, "vsxXq") && append_stringer(&text, v)) {
        print_string(b, f, buf_str(&text), verb);
        buf_deinit(&text);
        return;
    }
    buf_deinit(&text);
    switch (v->type) {
    case TVAL_NIL:
        ok = verb == 'v';
        if (ok)
            pad(b, f, STR("<nil>"));
        break;
    case TVAL_BOOL:
        ok = print_bool(b, f, v->b, verb);
        break;
    case TVAL_FLOAT:
        ok = print_float(b, f, v->f, verb);
        break;
    case TVAL_STRING:
        ok = print_string(b, f, v->s, verb);
        break;
    case TVAL_LIST:
        print_list(b, f, v->list, verb, depth);
        break;
    case TVAL_MAP:
        print_map(b, f, v->map, verb, depth);
        break;
    case TVAL_TIME:
    case TVAL_ROOT:
        ok = false;
        break;
    default:
        ok = print_int(b, f, v, verb);
        break;
    }
    if (!ok && depth <= DEPTH_MAX && (v->type < TVAL_TIME || v->type == TVAL_TIME))
        bad_verb(b, f, v, verb, depth);
}

void tverb_print(struct buf *b, struct tverb *f, const struct tval *v, uint32_t verb)
{
    print_arg(b, f, v, verb, 0);
}
