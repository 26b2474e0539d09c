#include "logql/template/lex.h"

#include "base/goquote.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/utf8.h"

#define SPACES STR(" \t\r\n")

struct lexer {
    str text;
    size_t start, pos; /* of the token being read */
    uint32_t line;     /* at `start` */
    int paren_depth;
    bool inside_action, done;
    struct arena *arena;
    tlex_tokens *tokens;
};

static str rest_of(const struct lexer *l)
{
    return str_from(l->text, l->pos);
}

/* Drops what was read since the last token. */
static void ignore(struct lexer *l)
{
    for (size_t i = l->start; i < l->pos; i++)
        l->line += l->text.ptr[i] == '\n';
    l->start = l->pos;
}

static void emit(struct lexer *l, enum tlex_type type)
{
    struct tlex_token t = {type, (uint32_t)l->start, l->line, str_sub(l->text, l->start, l->pos)};
    VEC_PUSH_ARENA(l->arena, l->tokens, t);
    l->done = type == TLEX_EOF;
    ignore(l);
}

static void fail(struct lexer *l, str message)
{
    struct tlex_token t = {TLEX_ERROR, (uint32_t)l->start, l->line, message};
    /* Go counts the lines it has read by the time of the error */
    VEC_PUSH_ARENA(l->arena, l->tokens, t);
    l->done = true;
}

#define EOF_RUNE UINT32_MAX

static uint32_t peek(const struct lexer *l)
{
    uint32_t rune;
    return utf8_decode(rest_of(l), &rune) == 0 ? EOF_RUNE : rune;
}

static uint32_t next(struct lexer *l)
{
    uint32_t rune;
    size_t width = utf8_decode(rest_of(l), &rune);
    l->pos += width;
    return width == 0 ? EOF_RUNE : rune;
}

static bool is_space(uint32_t r)
{
    return r == ' ' || r == '\t' || r == '\r' || r == '\n';
}

static bool is_word(uint32_t r)
{
    return r != EOF_RUNE && (r == '_' || rune_is_letter(r) || rune_is_digit(r));
}

static void fail_rune(struct lexer *l, const char *what, uint32_t r)
{
    struct buf b;
    buf_init(&b, 128);
    r = r == EOF_RUNE ? RUNE_ERROR : r;
    buf_printf(&b, "%s U+%04X", what, r);
    if (rune_is_print(r)) {
        buf_append_c(&b, " '");
        utf8_append(&b, r);
        buf_append_char(&b, '\'');
    }
    fail(l, arena_str(l->arena, buf_str(&b)));
    buf_deinit(&b);
}

static bool has_left_trim(str s)
{
    return s.len >= 2 && s.ptr[0] == '-' && is_space((unsigned char)s.ptr[1]);
}

static bool has_right_trim(str s)
{
    return s.len >= 2 && is_space((unsigned char)s.ptr[0]) && s.ptr[1] == '-';
}

/* True at }} or -}}, the latter with its blank in front. */
static bool at_right_delim(const struct lexer *l, bool *ret_trim)
{
    str s = rest_of(l);
    *ret_trim = has_right_trim(s) && str_has_prefix(str_from(s, 2), STR("}}"));
    return *ret_trim || str_has_prefix(s, STR("}}"));
}

static void skip_spaces(struct lexer *l)
{
    while (l->pos < l->text.len && is_space((unsigned char)l->text.ptr[l->pos]))
        l->pos++;
}

static void lex_comment(struct lexer *l)
{
    size_t end = str_find(str_from(rest_of(l), 2), STR("*/"));
    if (end == STR_NPOS) {
        fail(l, STR("unclosed comment"));
        return;
    }
    l->pos += 2 + end + 2;
    bool trim;
    if (!at_right_delim(l, &trim)) {
        fail(l, STR("comment ends before closing delimiter"));
        return;
    }
    l->pos += trim ? 4 : 2;
    if (trim)
        skip_spaces(l);
    ignore(l);
}

/* At {{: a comment, or the start of an action. */
static void lex_left_delim(struct lexer *l)
{
    bool trim = has_left_trim(str_from(rest_of(l), 2));
    if (str_has_prefix(str_from(rest_of(l), trim ? 4 : 2), STR("/*"))) {
        l->pos += trim ? 4 : 2;
        ignore(l);
        lex_comment(l);
        return;
    }
    l->pos += 2;
    emit(l, TLEX_LEFT_DELIM);
    l->pos += trim ? 2 : 0;
    ignore(l);
    l->inside_action = true;
    l->paren_depth = 0;
}

static void lex_text(struct lexer *l)
{
    size_t at = str_find(rest_of(l), STR("{{"));
    if (at == STR_NPOS) {
        l->pos = l->text.len;
        if (l->pos > l->start)
            emit(l, TLEX_TEXT);
        emit(l, TLEX_EOF);
        return;
    }
    l->pos += at;
    size_t delim = l->pos;
    if (has_left_trim(str_from(l->text, delim + 2)))
        while (l->pos > l->start && str_find_char(SPACES, l->text.ptr[l->pos - 1]) != STR_NPOS)
            l->pos--;
    if (l->pos > l->start)
        emit(l, TLEX_TEXT);
    l->pos = delim;
    ignore(l);
    lex_left_delim(l);
}

static void lex_right_delim(struct lexer *l, bool trim)
{
    if (trim) {
        l->pos += 2;
        ignore(l);
    }
    l->pos += 2;
    emit(l, TLEX_RIGHT_DELIM);
    if (trim) {
        skip_spaces(l);
        ignore(l);
    }
    l->inside_action = false;
}

/* What may follow a word. */
static bool at_terminator(const struct lexer *l)
{
    uint32_t r = peek(l);
    if (r == EOF_RUNE || is_space(r) || char_in(r, ".,|:)("))
        return true;
    return str_has_prefix(rest_of(l), STR("}}"));
}

static void lex_spaces(struct lexer *l)
{
    size_t first = l->pos;
    skip_spaces(l);
    /* the last blank may belong to a trim marker */
    str tail = str_from(l->text, l->pos - 1);
    if (has_right_trim(tail) && str_has_prefix(str_from(tail, 2), STR("}}"))) {
        l->pos--;
        if (l->pos == first)
            return;
    }
    emit(l, TLEX_SPACE);
}

static enum tlex_type word_type(str word)
{
    static const struct {
        const char *word;
        enum tlex_type type;
    } keywords[] = {
        {"block", TLEX_BLOCK},
        {"break", TLEX_BREAK},
        {"continue", TLEX_CONTINUE},
        {"define", TLEX_DEFINE},
        {"else", TLEX_ELSE},
        {"end", TLEX_END},
        {"if", TLEX_IF},
        {"range", TLEX_RANGE},
        {"nil", TLEX_NIL},
        {"with", TLEX_WITH},
        {"true", TLEX_BOOL},
        {"false", TLEX_BOOL},
        {"template", TLEX_TEMPLATE},
    };
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (str_eq_c(word, keywords[i].word))
            return keywords[i].type;
    return TLEX_IDENTIFIER;
}

/* Letters and digits, up to what may end a word; `type` is of .name and $name. */
static void lex_word(struct lexer *l, enum tlex_type type)
{
    while (is_word(peek(l)))
        next(l);
    if (!at_terminator(l)) {
        fail_rune(l, "bad character", peek(l));
        return;
    }
    if (type == TLEX_IDENTIFIER)
        type = word_type(str_sub(l->text, l->start, l->pos));
    emit(l, type);
}

/* Behind . or $ */
static void lex_field_or_variable(struct lexer *l, enum tlex_type type)
{
    if (at_terminator(l))
        emit(l, type == TLEX_FIELD ? TLEX_DOT : type);
    else
        lex_word(l, type);
}

static void lex_quoted(struct lexer *l, uint32_t quote, enum tlex_type type, str unterminated)
{
    for (;;) {
        uint32_t r = next(l);
        if (r == quote) {
            emit(l, type);
            return;
        }
        if (r == '\\' && quote != '`')
            r = next(l) == '\n' ? '\n' : l->pos == l->text.len ? EOF_RUNE : 0;
        if (r == EOF_RUNE || (r == '\n' && quote != '`')) {
            fail(l, unterminated);
            return;
        }
    }
}

static bool accept_one(struct lexer *l, const char *set)
{
    if (l->pos == l->text.len || !char_in((unsigned char)l->text.ptr[l->pos], set))
        return false;
    l->pos++;
    return true;
}

static void accept_run(struct lexer *l, const char *set)
{
    while (accept_one(l, set))
        ;
}

/* Roughly a number; what is wrong with it the parser finds out. */
static bool scan_number(struct lexer *l)
{
    const char *digits = "0123456789_";
    bool hex = false, decimal = true;
    accept_one(l, "+-");
    if (accept_one(l, "0")) {
        hex = accept_one(l, "xX");
        if (hex)
            digits = "0123456789abcdefABCDEF_";
        else if (accept_one(l, "oO"))
            digits = "01234567_";
        else if (accept_one(l, "bB"))
            digits = "01_";
        decimal = digits[1] == '1' && strlen(digits) == 11;
    }
    accept_run(l, digits);
    if (accept_one(l, "."))
        accept_run(l, digits);
    if ((decimal && accept_one(l, "eE")) || (hex && accept_one(l, "pP"))) {
        accept_one(l, "+-");
        accept_run(l, "0123456789_");
    }
    accept_one(l, "i");
    if (!is_word(peek(l)))
        return true;
    next(l);
    return false;
}

static void lex_number(struct lexer *l)
{
    bool ok = scan_number(l);
    uint32_t sign = peek(l);
    if (ok && sign != '+' && sign != '-') {
        emit(l, TLEX_NUMBER);
        return;
    }
    if (ok) /* a complex number, which no function of ours takes */
        scan_number(l);
    struct buf b;
    buf_init(&b, ERROR_TEXT_MAX);
    buf_append_c(&b, "bad number syntax: ");
    goquote(&b, str_sub(l->text, l->start, l->pos));
    fail(l, arena_str(l->arena, buf_str(&b)));
    buf_deinit(&b);
}

static void lex_paren(struct lexer *l, uint32_t r)
{
    l->paren_depth += r == '(' ? 1 : -1;
    if (l->paren_depth < 0)
        fail(l, STR("unexpected right paren"));
    else
        emit(l, r == '(' ? TLEX_LEFT_PAREN : TLEX_RIGHT_PAREN);
}

static void lex_action(struct lexer *l)
{
    bool trim;
    if (at_right_delim(l, &trim)) {
        if (l->paren_depth == 0)
            lex_right_delim(l, trim);
        else
            fail(l, STR("unclosed left paren"));
        return;
    }
    uint32_t r = peek(l);
    if (is_space(r)) {
        lex_spaces(l);
        return;
    }
    next(l);
    uint32_t after = peek(l);
    if (r == EOF_RUNE) {
        fail(l, STR("unclosed action"));
    } else if (r == '=') {
        emit(l, TLEX_ASSIGN);
    } else if (r == ':') {
        if (next(l) == '=')
            emit(l, TLEX_DECLARE);
        else
            fail(l, STR("expected :="));
    } else if (r == '|') {
        emit(l, TLEX_PIPE);
    } else if (r == '"') {
        lex_quoted(l, r, TLEX_STRING, STR("unterminated quoted string"));
    } else if (r == '`') {
        lex_quoted(l, r, TLEX_RAW_STRING, STR("unterminated raw quoted string"));
    } else if (r == '\'') {
        lex_quoted(l, r, TLEX_CHAR_CONSTANT, STR("unterminated character constant"));
    } else if (r == '$') {
        lex_field_or_variable(l, TLEX_VARIABLE);
    } else if (r == '.' && after != EOF_RUNE && (after < '0' || after > '9')) {
        lex_field_or_variable(l, TLEX_FIELD);
    } else if (r == '.' || r == '+' || r == '-' || (r >= '0' && r <= '9')) {
        l->pos--;
        lex_number(l);
    } else if (is_word(r)) {
        lex_word(l, TLEX_IDENTIFIER);
    } else if (r == '(' || r == ')') {
        lex_paren(l, r);
    } else if (r < 0x80 && rune_is_print(r)) {
        emit(l, TLEX_CHAR);
    } else {
        fail_rune(l, "unrecognized character in action:", r);
    }
}

void tlex(str text, struct arena *arena, tlex_tokens *ret)
{
    struct lexer l = {.text = text, .line = 1, .arena = arena, .tokens = ret};
    while (!l.done) {
        if (l.inside_action)
            lex_action(&l);
        else
            lex_text(&l);
    }
}
