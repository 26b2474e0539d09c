/* logql/lexer_number.h - what Go finds wrong with a number literal. */
#pragma once
#include "base/str.h"

#define LEXER_NUMBER_PROBLEM_MAX 64

/* True if the literal, delimited already, is malformed; `problem` then holds the first fault in
 * the words of Go's text/scanner: '_' must separate successive digits. */
bool lexer_number_check(str text, char problem[LEXER_NUMBER_PROBLEM_MAX]);

static inline bool lexer_is_hex(char c)
{
    char lower = (char)(c | 0x20);
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
}
