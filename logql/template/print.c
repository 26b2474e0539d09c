#include "logql/template/print.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/verb.h"

void tprint_value(struct buf *b, const struct tval *v)
{
    struct tverb plain = {0};
    tverb_print(b, &plain, v, 'v');
}

void tprint_all(struct buf *b, const struct tval *args, int n)
{
    for (int i = 0; i < n; i++) {
        if (i > 0 && args[i].type != TVAL_STRING && args[i - 1].type != TVAL_STRING)
            buf_append_char(b, ' ');
        tprint_value(b, &args[i]);
    }
}

void tprint_line(struct buf *b, const struct tval *args, int n)
{
    for (int i = 0; i < n; i++) {
        if (i > 0)
            buf_append_char(b, ' ');
        tprint_value(b, &args[i]);
    }
    buf_append_char(b, '\n');
}

/* --- Sprintf --- */

struct formatter {
    struct buf *out;
    str rest; /* of the format */
    const struct tval *args;
    int n_args, at; /* the argument that comes next */
    bool reordered, good_index, after_index;
};

static bool take_digits(struct formatter *p, int *ret)
{
    int v = 0;
    size_t n = 0;
    for (; n < p->rest.len && p->rest.ptr[n] >= '0' && p->rest.ptr[n] <= '9'; n++)
        v = v > TVERB_WIDTH_MAX ? v : v * 10 + (p->rest.ptr[n] - '0');
    p->rest = str_from(p->rest, n);
    *ret = v;
    return n > 0;
}

/* [3]: which argument comes next. */
static void take_index(struct formatter *p)
{
    if (p->rest.len == 0 || p->rest.ptr[0] != '[')
        return;
    p->reordered = true;
    size_t end = str_find_char(p->rest, ']');
    if (end == STR_NPOS) {
        p->good_index = false;
        p->rest = str_from(p->rest, 1);
        return;
    }
    int64_t v;
    bool ok = str_to_i64(str_sub(p->rest, 1, end), &v) && v >= 1 && v <= p->n_args;
    p->rest = str_from(p->rest, end + 1);
    if (ok)
        p->at = (int)v - 1;
    p->good_index = p->good_index && ok;
    p->after_index = true;
}

/* The argument for a *, which has to be a small integer. */
static bool take_star(struct formatter *p, int *ret)
{
    p->rest = str_from(p->rest, 1);
    p->after_index = false;
    if (p->at >= p->n_args)
        return false;
    const struct tval *v = &p->args[p->at++];
    if (!tval_is_int(v) || v->i < -TVERB_WIDTH_MAX || v->i > TVERB_WIDTH_MAX)
        return false;
    *ret = (int)v->i;
    return true;
}

static void take_flags(struct formatter *p, struct tverb *f)
{
    for (; p->rest.len > 0; p->rest = str_from(p->rest, 1)) {
        switch (p->rest.ptr[0]) {
        case '#':
            f->sharp = true;
            break;
        case '0':
            f->zero = true;
            break;
        case '+':
            f->plus = true;
            break;
        case '-':
            f->minus = true;
            break;
        case ' ':
            f->space = true;
            break;
        default:
            return;
        }
    }
}

static bool at_char(const struct formatter *p, char c)
{
    return p->rest.len > 0 && p->rest.ptr[0] == c;
}

static void take_width(struct formatter *p, struct tverb *f)
{
    take_index(p);
    if (at_char(p, '*')) {
        f->has_width = take_star(p, &f->width);
        if (!f->has_width)
            buf_append_c(p->out, "%!(BADWIDTH)");
        if (f->has_width && f->width < 0) {
            f->width = -f->width;
            f->minus = true;
            f->zero = false;
        }
        return;
    }
    f->has_width = take_digits(p, &f->width);
    if (f->has_width && f->width > TVERB_WIDTH_MAX)
        f->has_width = false;
    if (p->after_index && f->has_width) /* %[3]2d */
        p->good_index = false;
}

static void take_precision(struct formatter *p, struct tverb *f)
{
    if (!at_char(p, '.') || p->rest.len == 1) /* at the end a point is a verb, if a strange one */
        return;
    p->rest = str_from(p->rest, 1);
    if (p->after_index) /* %[3].2d */
        p->good_index = false;
    take_index(p);
    if (at_char(p, '*')) {
        f->has_prec = take_star(p, &f->prec) && f->prec >= 0;
        if (!f->has_prec)
            buf_append_c(p->out, "%!(BADPREC)");
        return;
    }
    take_digits(p, &f->prec);
    f->has_prec = f->prec <= TVERB_WIDTH_MAX;
}

static void print_verb(struct formatter *p, struct tverb *f, uint32_t verb)
{
    struct buf *b = p->out;
    if (verb == '%') {
        buf_append_char(b, '%');
    } else if (!p->good_index) {
        buf_append_c(b, "%!");
        utf8_append(b, verb);
        buf_append_c(b, "(BADINDEX)");
    } else if (p->at >= p->n_args) {
        buf_append_c(b, "%!");
        utf8_append(b, verb);
        buf_append_c(b, "(MISSING)");
    } else {
        if (verb == 'v') {
            f->sharp_v = f->sharp;
            f->plus_v = f->plus;
            f->sharp = f->plus = false;
        }
        tverb_print(b, f, &p->args[p->at++], verb);
    }
}

static void print_extra(struct formatter *p)
{
    buf_append_c(p->out, "%!(EXTRA ");
    for (int i = p->at; i < p->n_args; i++) {
        if (i > p->at)
            buf_append_c(p->out, ", ");
        if (p->args[i].type != TVAL_NIL) {
            buf_append_c(p->out, tval_type_name(&p->args[i]));
            buf_append_char(p->out, '=');
        }
        tprint_value(p->out, &p->args[i]);
    }
    buf_append_char(p->out, ')');
}

void tprint_format(struct buf *b, str format, const struct tval *args, int n)
{
    struct formatter p = {.out = b, .rest = format, .args = args, .n_args = n};
    while (p.rest.len > 0 && !b->failed) {
        p.good_index = true;
        size_t at = MIN(str_find_char(p.rest, '%'), p.rest.len);
        buf_append_str(b, str_sub(p.rest, 0, at));
        p.rest = str_from(p.rest, at);
        if (p.rest.len == 0)
            break;
        p.rest = str_from(p.rest, 1);
        struct tverb f = {0};
        take_flags(&p, &f);
        p.after_index = false;
        take_width(&p, &f);
        take_precision(&p, &f);
        if (!p.after_index)
            take_index(&p);
        if (p.rest.len == 0) {
            buf_append_c(b, "%!(NOVERB)");
            break;
        }
        uint32_t verb;
        p.rest = str_from(p.rest, utf8_decode(p.rest, &verb));
        print_verb(&p, &f, verb);
    }
    if (!p.reordered && p.at < p.n_args)
        print_extra(&p);
}
