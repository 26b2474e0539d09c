/* logql/lexer.re - the tokens of LogQL (re2c). */
#include "logql/lexer.h"

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/utf8.h"
#include "logql/grammar.h"
#include "logql/lexer_number.h"

/* clang-format off */
/*!include:re2c "unicode_categories.re" */
/*!re2c
    re2c:flags:8          = 1;
    re2c:define:YYCTYPE   = "unsigned char";
    re2c:yyfill:enable    = 0;

    word_start   = L | "_";
    word         = word_start (L | Nd | "_")*;
    digits       = [0-9_]*;
    exponent     = [eEpP] [+-]? digits;
    hex_number   = "0" [xX] [0-9a-fA-F_]* ("." [0-9a-fA-F_]*)? ([pP] [+-]? digits)?;
    octal_number = "0" [oO] digits ("." digits)? exponent?;
    bit_number   = "0" [bB] digits ("." digits)? exponent?;
    number       = [0-9] digits ("." digits)? exponent? | "." [0-9] digits exponent?;

    // what may follow a number and make it a duration or a size
    duration_rest = (N | [nuµmshdwy.])+;
    bytes_rest    = (N | [BikKMGTP.])+;
*/
/* clang-format on */

#define SKIPPED (-1) /* white space or a comment */

static void report(struct lexer *lx, uint32_t line, uint32_t col, const char *message)
{
    if (line == 0 && col == 0) {
        error_set(lx->err, E_PARSE, "parse error : %s", message);
    } else {
        error_set_at(lx->err, E_PARSE, (int)line, (int)col, "parse error at line %u, col %u: %s",
                     line, col, message);
    }
}

void lexer_error(struct lexer *lx, const char *message)
{
    report(lx, lx->is_line_lost ? 0 : lx->token.line, lx->token.col, message);
}

/* Moves the line and column count on to `to`. */
static void count_to(struct lexer *lx, const char *to)
{
    while (lx->counted < to) {
        if (*lx->counted == '\n') {
            lx->line++;
            lx->col = 0;
        }
        str rest = str_make(lx->counted, (size_t)(lx->end - lx->counted));
        uint32_t rune;
        lx->counted += (unsigned char)*lx->counted < 0x80 ? 1 : utf8_decode(rest, &rune);
        lx->col++;
    }
}

/* Notes that a token begins at `at`.  Go's scanner stands at line 0, column 0 in an empty text. */
static void begin_token(struct lexer *lx, const char *at)
{
    count_to(lx, at);
    lx->is_line_lost = false;
    lx->token = (struct source_pos){.offset = (uint32_t)(at - lx->begin)};
    if (lx->begin != lx->end) {
        lx->token.line = lx->line;
        lx->token.col = lx->col;
    }
}

/* Go reads one character ahead of the token it returns: a bad one there is reported already. */
static void check_ahead(struct lexer *lx, const char *at)
{
    if (at == lx->end || (*at != '\0' && (unsigned char)*at < 0x80)) {
        return;
    }
    uint32_t rune;
    size_t width = utf8_decode(str_make(at, (size_t)(lx->end - at)), &rune);
    if (rune == 0) {
        lexer_error(lx, "invalid character NUL");
    } else if (rune == RUNE_ERROR && width == 1) {
        lexer_error(lx, "invalid UTF-8 encoding");
    }
}

void lexer_init(struct lexer *lx, struct arena *a, str text, struct error *err)
{
    *lx = (struct lexer){.arena = a, .err = err, .line = 1, .col = 1};
    lx->begin = arena_c(a, text);
    lx->end = lx->begin + text.len;
    lx->cursor = lx->counted = lx->begin;
    if (str_has_prefix(text, STR("\xef\xbb\xbf"))) {
        lx->cursor += 3; /* a byte order mark is no part of the query */
    }
    check_ahead(lx, lx->cursor);
}

/* The same for text that is passed over as a whole; what is directly at the cursor counts as looked
 * at with the token, what comes later has lost its line. */
static void check_skipped(struct lexer *lx, const char *from, const char *to, bool keeps_line)
{
    bool was_line_lost = lx->is_line_lost;
    for (const char *p = from; p < to; p++) {
        if (*p == '\0' || (unsigned char)*p >= 0x80) {
            uint32_t rune;
            lx->is_line_lost = !keeps_line && p != from;
            check_ahead(lx, p);
            p += utf8_decode(str_make(p, (size_t)(lx->end - p)), &rune) - 1;
        }
    }
    lx->is_line_lost = was_line_lost;
}

static const char *skip_space(const struct lexer *lx, const char *p)
{
    while (p < lx->end) {
        uint32_t rune;
        size_t width = utf8_decode(str_make(p, (size_t)(lx->end - p)), &rune);
        if (!rune_is_space(rune)) {
            break;
        }
        p += width;
    }
    return p;
}

/* True if what follows makes a function of the word before: an opening parenthesis, or by or
 * without and an opening parenthesis. */
static bool is_function_ahead(const struct lexer *lx)
{
    static const str words[] = {{"by", 2}, {"without", 7}};
    const char *p = skip_space(lx, lx->cursor);
    for (size_t i = 0; i < 2; i++) {
        if ((size_t)(lx->end - p) >= words[i].len &&
            utf8_eq_fold(str_make(p, words[i].len), words[i])) {
            return *skip_space(lx, p + words[i].len) == '(';
        }
    }
    return *p == '(';
}

/* End of the run of characters that could continue a duration after `p`; `p` itself if none. */
static const char *duration_end(const char *p)
{
    const char *YYCURSOR = p, *YYMARKER;
    /*!re2c
        duration_rest { return YYCURSOR; }
        *             { return p; }
    */
}

static const char *bytes_end(const char *p)
{
    const char *YYCURSOR = p, *YYMARKER;
    /*!re2c
        bytes_rest { return YYCURSOR; }
        *          { return p; }
    */
}

static str text_between(const char *from, const char *to)
{
    return str_make(from, (size_t)(to - from));
}

/* A number or a minus that stands from `from` to the cursor becomes a duration if what follows
 * without a gap makes it one. */
static bool take_duration(struct lexer *lx, const char *from, struct lexer_value *ret)
{
    const char *end = duration_end(lx->cursor);
    if (end == lx->cursor) {
        return false;
    }
    str text = text_between(from, end);
    if (duration_parse_prom(text, &ret->duration_ns, NULL) != 0 &&
        duration_parse_go(text, &ret->duration_ns, NULL) != 0) {
        return false;
    }
    lx->cursor = end;
    lx->is_line_lost = true;
    return true;
}

static bool take_bytes(struct lexer *lx, const char *from, struct lexer_value *ret)
{
    const char *end = bytes_end(lx->cursor);
    if (end == lx->cursor || bytesize_parse(text_between(from, end), &ret->bytes, NULL) != 0) {
        return false;
    }
    lx->cursor = end;
    lx->is_line_lost = true;
    return true;
}

static int scan_number(struct lexer *lx, const char *from, struct lexer_value *ret)
{
    if (lx->is_gap_before && *from == '0' && (from[1] == 'b' || from[1] == 'B')) {
        /* Loki looks for the b where the gap was: a bare 0 is left, which it then finds empty */
        lx->cursor = from + 1;
        lexer_error(lx, "decimal literal has no digits");
    }
    str text = text_between(from, lx->cursor);
    char problem[LEXER_NUMBER_PROBLEM_MAX];
    if (lexer_number_check(text, problem)) {
        lexer_error(lx, problem);
    }
    ret->text = text;
    if (take_duration(lx, from, ret)) {
        return TOKEN_DURATION;
    }
    return take_bytes(lx, from, ret) ? TOKEN_BYTES : TOKEN_NUMBER;
}

/* [5m]: everything up to the bracket is the duration. */
static int scan_range(struct lexer *lx, struct lexer_value *ret)
{
    const char *from = lx->cursor;
    const char *close = memchr(from, ']', (size_t)(lx->end - from));
    check_skipped(lx, from, close == NULL ? lx->end : close, false);
    lx->is_line_lost = true;
    if (close == NULL) {
        lx->cursor = lx->end;
        lexer_error(lx, "missing closing ']' in duration");
        return 0;
    }
    lx->cursor = close + 1;
    struct error err = {0};
    if (duration_parse_prom(text_between(from, close), &ret->duration_ns, &err) != 0) {
        lexer_error(lx, err.text);
        return 0;
    }
    return TOKEN_RANGE;
}

/* The end of the escape behind a backslash; reports a malformed one and stops before the offending
 * character. */
static const char *skip_escape(struct lexer *lx, const char *p, char quote)
{
    const char c = *p;
    const bool is_octal = c >= '0' && c <= '7';
    int digits = is_octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
        if (p < lx->end && (c == quote || strchr("abfnrtv\\", c) != NULL)) {
            return p + 1;
        }
        lexer_error(lx, "invalid char escape");
        return p;
    }
    p += !is_octal;
    for (; digits > 0; digits--, p++) {
        bool is_digit = is_octal ? *p >= '0' && *p <= '7' : lexer_is_hex(*p);
        if (!is_digit) {
            lexer_error(lx, "invalid char escape");
            break;
        }
    }
    return p;
}

/* The rest of a literal in quotes, from behind the opening one.  Returns how many characters it has
 * and leaves the cursor behind the closing quote. */
static size_t skip_quoted(struct lexer *lx, char quote)
{
    const char *p = lx->cursor;
    size_t n = 0;
    for (; *p != quote || p == lx->end; n++) {
        if (p == lx->end || *p == '\n') {
            lexer_error(lx, "literal not terminated");
            break;
        }
        if (*p == '\\') {
            p = skip_escape(lx, p + 1, quote);
            continue;
        }
        uint32_t rune;
        check_ahead(lx, p);
        p += utf8_decode(text_between(p, lx->end), &rune);
    }
    lx->cursor = p < lx->end ? p + 1 : p;
    return n;
}

static void skip_raw(struct lexer *lx)
{
    const char *close = memchr(lx->cursor, '`', (size_t)(lx->end - lx->cursor));
    check_skipped(lx, lx->cursor, close == NULL ? lx->end : close, true);
    if (close == NULL) {
        lexer_error(lx, "literal not terminated");
    }
    lx->cursor = close == NULL ? lx->end : close + 1;
}

/* Surrogates, which Go's strconv refuses, stand for U+FFFD in Loki: writes it over their digits. */
static void replace_surrogates(char *p, const char *end)
{
    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        size_t digits = p[1] == 'u' ? 4 : p[1] == 'U' ? 8 : 0;
        uint64_t rune = 0;
        p += 2;
        if (digits == 0 || digits > (size_t)(end - p)) {
            continue;
        }
        goparse_uint(str_make(p, digits), 16, 64, &rune);
        if (rune >= 0xd800 && rune <= 0xdfff) {
            memcpy(p + digits - 4, "fffd", 4);
        }
    }
}

/* Turns a literal, scanned already, into what it stands for. */
static int finish_string(struct lexer *lx, const char *from, struct lexer_value *ret)
{
    str literal = text_between(from, lx->cursor);
    if (!str_is_utf8(literal)) {
        lexer_error(lx, "invalid UTF-8 rune");
        return 0;
    }
    if (literal.len < 2 || literal.ptr[literal.len - 1] != *from) {
        lexer_error(lx, "invalid syntax");
        return 0;
    }
    ret->text = str_sub(literal, 1, literal.len - 1);
    if (*from == '`' || memchr(literal.ptr, '\\', literal.len) == NULL) {
        return TOKEN_STRING;
    }
    struct buf plain;
    buf_init(&plain, literal.len * UTF8_MAX);
    char *copy = arena_c(lx->arena, literal);
    replace_surrogates(copy, copy + literal.len);
    int rc = gounquote(str_make(copy, literal.len), &plain);
    if (rc == 0) {
        ret->text = arena_str(lx->arena, buf_str(&plain));
    } else {
        lexer_error(lx, "invalid syntax");
    }
    buf_deinit(&plain);
    return rc == 0 ? TOKEN_STRING : 0;
}

static void skip_line(struct lexer *lx)
{
    const char *newline = memchr(lx->cursor, '\n', (size_t)(lx->end - lx->cursor));
    newline = newline == NULL ? lx->end : newline;
    check_skipped(lx, lx->cursor, newline, false);
    lx->cursor = newline;
}

static void skip_block_comment(struct lexer *lx)
{
    const char *close = memmem(lx->cursor, (size_t)(lx->end - lx->cursor), "*/", 2);
    check_skipped(lx, lx->cursor, close == NULL ? lx->end : close, true);
    if (close == NULL) {
        lexer_error(lx, "comment not terminated");
    }
    lx->cursor = close == NULL ? lx->end : close + 2;
}

/* --strict and --keep-empty; any other word after two dashes is two minus signs and a word. */
static bool take_flag(struct lexer *lx, const char *from, struct lexer_value *ret)
{
    str text = text_between(from, lx->cursor);
    if (!str_eq(text, STR("--strict")) && !str_eq(text, STR("--keep-empty"))) {
        lx->cursor = from + 1;
        return false;
    }
    ret->text = text;
    lx->is_line_lost = true;
    return true;
}

/* One token or one piece of what is skipped, from the cursor on. */
static int scan(struct lexer *lx, struct lexer_value *ret)
{
    const char *const from = lx->cursor;
    const char *YYCURSOR = from, *YYMARKER;
/* a word that is always itself */
#define WORD(token) return (lx->cursor = YYCURSOR, token)
/* a word that is a function in front of a parenthesis, else a label */
#define FUNCTION(token)                                                                            \
    return (lx->cursor = YYCURSOR, is_function_ahead(lx) ? (token) : TOKEN_IDENTIFIER)
/* two characters: Go's scanner knows the first, the second is looked ahead */
#define PAIR(token) return (lx->cursor = YYCURSOR, lx->is_line_lost = true, token)
    /* clang-format off */
    /*!re2c
        [ \t\r\n]+          { lx->cursor = YYCURSOR; return SKIPPED; }
        "#"                 { lx->cursor = YYCURSOR; skip_line(lx); return SKIPPED; }
        "//"                { lx->cursor = YYCURSOR; skip_line(lx); return SKIPPED; }
        "/*"                { lx->cursor = YYCURSOR; skip_block_comment(lx); return SKIPPED; }

        ","  { WORD(TOKEN_COMMA); }
        "."  { WORD(TOKEN_DOT); }
        "{"  { WORD(TOKEN_OPEN_BRACE); }
        "}"  { WORD(TOKEN_CLOSE_BRACE); }
        "("  { WORD(TOKEN_OPEN_PAREN); }
        ")"  { WORD(TOKEN_CLOSE_PAREN); }
        "]"  { WORD(TOKEN_CLOSE_BRACKET); }
        "="  { WORD(TOKEN_EQ); }
        "|"  { WORD(TOKEN_PIPE); }
        ">"  { WORD(TOKEN_GT); }
        "<"  { WORD(TOKEN_LT); }
        "+"  { WORD(TOKEN_ADD); }
        "*"  { WORD(TOKEN_MUL); }
        "/"  { WORD(TOKEN_DIV); }
        "%"  { WORD(TOKEN_MOD); }
        "^"  { WORD(TOKEN_POW); }
        "==" { PAIR(TOKEN_CMP_EQ); }
        "!=" { PAIR(TOKEN_NEQ); }
        "=~" { PAIR(TOKEN_RE); }
        "!~" { PAIR(TOKEN_NRE); }
        "!>" { PAIR(TOKEN_NOT_PATTERN); }
        "|=" { PAIR(TOKEN_PIPE_EXACT); }
        "|~" { PAIR(TOKEN_PIPE_MATCH); }
        "|>" { PAIR(TOKEN_PIPE_PATTERN); }
        ">=" { PAIR(TOKEN_GTE); }
        "<=" { PAIR(TOKEN_LTE); }

        'and'          { WORD(TOKEN_AND); }
        'or'           { WORD(TOKEN_OR); }
        'unless'       { WORD(TOKEN_UNLESS); }
        'by'           { WORD(TOKEN_BY); }
        'without'      { WORD(TOKEN_WITHOUT); }
        'bool'         { WORD(TOKEN_BOOL); }
        'on'           { WORD(TOKEN_ON); }
        'ignoring'     { WORD(TOKEN_IGNORING); }
        'group_left'   { WORD(TOKEN_GROUP_LEFT); }
        'group_right'  { WORD(TOKEN_GROUP_RIGHT); }
        'offset'       { WORD(TOKEN_OFFSET); }
        'unwrap'       { WORD(TOKEN_UNWRAP); }
        'json'         { WORD(TOKEN_JSON); }
        'logfmt'       { WORD(TOKEN_LOGFMT); }
        'regexp'       { WORD(TOKEN_REGEXP); }
        'pattern'      { WORD(TOKEN_PATTERN); }
        'unpack'       { WORD(TOKEN_UNPACK); }
        'decolorize'   { WORD(TOKEN_DECOLORIZE); }
        'line_format'  { WORD(TOKEN_LINE_FORMAT); }
        'label_format' { WORD(TOKEN_LABEL_FORMAT); }
        'drop'         { WORD(TOKEN_DROP); }
        'keep'         { WORD(TOKEN_KEEP); }
        'variants'     { WORD(TOKEN_VARIANTS); }
        'of'           { WORD(TOKEN_OF); }

        'count_over_time'    { FUNCTION(TOKEN_COUNT_OVER_TIME); }
        'rate'               { FUNCTION(TOKEN_RATE); }
        'rate_counter'       { FUNCTION(TOKEN_RATE_COUNTER); }
        'bytes_over_time'    { FUNCTION(TOKEN_BYTES_OVER_TIME); }
        'bytes_rate'         { FUNCTION(TOKEN_BYTES_RATE); }
        'avg_over_time'      { FUNCTION(TOKEN_AVG_OVER_TIME); }
        'sum_over_time'      { FUNCTION(TOKEN_SUM_OVER_TIME); }
        'min_over_time'      { FUNCTION(TOKEN_MIN_OVER_TIME); }
        'max_over_time'      { FUNCTION(TOKEN_MAX_OVER_TIME); }
        'stdvar_over_time'   { FUNCTION(TOKEN_STDVAR_OVER_TIME); }
        'stddev_over_time'   { FUNCTION(TOKEN_STDDEV_OVER_TIME); }
        'quantile_over_time' { FUNCTION(TOKEN_QUANTILE_OVER_TIME); }
        'first_over_time'    { FUNCTION(TOKEN_FIRST_OVER_TIME); }
        'last_over_time'     { FUNCTION(TOKEN_LAST_OVER_TIME); }
        'absent_over_time'   { FUNCTION(TOKEN_ABSENT_OVER_TIME); }
        'vector'             { FUNCTION(TOKEN_VECTOR); }
        'sum'                { FUNCTION(TOKEN_SUM); }
        'avg'                { FUNCTION(TOKEN_AVG); }
        'max'                { FUNCTION(TOKEN_MAX); }
        'min'                { FUNCTION(TOKEN_MIN); }
        'count'              { FUNCTION(TOKEN_COUNT); }
        'stddev'             { FUNCTION(TOKEN_STDDEV); }
        'stdvar'             { FUNCTION(TOKEN_STDVAR); }
        'bottomk'            { FUNCTION(TOKEN_BOTTOMK); }
        'topk'               { FUNCTION(TOKEN_TOPK); }
        'approx_topk'        { FUNCTION(TOKEN_APPROX_TOPK); }
        'sort'               { FUNCTION(TOKEN_SORT); }
        'sort_desc'          { FUNCTION(TOKEN_SORT_DESC); }
        'label_replace'      { FUNCTION(TOKEN_LABEL_REPLACE); }
        'bytes'              { FUNCTION(TOKEN_BYTES_CONV); }
        'duration'           { FUNCTION(TOKEN_DURATION_CONV); }
        'duration_seconds'   { FUNCTION(TOKEN_DURATION_SECONDS_CONV); }
        'ip'                 { FUNCTION(TOKEN_IP); }

        word   { WORD(TOKEN_IDENTIFIER); }
        number { lx->cursor = YYCURSOR; return scan_number(lx, from, ret); }
        hex_number | octal_number | bit_number {
            lx->cursor = YYCURSOR;
            return scan_number(lx, from, ret);
        }

        "-" {
            lx->cursor = YYCURSOR;
            return take_duration(lx, from, ret) ? TOKEN_DURATION : TOKEN_SUB;
        }
        "--" (L | "-")* {
            lx->cursor = YYCURSOR;
            return take_flag(lx, from, ret) ? TOKEN_FUNCTION_FLAG : TOKEN_SUB;
        }
        "[" { lx->cursor = YYCURSOR; return scan_range(lx, ret); }
        ["] {
            lx->cursor = YYCURSOR;
            skip_quoted(lx, '"');
            return finish_string(lx, from, ret);
        }
        "`" {
            lx->cursor = YYCURSOR;
            skip_raw(lx);
            return finish_string(lx, from, ret);
        }
        "'" { // a character of Go's; LogQL has no use for it
            lx->cursor = YYCURSOR;
            if (skip_quoted(lx, '\'') != 1) {
                lexer_error(lx, "invalid char literal");
            }
            return TOKEN_IDENTIFIER;
        }
        [\x00] {
            if (from >= lx->end) {
                return 0;
            }
            lx->cursor = YYCURSOR;
            return TOKEN_IDENTIFIER;
        }
        . { lx->cursor = YYCURSOR; return TOKEN_IDENTIFIER; }
        * { lx->cursor = from + 1; return TOKEN_IDENTIFIER; } // malformed UTF-8
    */
    /* clang-format on */
}

int lexer_next(struct lexer *lx, struct lexer_value *ret)
{
    lx->is_gap_before = false;
    for (;;) {
        const char *const from = lx->cursor;
        const struct source_pos last = lx->token;
        begin_token(lx, from);
        int token = scan(lx, ret);
        if (token == SKIPPED) {
            /* Go's scanner has left the line of the last token, not its column. */
            lx->is_gap_before = true;
            lx->token = last;
            lx->is_line_lost = true;
            check_ahead(lx, lx->cursor);
            continue;
        }
        ret->source = text_between(from, lx->cursor);
        if (token == TOKEN_IDENTIFIER) {
            ret->text = ret->source;
        }
        check_ahead(lx, lx->cursor);
        return token;
    }
}
