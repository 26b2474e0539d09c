/* base/utf8.h - runes (Unicode code points) in UTF-8, with Go's view of malformed bytes.
 *
 * A byte that belongs to no well-formed rune counts as one rune, RUNE_ERROR, one byte wide, as in
 * Go's range loops.  Case mapping is rune by rune (no special casing), as strings.ToUpper does.
 * Pure functions, any thread.  str_is_utf8 (base/str.h) tells whether bytes are well-formed. */
#pragma once
#include "base/buf.h"

#define RUNE_ERROR UINT32_C(0xFFFD)
#define RUNE_MAX   UINT32_C(0x10FFFF)
#define UTF8_MAX   4 /* bytes of the longest rune */

/* Width in bytes of the first rune of s and the rune; 0 if s is empty.  Malformed: RUNE_ERROR, 1.
 */
size_t utf8_decode(str s, uint32_t *ret_rune);
/* The same for the last rune of s. */
size_t utf8_decode_last(str s, uint32_t *ret_rune);
/* Writes the bytes of a rune and returns how many; surrogates and what lies beyond RUNE_MAX are
 * written as RUNE_ERROR. */
size_t utf8_encode(char out[UTF8_MAX], uint32_t rune);
bool utf8_append(struct buf *b, uint32_t rune);
/* How many bytes of s in front are ASCII. */
size_t utf8_ascii_len(str s);
/* utf8.RuneCountInString */
size_t utf8_count(str s);
/* Byte offset of the n-th rune (from 0); s.len if there are not so many. */
size_t utf8_offset(str s, size_t n);

uint32_t rune_to_lower(uint32_t rune);
uint32_t rune_to_upper(uint32_t rune);
uint32_t rune_to_title(uint32_t rune);
bool rune_is_letter(uint32_t rune);
bool rune_is_digit(uint32_t rune); /* decimal digits only */
bool rune_is_upper(uint32_t rune);
bool rune_is_lower(uint32_t rune);
bool rune_is_space(uint32_t rune);
bool rune_is_print(uint32_t rune); /* unicode.IsPrint: of the spaces only U+0020 */

/* strings.ToLower, ToUpper and Title; malformed bytes become U+FFFD unless all of s is ASCII. */
bool utf8_append_lower(struct buf *b, str s);
bool utf8_append_upper(struct buf *b, str s);
bool utf8_append_title(struct buf *b, str s);
/* strings.ToValidUTF8: each run of malformed bytes becomes `replacement`. */
bool utf8_append_valid(struct buf *b, str s, str replacement);
/* strings.TrimSpace: a view without Unicode white space at both ends. */
str utf8_trim_space(str s);
/* strings.EqualFold for simple case folding. */
bool utf8_eq_fold(str a, str b);
