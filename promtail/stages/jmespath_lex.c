/* The tokens of JMESPath. */
#include "base/mem.h"
#include "promtail/stages/jmespath_node.h"
#include "proto/json_scan.h"

static bool is_name_start(char c)
{
    return c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Offset of the closing `quote` from `from` on, a backslash guarding the byte behind it; within ''
 * only another quote. */
static size_t find_end(str text, size_t from, char quote)
{
    for (size_t i = from; i < text.len; i++) {
        bool is_guard = text.ptr[i] == '\\' &&
                        (quote != '\'' || (i + 1 < text.len && text.ptr[i + 1] == quote));
        if (is_guard)
            i++;
        else if (text.ptr[i] == quote)
            return i;
    }
    return STR_NPOS;
}

/* The text with \q for q; other escapes stay. */
static str unguard(str text, char quote, struct arena *a)
{
    char *out = arena_alloc(a, text.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == quote)
            i++;
        out[n++] = text.ptr[i];
    }
    return str_make(out, n);
}

static void lex_quoted(str text, struct arena *a, struct jmes_lexeme *l, size_t *end)
{
    char quote = text.ptr[l->at];
    size_t close = find_end(text, l->at + 1, quote);
    l->kind = JMES_BAD;
    if (close == STR_NPOS)
        return;
    str inner = str_sub(text, l->at + 1, close);
    *end = close + 1;
    if (quote == '"') {
        struct json_scan j = json_scan_make(str_sub(text, l->at, *end));
        if (json_read_string(&j, a, &l->text) && json_at_end(&j))
            l->kind = JMES_QUOTED;
        return;
    }
    l->text = unguard(inner, quote, a);
    l->kind = quote == '\'' ? JMES_RAW : JMES_JSON;
}

static void lex_run(str text, struct jmes_lexeme *l, size_t *end)
{
    size_t i = l->at + 1;
    bool is_name = is_name_start(text.ptr[l->at]);
    while (i < text.len && (is_digit(text.ptr[i]) || (is_name && is_name_start(text.ptr[i]))))
        i++;
    l->text = str_sub(text, l->at, i);
    l->kind = is_name                                   ? JMES_NAME
              : i == l->at + 1 && l->text.ptr[0] == '-' ? JMES_BAD
                                                        : JMES_NUMBER;
    *end = i;
}

static void lex_sign(str text, struct jmes_lexeme *l, size_t *end)
{
    static const struct {
        char text[3];
        enum jmes_token kind;
    } signs[] = {
        {"[]", JMES_FLATTEN}, {"[?", JMES_FILTER}, {"||", JMES_OR},    {"&&", JMES_AND},
        {"==", JMES_EQ},      {"!=", JMES_NE},     {"<=", JMES_LE},    {">=", JMES_GE},
        {"[", JMES_LBRACKET}, {"|", JMES_PIPE},    {"&", JMES_EXPREF}, {"!", JMES_NOT},
        {"<", JMES_LT},       {">", JMES_GT},      {".", JMES_DOT},    {"*", JMES_STAR},
        {",", JMES_COMMA},    {":", JMES_COLON},   {"{", JMES_LBRACE}, {"}", JMES_RBRACE},
        {"]", JMES_RBRACKET}, {"(", JMES_LPAREN},  {")", JMES_RPAREN}, {"@", JMES_CURRENT},
    };
    str rest = str_from(text, l->at);
    l->kind = JMES_BAD;
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (str_has_prefix(rest, str_c(signs[i].text))) {
            l->kind = signs[i].kind;
            *end = l->at + strlen(signs[i].text);
            return;
        }
}

struct jmes_lexeme jmes_lex(str text, size_t from, struct arena *a, size_t *ret_end)
{
    while (from < text.len && char_in((unsigned char)text.ptr[from], " \t\r\n"))
        from++;
    struct jmes_lexeme l = {.kind = JMES_END, .text = STR_EMPTY, .at = from};
    *ret_end = from;
    if (from == text.len)
        return l;
    char c = text.ptr[from];
    if (c == '"' || c == '\'' || c == '`')
        lex_quoted(text, a, &l, ret_end);
    else if (is_name_start(c) || is_digit(c) || c == '-')
        lex_run(text, &l, ret_end);
    else
        lex_sign(text, &l, ret_end);
    return l;
}
