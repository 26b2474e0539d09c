#include "logql/stages/line_forms.h"

#include "logql/stages/byte_scan.h"
#include "logql/stages/json_lax.h"
#include "logql/stages/label_key.h"
#include "logql/stages/logfmt_scan.h"

/* Values of an inner object that wait for its end. */
#define WAITING_MAX 64
/* Learning costs as much as parsing, and lines may never be alike.  Trust is what known lines earn
 * and unknown ones cost; without any left, the next lines are not looked at and all is forgotten.
 */
#define TRUST_MAX   64
#define TRUST_COST  4
#define PAUSE_LINES 1024

#define FORMS_FIRST_CAP 16

struct form {
    _Alignas(16) char text[FORM_TEXT];
    uint32_t mask;       /* bit i: text[i] is part of it */
    uint32_t id;         /* of the label name (before "_extracted"), or NAME_NONE */
    uint16_t to;         /* context behind the value */
    uint16_t next;       /* of the same context; 0: none */
    uint16_t guess;      /* the form that followed last time; 0: none */
    uint8_t len, kind;   /* enum form_kind */
    bool leaves_objects; /* behind the text no inner object is open that a value before is in */
    bool is_outer;       /* the value stands in no inner object */
    bool is_passed;      /* nothing is to be done about it */
    uint8_t has_quote;   /* 1: behind the value, which is no part of the next text */
};

#define NO_PARENT UINT32_MAX /* in the middle of a text, which is no object */

struct form_context {
    uint32_t parent; /* context of the object around */
    uint16_t first;  /* form; 0: none */
    str key;         /* of the object, in the arena */
};

struct line_forms {
    struct forms_params params;
    int trust;
    unsigned pause;
    uint32_t n, cap, n_contexts;
    struct form *forms; /* [n], room for cap; 0: stands before the first of a line */
    struct arena arena;
    struct form_context contexts[FORMS_CONTEXTS_MAX]; /* 0: where a line begins; 1: behind that */
};

_Static_assert(sizeof(struct form) == 64, "an array of forms is quick to index");

enum { CONTEXT_BEGIN, CONTEXT_OUTER, CONTEXTS_FIXED };

static void forget(struct line_forms *f)
{
    f->trust = TRUST_MAX;
    f->n = 1;
    f->n_contexts = CONTEXTS_FIXED;
    for (uint32_t i = 0; i < CONTEXTS_FIXED; i++)
        f->contexts[i] = (struct form_context){0};
    f->forms[0] = (struct form){.to = CONTEXT_BEGIN}; /* FORM_NONE: fits nowhere */
    arena_reset(&f->arena);
}

struct line_forms *line_forms_new(const struct forms_params *p)
{
    struct line_forms *f = mem_zalloc(sizeof *f);
    f->params = *p;
    f->cap = FORMS_FIRST_CAP;
    f->forms = mem_array(f->cap, sizeof *f->forms);
    arena_init(&f->arena, SIZE_MAX);
    forget(f);
    return f;
}

void line_forms_free(struct line_forms *f)
{
    if (f == NULL)
        return;
    arena_deinit(&f->arena);
    mem_free(f->forms);
    mem_free(f);
}

/* ---- reading ---- */

struct form_value {
    const struct form *form;
    str text;
};

static inline bool is_text_here(const struct form *m, str line, size_t at)
{
    const char *p = line.ptr + at;
#if defined(__SSE2__)
    if (at + FORM_TEXT <= line.len) {
        const __m128i *a = (const __m128i *)(const void *)p;
        const __m128i *b = (const __m128i *)(const void *)m->text;
        uint32_t low =
            (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(a), _mm_load_si128(b)));
        uint32_t high = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(a + 1), _mm_load_si128(b + 1)));
        return ((low | high << 16) & m->mask) == m->mask;
    }
#endif
    return m->len <= line.len - at && memcmp(p, m->text, m->len) == 0;
}

/* ---- where values end: NO_END if they do not, `at` if there is none ---- */

#define NO_END STR_NPOS

/* The offset of the closing quote. */
static inline size_t string_end(str line, size_t at)
{
    size_t end = byte_scan(line, at, BYTES_STRING_END);
    if (end < line.len && line.ptr[end] == '"')
        return end;
    bool ignored;
    end = json_lax_string_end(line, at, &ignored);
    return end == STR_NPOS ? NO_END : end - 1;
}

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '.' || c == 'e' || c == 'E' || c == '+';
}

static inline bool is_token_end(str line, size_t at)
{
    return at == line.len || json_lax_is_token_end(line.ptr[at]);
}

static inline size_t number_end(str line, size_t at)
{
    if (at == line.len || line.ptr[at] == '.' || line.ptr[at] == '/')
        return at;
    size_t end = byte_scan(line, at, BYTES_NO_NUMBER);
    while (end > at && end < line.len && is_number_char(line.ptr[end]))
        end++; /* an exponent */
    return end == at || is_token_end(line, end) ? end : NO_END;
}

static inline size_t bool_end(str line, size_t at)
{
    str rest = str_from(line, at);
    if (!str_has_prefix(rest, STR("true")) && !str_has_prefix(rest, STR("false")))
        return at;
    size_t end = at + (rest.ptr[0] == 't' ? 4 : 5);
    return is_token_end(line, end) ? end : NO_END;
}

static size_t object_end(str line, size_t at)
{
    return at < line.len && line.ptr[at] == '{' ? json_lax_block_end(line, at) : at;
}

/* In an inner object an array may not have braces: the object would seem to end at one. */
static size_t array_end(str line, size_t at, bool is_outer)
{
    if (at == line.len || line.ptr[at] != '[')
        return at;
    size_t end = json_lax_block_end(line, at);
    if (end == STR_NPOS || is_outer)
        return end;
    str text = str_sub(line, at, end);
    bool has_braces = str_find_char(text, '{') != STR_NPOS || str_find_char(text, '}') != STR_NPOS;
    return has_braces ? NO_END : end;
}

/* What ends with anything but a blank is a fault. */
static inline size_t bare_end(str line, size_t at)
{
    size_t end = byte_scan(line, at, BYTES_LOGFMT);
    return end < line.len && (line.ptr[end] == '=' || line.ptr[end] == '"') ? NO_END : end;
}

#define FITS_NOT (STR_NPOS - 1)

/* Finds the text of a form at `at`, and its value behind.  Returns the end of both; FITS_NOT, or
 * NO_END if there can be no form that fits. */
static inline __attribute__((always_inline)) size_t fit(const struct form *m, str line, size_t at)
{
    if (!is_text_here(m, line, at))
        return FITS_NOT;
    size_t end;
    at += m->len;
    switch ((enum form_kind)m->kind) {
    case FORM_STRING:
    case FORM_QUOTED:
        return string_end(line, at);
    case FORM_BARE:
        return bare_end(line, at);
    case FORM_NUMBER:
        end = number_end(line, at);
        return end > at ? end : FITS_NOT;
    case FORM_BOOL:
        end = bool_end(line, at);
        return end > at ? end : FITS_NOT;
    case FORM_OBJECT:
        end = object_end(line, at);
        return end > at ? end : FITS_NOT;
    case FORM_ARRAY:
        end = array_end(line, at, m->is_outer);
        return end > at ? end : FITS_NOT;
    case FORM_LINE_END:
        return at == line.len ? at : FITS_NOT;
    case FORM_MORE:
    case FORM_END:
        return at;
    case FORM_NONE:
        break;
    }
    return FITS_NOT;
}

/* The same for the first form of the context that fits; it will be tried first behind `last`. */
static size_t find_fit(struct line_forms *f, struct form *last, str line, size_t at)
{
    for (uint16_t i = f->contexts[last->to].first; i != 0; i = f->forms[i].next) {
        size_t end = i == last->guess ? FITS_NOT : fit(&f->forms[i], line, at);
        if (end == FITS_NOT)
            continue;
        last->guess = i;
        return end;
    }
    return FITS_NOT;
}

static bool has_escape(str text)
{
    return str_find_char(text, '\\') != STR_NPOS;
}

/* Whether to go on (FORMS_UNKNOWN), and if not, why. */
static inline enum forms_result set_label(const struct line_forms *f, struct stage_line *line,
                                          const struct form_value *v)
{
    str value = v->text;
    enum form_kind kind = v->form->kind;
    bool is_logfmt = kind == FORM_QUOTED || kind == FORM_BARE;
    if (kind == FORM_QUOTED && has_escape(value) && !logfmt_unquote(value, line->arena, &value))
        return f->params.is_strict ? FORMS_FAILED : FORMS_UNKNOWN;
    if (is_logfmt && value.len == 0 && f->params.skips_empty)
        return FORMS_UNKNOWN;
    uint32_t id = label_key_target(line->labels, v->form->id);
    if (id == NAME_NONE)
        return FORMS_UNKNOWN;
    if (is_logfmt)
        value = label_value_clean(value, line->arena);
    else if (kind == FORM_STRING)
        value = json_lax_label_value(value, line->arena);
    if (!stage_set(line, id, value))
        return FORMS_DROPPED;
    return labels_builder_has_all(line->labels) ? FORMS_DONE : FORMS_UNKNOWN;
}

static enum forms_result set_labels(const struct line_forms *f, struct stage_line *line,
                                    const struct form_value *waiting, size_t *n)
{
    enum forms_result r = FORMS_UNKNOWN;
    for (size_t i = 0; i < *n && r == FORMS_UNKNOWN; i++)
        r = set_label(f, line, &waiting[i]);
    *n = 0;
    return r;
}

static bool is_quoted(enum form_kind kind)
{
    return kind == FORM_STRING || kind == FORM_QUOTED;
}

static bool is_end(const struct form *m)
{
    return m->kind == FORM_END || m->kind == FORM_LINE_END;
}

/* A bad escape in a value that nobody asks for is an error too. */
static bool is_refused(const struct line_forms *f, const struct form_value *v)
{
    return f->params.is_strict && v->form->kind == FORM_QUOTED && has_escape(v->text);
}

static enum forms_result read_line(struct line_forms *f, struct stage_line *line)
{
    const str text = line->text;
    struct form_value waiting[WAITING_MAX];
    struct form *last = &f->forms[0];
    size_t n = 0, at = 0;
    for (;;) {
        struct form *m = &f->forms[last->guess];
        size_t end = fit(m, text, at);
        if (end == FITS_NOT) {
            end = find_fit(f, last, text, at);
            m = &f->forms[last->guess];
        }
        if (end >= FITS_NOT)
            return end == FITS_NOT ? FORMS_UNKNOWN : FORMS_FAILED;
        size_t from = at + m->len;
        last = m;
        at = end + m->has_quote;
        if (m->is_passed)
            continue;
        struct form_value v = {m, str_make(text.ptr + from, end - from)};
        enum forms_result done = FORMS_UNKNOWN;
        if (m->leaves_objects)
            done = set_labels(f, line, waiting, &n);
        if (done == FORMS_UNKNOWN && is_end(m))
            return FORMS_DONE;
        if (done == FORMS_UNKNOWN && m->id == NAME_NONE)
            done = is_refused(f, &v) ? FORMS_FAILED : FORMS_UNKNOWN;
        else if (done == FORMS_UNKNOWN && m->is_outer)
            done = set_label(f, line, &v);
        else if (done == FORMS_UNKNOWN && n == WAITING_MAX)
            done = FORMS_FAILED;
        else if (done == FORMS_UNKNOWN)
            waiting[n++] = v;
        if (done != FORMS_UNKNOWN)
            return done;
    }
}

enum forms_result line_forms_read(struct line_forms *f, struct stage_line *line)
{
    if (f->pause > 0 || line->text.len == 0) {
        f->pause -= f->pause > 0;
        return FORMS_FAILED;
    }
    enum forms_result r = read_line(f, line);
    if (r == FORMS_UNKNOWN) {
        f->trust -= TRUST_COST;
        if (f->trust <= 0) {
            forget(f);
            f->pause = PAUSE_LINES;
            return FORMS_FAILED;
        }
    } else if (r != FORMS_FAILED && f->trust < TRUST_MAX) {
        f->trust++;
    }
    return r;
}

/* ---- learning ---- */

struct forms_lesson forms_lesson_begin(struct line_forms *f, str line)
{
    return (struct forms_lesson){.forms = f, .line = line, .context = CONTEXT_BEGIN};
}

static uint32_t add_context(struct forms_lesson *l, uint32_t parent, str key)
{
    struct line_forms *f = l->forms;
    if (f->n_contexts == FORMS_CONTEXTS_MAX) {
        l->is_over = true;
        return parent;
    }
    f->contexts[f->n_contexts] =
        (struct form_context){.parent = parent, .key = arena_str(&f->arena, key)};
    return f->n_contexts++;
}

static bool is_same(const struct form *a, const struct form *b)
{
    return a->len == b->len && a->kind == b->kind && a->id == b->id &&
           memcmp(a->text, b->text, a->len) == 0 && a->leaves_objects == b->leaves_objects &&
           a->is_outer == b->is_outer && (a->to == b->to || a->kind == FORM_MORE);
}

/* Adds a form of the context, unless it is known, and goes behind it. */
static void add_form(struct forms_lesson *l, uint32_t context, struct form x)
{
    struct line_forms *f = l->forms;
    struct form_context *c = &f->contexts[context];
    uint16_t i = c->first;
    while (i != 0 && !is_same(&f->forms[i], &x))
        i = f->forms[i].next;
    if (i == 0) {
        if (f->n == FORMS_MAX) {
            l->is_over = true;
            return;
        }
        if (x.kind == FORM_MORE)
            x.to = (uint16_t)add_context(l, NO_PARENT, STR_EMPTY);
        if (l->is_over)
            return;
        if (f->n == f->cap) {
            f->cap *= 2;
            f->forms = mem_realloc(f->forms, f->cap * sizeof *f->forms);
        }
        i = (uint16_t)f->n++;
        x.has_quote = is_quoted(x.kind);
        bool is_checked = f->params.is_strict && x.kind == FORM_QUOTED;
        x.is_passed = x.id == NAME_NONE && !x.leaves_objects && !is_end(&x) && !is_checked;
        x.next = c->first;
        f->forms[i] = x;
        c->first = i;
    }
    f->forms[l->last].guess = i;
    l->last = i;
}

/* The form, or forms, of the text from l->from up to `to` with what follows. */
static void add_text(struct forms_lesson *l, size_t to, enum form_kind kind, uint32_t id)
{
    if (l->is_over)
        return;
    uint32_t context = l->forms->forms[l->last].to;
    while (!l->is_over) {
        size_t len = MIN(to - l->from, (size_t)FORM_TEXT);
        bool is_last = l->from + len == to;
        struct form x = {.mask = len == FORM_TEXT ? UINT32_MAX : (UINT32_C(1) << len) - 1,
                         .id = is_last ? id : NAME_NONE,
                         .to = (uint16_t)(l->depth == 0 ? CONTEXT_OUTER : l->context),
                         .len = (uint8_t)len,
                         .kind = (uint8_t)(is_last ? kind : FORM_MORE),
                         .leaves_objects = is_last && l->leaves_objects,
                         .is_outer = is_last && l->depth == 0};
        memcpy(x.text, l->line.ptr + l->from, len);
        add_form(l, context, x);
        l->from += len;
        if (is_last)
            break;
        context = l->forms->forms[l->last].to;
    }
    l->leaves_objects = false;
}

/* What fit() takes for a number. */
static bool is_number(str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (!is_number_char(value.ptr[i]))
            return false;
    return true;
}

void forms_lesson_value(struct forms_lesson *l, str value, enum form_kind kind, uint32_t id)
{
    if (kind == FORM_NUMBER && !is_number(value))
        l->is_over = true;
    size_t from = (size_t)(value.ptr - l->line.ptr);
    add_text(l, from, kind, id);
    l->from = from + value.len + is_quoted(kind);
}

uint32_t forms_lesson_enter(struct forms_lesson *l, str key)
{
    struct line_forms *f = l->forms;
    uint32_t before = l->depth == 0 ? CONTEXT_OUTER : l->context, i = CONTEXTS_FIXED;
    while (i < f->n_contexts &&
           (f->contexts[i].parent != before || !str_eq(f->contexts[i].key, key)))
        i++;
    l->context = i < f->n_contexts ? i : add_context(l, before, key);
    l->depth++;
    return before;
}

void forms_lesson_leave(struct forms_lesson *l, uint32_t context)
{
    l->context = context;
    l->depth--;
    l->leaves_objects |= l->depth == 0;
}

void forms_lesson_end(struct forms_lesson *l, size_t at, enum form_kind kind)
{
    add_text(l, at, kind, NAME_NONE);
}
