#include "logql/jsonexpr.h"

#include "base/gofmt.h"
#include "base/utf8.h"
#include "base/vec.h"

enum token { END, DOT, OPEN, CLOSE, STRING, FIELD, INDEX };

struct scanner {
    str text;
    size_t at;
    bool is_logfmt;
    str value;            /* of STRING and FIELD */
    int64_t index;        /* of INDEX */
    struct error problem; /* what the scanner stumbled over; the parser's error goes before it */
};

static bool is_word_start(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* The byte at hand; NUL at the end, and NUL ends the text. */
static char peek(const struct scanner *s)
{
    return s->at < s->text.len ? s->text.ptr[s->at] : '\0';
}

/* The character at hand, of however many bytes. */
static str peek_rune(const struct scanner *s)
{
    uint32_t rune;
    str rest = str_sub(s->text, s->at, s->text.len);
    size_t width = utf8_decode(rest, &rune);
    return rune == RUNE_ERROR && width == 1 ? STR("\xef\xbf\xbd") : str_sub(rest, 0, width);
}

/* Go prints NUL for the end of the text; the error's text is C's and stops there. */
static enum token scan_index(struct scanner *s)
{
    size_t from = s->at;
    while (is_digit(peek(s))) {
        s->at++;
    }
    str digits = str_sub(s->text, from, s->at);
    char c = peek(s);
    if (c == '.') {
        error_set(&s->problem, E_PARSE, "cannot use float as array index");
        return END;
    }
    if (!is_space(c) && c != ']') {
        error_set(&s->problem, E_PARSE, "non-integer value: %.*s", STR_ARG(peek_rune(s)));
        return END;
    }
    int rc = goparse_int(digits, 10, 64, &s->index);
    if (rc != 0) {
        goparse_error(&s->problem, "Atoi", digits, rc);
        return END;
    }
    return INDEX;
}

/* A string ends at a quote, but at a closing bracket too. */
static enum token scan_string(struct scanner *s)
{
    size_t from = ++s->at;
    while (peek(s) != '\0' && peek(s) != '"' && peek(s) != ']') {
        s->at++;
    }
    s->value = str_sub(s->text, from, s->at);
    s->at += s->at < s->text.len;
    return STRING;
}

static enum token scan(struct scanner *s)
{
    while (is_space(peek(s))) {
        s->at++;
    }
    char c = peek(s);
    if (c == '\0') {
        return END;
    }
    if (is_word_start(c)) {
        size_t from = s->at;
        while (is_word_start(peek(s)) || is_digit(peek(s))) {
            s->at++;
        }
        s->value = str_sub(s->text, from, s->at);
        return FIELD;
    }
    if (c == '"') {
        return scan_string(s);
    }
    if (!s->is_logfmt && is_digit(c)) {
        return scan_index(s);
    }
    if (!s->is_logfmt && (c == '.' || c == '[' || c == ']')) {
        s->at++;
        return c == '.' ? DOT : c == '[' ? OPEN : CLOSE;
    }
    error_set(&s->problem, E_PARSE, "unexpected char %.*s", STR_ARG(peek_rune(s)));
    return END;
}

static int unexpected(const struct scanner *s, enum token token, const char *expected,
                      struct error *err)
{
    static const char *const names[] = {"$end", "DOT", "LSB", "RSB", "STRING", "FIELD", "INDEX"};
    const char *name = s->is_logfmt && token == FIELD ? "KEY" : names[token];
    return error_set(err, E_PARSE, "syntax error: unexpected %s%s%s", name,
                     expected[0] != '\0' ? ", expecting " : "", expected);
}

/* The rest of [0] or ["key"], from behind the opening bracket. */
static int parse_brackets(struct scanner *s, struct jsonexpr_step *step, struct error *err)
{
    enum token token = scan(s);
    if (token != STRING && token != INDEX) {
        return unexpected(s, token, "STRING or INDEX", err);
    }
    step->is_index = token == INDEX;
    step->index = s->index;
    step->key = token == STRING ? s->value : STR_EMPTY;
    token = scan(s);
    return token == CLOSE ? 0 : unexpected(s, token, "RSB", err);
}

static int finish(const struct scanner *s, struct error *err)
{
    return s->problem.code == 0 ? 0 : error_set(err, s->problem.code, "%s", s->problem.text);
}

int jsonexpr_parse(str text, struct arena *a, struct jsonexpr *ret, struct error *err)
{
    struct scanner s = {.text = arena_str(a, text)};
    VEC(struct jsonexpr_step) steps = {0};
    for (;;) {
        struct jsonexpr_step step = {0};
        int rc = 0;
        enum token token = scan(&s);
        if (token == END && steps.len > 0) {
            break;
        }
        if (token == DOT && steps.len > 0) {
            token = scan(&s);
            if (token != FIELD) {
                return unexpected(&s, token, "FIELD", err);
            }
            step.key = s.value;
        } else if (token == FIELD && steps.len == 0) {
            step.key = s.value;
        } else if (token == OPEN) {
            rc = parse_brackets(&s, &step, err);
        } else {
            rc = unexpected(&s, token, steps.len == 0 ? "LSB or FIELD" : "", err);
        }
        if (rc != 0) {
            return rc;
        }
        VEC_PUSH_ARENA(a, &steps, step);
    }
    ret->steps = steps.items;
    ret->n = steps.len;
    return finish(&s, err);
}

int logfmtexpr_parse(str text, struct arena *a, str *ret, struct error *err)
{
    struct scanner s = {.text = arena_str(a, text), .is_logfmt = true};
    enum token token = scan(&s);
    if (token != FIELD && token != STRING) {
        return unexpected(&s, token, "STRING or KEY", err);
    }
    *ret = s.value;
    do {
        token = scan(&s);
    } while (token == STRING);
    return token == END ? finish(&s, err) : unexpected(&s, token, "", err);
}
