/* Label sets as text: {a="b", c="d"}.  The reader follows the lexer and grammar that Prometheus
 * uses for a metric, since Loki passes the labels of a push through it; the error texts are its. */
#include <stdio.h>
#include <stdlib.h>

#include "base/goquote.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "proto/labels.h"

bool labels_print(const struct labels *ls, struct buf *out)
{
    buf_append_char(out, '{');
    for (size_t i = 0; i < ls->n; i++) {
        if (i > 0)
            buf_append(out, ", ", 2);
        buf_append_str(out, ls->items[i].name);
        buf_append_char(out, '=');
        goquote(out, ls->items[i].value);
    }
    return buf_append_char(out, '}') && !out->failed;
}

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_EQ,
    TOKEN_OPERATOR,
    TOKEN_COMMA,
    TOKEN_OPEN,
    TOKEN_CLOSE
};

struct lexer {
    str text;
    size_t at;
    bool in_braces;
    struct error *err;
};

struct token {
    enum token_kind kind;
    size_t at; /* offset where it begins */
    str text;
};

/* "line:col: parse error: ..."; what follows "parse error: " is the caller's. */
static int fail_at(struct lexer *l, size_t at, const char *what)
{
    size_t line = 1, line_start = 0;
    for (size_t i = 0; i < at && i < l->text.len; i++)
        if (l->text.ptr[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    return error_set_at(l->err, E_PARSE, (int)line, (int)(at - line_start + 1),
                        "%zu:%zu: parse error: %s", line, at - line_start + 1, what);
}

static int fail_rune(struct lexer *l, size_t at, const char *what)
{
    struct buf b;
    buf_init(&b, 256);
    uint32_t rune = 0;
    utf8_decode(str_from(l->text, at), &rune);
    buf_append_c(&b, what);
    goquote_rune(&b, rune);
    int code = fail_at(l, at, buf_c(&b));
    buf_deinit(&b);
    return code;
}

/* What the parser says of a token it did not want here. */
static int fail_token(struct lexer *l, const struct token *t, const char *expected)
{
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    buf_append_c(&b, "unexpected ");
    if (t->kind == TOKEN_END) {
        buf_append_c(&b, "end of input");
    } else if (t->kind == TOKEN_OPERATOR) {
        buf_printf(&b, "<op:%.*s>", STR_ARG(t->text));
    } else {
        if (t->kind == TOKEN_NAME)
            buf_append_c(&b, "identifier ");
        if (t->kind == TOKEN_STRING)
            buf_append_c(&b, "string ");
        size_t cut =
            t->text.len > 10 && t->kind != TOKEN_NAME ? utf8_offset(t->text, 10) : t->text.len;
        goquote(&b, str_sub(t->text, 0, cut));
        if (cut < t->text.len)
            buf_append_c(&b, "...");
    }
    buf_printf(&b, " in label set, expected %s", expected);
    int code = fail_at(l, t->at, buf_c(&b));
    buf_deinit(&b);
    return code;
}

static bool is_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static int lex_string(struct lexer *l, struct token *t)
{
    char quote = l->text.ptr[l->at];
    size_t i = l->at + 1;
    for (; i < l->text.len && l->text.ptr[i] != quote; i++) {
        if (quote != '`' && l->text.ptr[i] == '\\')
            i++;
        else if (quote != '`' && l->text.ptr[i] == '\n')
            return fail_at(l, l->at, "unterminated quoted string");
    }
    if (i >= l->text.len)
        return fail_at(l, l->at,
                       quote == '`' ? "unterminated raw string" : "unterminated quoted string");
    t->kind = TOKEN_STRING;
    t->text = str_sub(l->text, l->at, i + 1);
    l->at = i + 1;
    return 0;
}

static int lex_operator(struct lexer *l, struct token *t)
{
    char c = l->text.ptr[l->at], next = l->at + 1 < l->text.len ? l->text.ptr[l->at + 1] : '\0';
    size_t width = 1;
    t->kind = c == '=' ? TOKEN_EQ : TOKEN_OPERATOR;
    if (next == '~' || (c == '!' && next == '=')) {
        t->kind = TOKEN_OPERATOR;
        width = 2;
    } else if (c == '!') {
        return fail_rune(l, l->at + 1, "unexpected character after '!' inside braces: ");
    }
    t->text = str_sub(l->text, l->at, l->at + width);
    l->at += width;
    return 0;
}

static void skip_blanks(struct lexer *l)
{
    for (; l->at < l->text.len; l->at++) {
        char c = l->text.ptr[l->at];
        if (c == '#') {
            while (l->at + 1 < l->text.len && l->text.ptr[l->at + 1] != '\n')
                l->at++;
        } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return;
        }
    }
}

static int lex_single(struct lexer *l, struct token *t, enum token_kind kind)
{
    t->kind = kind;
    t->text = str_sub(l->text, l->at, l->at + 1);
    l->at++;
    return 0;
}

static int lex(struct lexer *l, struct token *t)
{
    skip_blanks(l);
    t->at = l->at;
    t->kind = TOKEN_END;
    t->text = STR_EMPTY;
    if (l->at >= l->text.len)
        return l->in_braces ? fail_at(l, l->at, "unexpected end of input inside braces") : 0;
    char c = l->text.ptr[l->at];
    if (is_name_byte(c, true) || (!l->in_braces && c == ':')) {
        size_t end = l->at;
        while (end < l->text.len && (is_name_byte(l->text.ptr[end], false) ||
                                     (!l->in_braces && l->text.ptr[end] == ':')))
            end++;
        t->kind = TOKEN_NAME;
        t->text = str_sub(l->text, l->at, end);
        l->at = end;
        return 0;
    }
    if (c == '{' && !l->in_braces) {
        l->in_braces = true;
        return lex_single(l, t, TOKEN_OPEN);
    }
    if (!l->in_braces)
        return fail_rune(l, l->at, "unexpected character: ");
    if (c == '}') {
        l->in_braces = false;
        return lex_single(l, t, TOKEN_CLOSE);
    }
    if (c == ',')
        return lex_single(l, t, TOKEN_COMMA);
    if (c == '"' || c == '\'' || c == '`')
        return lex_string(l, t);
    if (c == '=' || c == '!')
        return lex_operator(l, t);
    if (c == '{')
        return fail_rune(l, l->at, "unexpected left brace ");
    return fail_rune(l, l->at, "unexpected character inside braces: ");
}

/* The bytes a string token stands for; a view of the text where nothing is escaped. */
static int unquote(struct lexer *l, const struct token *t, struct arena *a, str *ret)
{
    str inner = str_sub(t->text, 1, t->text.len - 1);
    char quote = t->text.ptr[0];
    if (quote == '`' || memchr(inner.ptr, '\\', inner.len) == NULL) {
        *ret = inner;
        return 0;
    }
    struct buf literal, value;
    buf_init(&literal, BUF_NO_LIMIT);
    buf_init(&value, BUF_NO_LIMIT);
    /* Go's Unquote reads '...' as one rune: make it a "..." literal. */
    buf_append_char(&literal, '"');
    for (size_t i = 0; i < inner.len; i++) {
        if (quote == '\'' && inner.ptr[i] == '\\' && i + 1 < inner.len && inner.ptr[i + 1] == '\'')
            i++;
        else if (quote == '\'' && inner.ptr[i] == '"')
            buf_append_char(&literal, '\\');
        else if (inner.ptr[i] == '\\' && i + 1 < inner.len)
            buf_append_char(&literal, inner.ptr[i++]);
        buf_append_char(&literal, inner.ptr[i]);
    }
    buf_append_char(&literal, '"');
    int code = gounquote(buf_str(&literal), &value);
    if (code == 0)
        *ret = arena_str(a, buf_str(&value));
    else
        code = fail_at(l, t->at, "error unquoting string: invalid syntax");
    buf_deinit(&literal);
    buf_deinit(&value);
    return code;
}

/* Labels a text may name: far more than any limit allows, so that a hostile one stays cheap. */
#define LABELS_PARSED_MAX 65536

struct label_list {
    struct label *items;
    size_t len, cap;
};

static void add_label(struct label_list *list, struct arena *a, str name, str value)
{
    VEC_PUSH_ARENA(a, list, (struct label){name, value});
}

/* The part after '{'. */
static int parse_set(struct lexer *l, struct arena *a, struct label_list *list)
{
    struct token t;
    for (;;) {
        int code = lex(l, &t);
        if (code != 0 || t.kind == TOKEN_CLOSE)
            return code;
        if (t.kind != TOKEN_NAME)
            return fail_token(l, &t, "identifier or \"}\"");
        str name = t.text, value;
        if ((code = lex(l, &t)) != 0)
            return code;
        if (t.kind != TOKEN_EQ)
            return fail_token(l, &t, "\"=\"");
        if ((code = lex(l, &t)) != 0)
            return code;
        if (t.kind != TOKEN_STRING)
            return fail_token(l, &t, "string");
        if ((code = unquote(l, &t, a, &value)) != 0)
            return code;
        if (list->len >= LABELS_PARSED_MAX)
            return fail_at(l, t.at, "too many labels");
        add_label(list, a, name, value);
        if ((code = lex(l, &t)) != 0 || t.kind == TOKEN_CLOSE)
            return code;
        if (t.kind != TOKEN_COMMA)
            return fail_token(l, &t, "\",\" or \"}\"");
    }
}

int labels_parse_items(str text, struct arena *a, struct label **ret, size_t *ret_n,
                       struct error *err)
{
    struct lexer l = {.text = arena_str(a, text), .err = err};
    struct label_list list = {0};
    struct token t;
    int code = lex(&l, &t);
    if (code == 0 && t.kind == TOKEN_NAME) { /* a metric name in front, as in metric{a="b"} */
        add_label(&list, a, STR("__name__"), t.text);
        code = lex(&l, &t);
    }
    if (code == 0 && t.kind == TOKEN_OPEN) {
        code = parse_set(&l, a, &list);
        if (code == 0)
            code = lex(&l, &t);
    }
    if (code == 0 && t.kind != TOKEN_END)
        code = fail_token(&l, &t, "end of input");
    if (code != 0)
        return code;
    *ret = list.items;
    *ret_n = list.len;
    return 0;
}

int labels_parse(str text, struct arena *a, struct labels *ret, struct error *err)
{
    struct label *items;
    size_t n;
    int code = labels_parse_items(text, a, &items, &n, err);
    if (code != 0)
        return code;
    str duplicate = labels_sort(items, &n);
    if (duplicate.ptr != NULL)
        code = error_set(err, E_CONFLICT, "duplicate label name: '%.*s'", STR_ARG(duplicate));
    *ret = (struct labels){items, n};
    return code;
}
