#include "logql/lexer_number.h"

#include <stdio.h>

/* The parts of a literal as they are found from left to right. */
struct literal {
    const char *at, *end;
    char prefix; /* 0, or '0' (old octal), 'o', 'b', 'x' */
    bool has_digits;
    bool has_separators;
    char invalid; /* the first digit the base does not have; 0 if none */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static const char *prefix_name(char prefix)
{
    switch (prefix) {
    case 'x':
        return "hexadecimal literal";
    case 'o':
    case '0':
        return "octal literal";
    case 'b':
        return "binary literal";
    default:
        return "decimal literal";
    }
}

static void take_prefix(struct literal *l)
{
    if (l->end - l->at < 1 || *l->at != '0') {
        return;
    }
    l->at++;
    char c = l->at < l->end ? lower(*l->at) : 0;
    if (c == 'x' || c == 'o' || c == 'b') {
        l->prefix = c;
        l->at++;
    } else {
        l->prefix = '0';
        l->has_digits = true;
    }
}

/* Digits and underscores of the literal's base; decimal ones behind an exponent. */
static bool take_digits(struct literal *l, bool is_exponent)
{
    int base = l->prefix == 'x' ? 16 : l->prefix == 'b' ? 2 : l->prefix == 0 ? 10 : 8;
    bool any = false;
    for (; l->at < l->end; l->at++) {
        char c = *l->at;
        bool is_decimal = c >= '0' && c <= '9';
        if (c == '_') {
            l->has_separators = true;
            continue;
        }
        if (!is_decimal && (base != 16 || is_exponent || !lexer_is_hex(c))) {
            break;
        }
        any = true;
        if (!is_exponent && base < 10 && c - '0' >= base && l->invalid == 0) {
            l->invalid = c;
        }
    }
    return any;
}

/* True if an underscore stands anywhere but between two digits; a prefix counts as a digit. */
static bool is_separator_misplaced(str text)
{
    bool is_hex = false;
    char last = '.'; /* '0' for a digit, '_', '.' for anything else */
    size_t i = 0;
    if (text.len >= 2 && text.ptr[0] == '0') {
        char c = lower(text.ptr[1]);
        is_hex = c == 'x';
        if (is_hex || c == 'o' || c == 'b') {
            last = '0';
            i = 2;
        }
    }
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '_') {
            if (last != '0') {
                return true;
            }
            last = '_';
        } else if ((c >= '0' && c <= '9') || (is_hex && lexer_is_hex(c))) {
            last = '0';
        } else {
            if (last == '_') {
                return true;
            }
            last = '.';
        }
    }
    return last == '_';
}

#define PROBLEM(...) return (snprintf(problem, LEXER_NUMBER_PROBLEM_MAX, __VA_ARGS__), true)

bool lexer_number_check(str text, char problem[LEXER_NUMBER_PROBLEM_MAX])
{
    struct literal l = {.at = text.ptr, .end = text.ptr + text.len};
    take_prefix(&l);
    l.has_digits |= take_digits(&l, false);
    bool is_float = l.at < l.end && *l.at == '.';
    if (is_float) {
        l.at++;
        if (l.prefix == 'o' || l.prefix == 'b') {
            PROBLEM("invalid radix point in %s", prefix_name(l.prefix));
        }
        l.has_digits |= take_digits(&l, false);
    }
    if (!l.has_digits) {
        PROBLEM("%s has no digits", prefix_name(l.prefix));
    }
    if (l.at < l.end) { /* an exponent */
        char e = *l.at++;
        if (lower(e) == 'e' && l.prefix != 0 && l.prefix != '0') {
            PROBLEM("'%c' exponent requires decimal mantissa", e);
        }
        if (lower(e) == 'p' && l.prefix != 'x') {
            PROBLEM("'%c' exponent requires hexadecimal mantissa", e);
        }
        is_float = true;
        l.at += l.at < l.end && (*l.at == '+' || *l.at == '-');
        if (!take_digits(&l, true)) {
            PROBLEM("exponent has no digits");
        }
    } else if (l.prefix == 'x' && is_float) {
        PROBLEM("hexadecimal mantissa requires a 'p' exponent");
    }
    if (!is_float && l.invalid != 0) {
        PROBLEM("invalid digit '%c' in %s", l.invalid, prefix_name(l.prefix));
    }
    if (l.has_separators && is_separator_misplaced(text)) {
        PROBLEM("'_' must separate successive digits");
    }
    return false;
}
