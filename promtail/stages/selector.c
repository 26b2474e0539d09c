#include "promtail/stages/selector.h"

#include "base/goquote.h"
#include "base/gotext.h"
#include "base/mem.h"
#include "base/utf8.h"

#define STRING_BYTES_MAX (1u << 20)

enum token_kind {
    TOKEN_END,
    TOKEN_WORD, /* an identifier, or anything that is no other token */
    TOKEN_STRING,
    TOKEN_COMMA,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_DOT,
    TOKEN_EQ,         /* = */
    TOKEN_NE,         /* != */
    TOKEN_RE,         /* =~ */
    TOKEN_NRE,        /* !~ */
    TOKEN_PIPE_EXACT, /* |= */
    TOKEN_PIPE_MATCH, /* |~ */
    TOKEN_BAD,        /* a string that does not end, or with a wrong escape */
};

static const char *const token_names[] = {"$end", "IDENTIFIER", "STRING", ",",  "{",  "}",  ".",
                                          "=",    "!=",         "=~",     "!~", "|=", "|~", ""};

struct scan {
    str text;
    size_t at;
    enum token_kind kind; /* of the token at hand */
    str token;            /* its text; of a string what it stands for */
    size_t token_at;
    struct arena *arena;
};

static bool is_word_char(uint32_t rune, bool is_first)
{
    return rune == '_' || rune_is_letter(rune) || (!is_first && rune_is_digit(rune));
}

static void scan_string(struct scan *s)
{
    size_t end = s->at + 1;
    while (end < s->text.len && s->text.ptr[end] != '"' && s->text.ptr[end] != '\n')
        end += s->text.ptr[end] == '\\' ? 2 : 1;
    s->kind = TOKEN_BAD;
    if (end >= s->text.len || s->text.ptr[end] != '"')
        return;
    struct buf b;
    buf_init(&b, STRING_BYTES_MAX);
    if (gounquote(str_sub(s->text, s->at, end + 1), &b) == 0) {
        s->token = arena_str(s->arena, buf_str(&b));
        s->kind = TOKEN_STRING;
    }
    buf_deinit(&b);
    s->at = end + 1;
}

static void scan_sign(struct scan *s)
{
    static const struct {
        char text[3];
        enum token_kind kind;
    } signs[] = {{"!=", TOKEN_NE},         {"=~", TOKEN_RE},         {"!~", TOKEN_NRE},
                 {"|=", TOKEN_PIPE_EXACT}, {"|~", TOKEN_PIPE_MATCH}, {"=", TOKEN_EQ},
                 {",", TOKEN_COMMA},       {".", TOKEN_DOT},         {"{", TOKEN_OPEN},
                 {"}", TOKEN_CLOSE}};
    str rest = str_from(s->text, s->at);
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (str_has_prefix(rest, str_c(signs[i].text))) {
            s->kind = signs[i].kind;
            s->token = str_sub(rest, 0, strlen(signs[i].text));
            s->at += s->token.len;
            return;
        }
    uint32_t rune;
    s->kind = TOKEN_WORD;
    s->token = str_sub(rest, 0, utf8_decode(rest, &rune));
    s->at += s->token.len;
}

/* Blanks and Go's comments; false if a comment does not end. */
static bool skip_space(struct scan *s)
{
    for (;;) {
        while (s->at < s->text.len && memchr(" \t\r\n", s->text.ptr[s->at], 4) != NULL)
            s->at++;
        str rest = str_from(s->text, s->at);
        bool is_line = str_has_prefix(rest, STR("//"));
        if (!is_line && !str_has_prefix(rest, STR("/*")))
            return true;
        size_t n = str_find(str_from(rest, 2), is_line ? STR("\n") : STR("*/"));
        if (n == STR_NPOS && !is_line)
            return false;
        s->at = n == STR_NPOS ? s->text.len : s->at + 2 + n + (is_line ? 1 : 2);
    }
}

static void advance(struct scan *s)
{
    bool is_whole = skip_space(s);
    s->token_at = s->at;
    s->token = STR_EMPTY;
    if (!is_whole || s->at == s->text.len) {
        s->kind = is_whole ? TOKEN_END : TOKEN_BAD;
        return;
    }
    if (s->text.ptr[s->at] == '"') {
        scan_string(s);
        return;
    }
    uint32_t rune;
    size_t width, from = s->at;
    while ((width = utf8_decode(str_from(s->text, s->at), &rune)) > 0 &&
           is_word_char(rune, s->at == from))
        s->at += width;
    s->kind = TOKEN_WORD;
    s->token = str_sub(s->text, from, s->at);
    if (s->at == from)
        scan_sign(s);
}

static int fail(const struct scan *s, const char *wanted, struct error *err)
{
    int line = 1, col = 1;
    for (size_t i = 0; i < s->token_at; i++) {
        col = s->text.ptr[i] == '\n' ? 1 : col + 1;
        line += s->text.ptr[i] == '\n';
    }
    if (s->kind == TOKEN_BAD)
        return error_set(err, E_PARSE, "parse error at line %d, col %d: literal not terminated",
                         line, col);
    return error_set(err, E_PARSE,
                     "parse error at line %d, col %d: syntax error: unexpected %s%s%s", line, col,
                     token_names[s->kind], wanted[0] != '\0' ? ", expecting " : "", wanted);
}

static bool matcher_op(enum token_kind kind, enum match_op *ret)
{
    if (kind != TOKEN_EQ && kind != TOKEN_NE && kind != TOKEN_RE && kind != TOKEN_NRE)
        return false;
    *ret = kind == TOKEN_EQ   ? MATCH_EQ
           : kind == TOKEN_NE ? MATCH_NE
           : kind == TOKEN_RE ? MATCH_RE
                              : MATCH_NRE;
    return true;
}

static int parse_matcher(struct scan *s, struct selector *ret, struct error *err)
{
    str name = s->token;
    enum match_op op;
    if (s->kind != TOKEN_WORD)
        return fail(s, "IDENTIFIER", err);
    advance(s);
    if (!matcher_op(s->kind, &op))
        return fail(s, "= or != or =~ or !~", err);
    advance(s);
    if (s->kind != TOKEN_STRING)
        return fail(s, "STRING", err);
    if (ret->n_matchers == SELECTOR_TERMS_MAX)
        return error_set(err, E_PARSE, "too many label matchers");
    int rc = matcher_init(&ret->matchers[ret->n_matchers], s->arena, name, op, s->token, err);
    if (rc != 0)
        return rc;
    ret->n_matchers++;
    advance(s);
    return 0;
}

static int parse_matchers(struct scan *s, struct selector *ret, struct error *err)
{
    if (s->kind != TOKEN_OPEN)
        return fail(s, "{", err);
    do {
        advance(s);
        int rc = parse_matcher(s, ret, err);
        if (rc != 0)
            return rc;
    } while (s->kind == TOKEN_COMMA);
    if (s->kind != TOKEN_CLOSE)
        return fail(s, "} or ,", err);
    advance(s);
    return 0;
}

static bool test_op(enum token_kind kind, enum match_op *ret)
{
    if (kind != TOKEN_PIPE_EXACT && kind != TOKEN_NE && kind != TOKEN_PIPE_MATCH &&
        kind != TOKEN_NRE)
        return false;
    *ret = kind == TOKEN_PIPE_EXACT   ? MATCH_EQ
           : kind == TOKEN_NE         ? MATCH_NE
           : kind == TOKEN_PIPE_MATCH ? MATCH_RE
                                      : MATCH_NRE;
    return true;
}

static int parse_test(struct scan *s, struct selector *ret, struct error *err)
{
    struct line_test *t = &ret->tests[ret->n_tests];
    if (!test_op(s->kind, &t->op))
        return fail(s, "!= or !~ or |~ or |=", err);
    advance(s);
    if (s->kind != TOKEN_STRING)
        return fail(s, "STRING", err);
    bool is_regex = t->op == MATCH_RE || t->op == MATCH_NRE;
    int rc = is_regex ? regex_compile(s->token, 0, &t->re, err) : 0;
    if (rc != 0)
        return error_prefix(err, "error parsing pipeline: "), rc;
    if (!is_regex && s->token.len > 0)
        needle_init(&t->needle, s->token, false);
    ret->n_tests++;
    advance(s);
    return 0;
}

int selector_parse(str text, struct arena *a, struct selector *ret, struct error *err)
{
    struct scan s = {.text = text, .arena = a};
    *ret = (struct selector){.matchers = ARENA_ARRAY(a, struct matcher, SELECTOR_TERMS_MAX),
                             .tests = ARENA_ARRAY(a, struct line_test, SELECTOR_TERMS_MAX)};
    advance(&s);
    int rc = parse_matchers(&s, ret, err);
    while (rc == 0 && s.kind != TOKEN_END)
        rc = ret->n_tests == SELECTOR_TERMS_MAX ? error_set(err, E_PARSE, "too many line filters")
                                                : parse_test(&s, ret, err);
    return rc;
}

void selector_deinit(struct selector *s)
{
    for (size_t i = 0; i < s->n_matchers; i++)
        matcher_deinit(&s->matchers[i]);
    for (size_t i = 0; i < s->n_tests; i++)
        regex_free(s->tests[i].re);
    s->n_matchers = s->n_tests = 0;
}

static bool holds(const struct line_test *t, const struct record *r)
{
    bool is_in = t->re != NULL ? gotext_is_match(t->re, r->line)
                               : t->needle.text.len == 0 || needle_is_in(&t->needle, r->line);
    return is_in == (t->op == MATCH_EQ || t->op == MATCH_RE);
}

bool selector_is_match(const struct selector *s, const struct record *r)
{
    for (size_t i = 0; i < s->n_matchers; i++) {
        str value = label_list_get(&r->labels, s->matchers[i].name);
        if (!matcher_is_match(&s->matchers[i], value.ptr != NULL ? value : STR_EMPTY))
            return false;
    }
    for (size_t i = 0; i < s->n_tests; i++)
        if (!holds(&s->tests[i], r))
            return false;
    return true;
}
