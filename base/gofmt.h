/* base/gofmt.h - numbers as Go's strconv writes and reads them.
 *
 * Loki's answers, label values and error texts carry Go's spelling of numbers, so every number a
 * user may see goes through here.  Pure functions, any thread.  Quoted strings: base/goquote.h. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

/* Appends v as strconv.FormatFloat(v, fmt, prec, 64) does.  fmt is one of e E f F g G; prec -1
 * asks for the shortest text that reads back as v.  Loki's sample values are ('f', -1).  NaN,
 * +Inf and -Inf are spelled so.  False if the buffer is full. */
bool gofmt_float(struct buf *b, double v, char fmt, int prec);
/* The %v of a float64, ('g', -1): shortest, with an exponent below 1e-4 and from 1e6 on:
 * 1e+06, 2.147483648e+09. */
bool gofmt_float_v(struct buf *b, double v);
/* The number encoding/json writes: exponent below 1e-6 and from 1e21 on, e-7 rather than e-07.
 * NaN and the infinities have no JSON form; they come out as null. */
bool gofmt_float_json(struct buf *b, double v);
/* strconv.FormatInt / FormatUint: base 2 to 36, lower-case digits. */
bool gofmt_int(struct buf *b, int64_t v, int base);
bool gofmt_uint(struct buf *b, uint64_t v, int base);

/* --- reading: base/goparse.c --- */
/* strconv.ParseFloat(s, 64): signs, decimal and hexadecimal (p exponent needed), inf, infinity and
 * nan in any case, underscores where a Go literal may have them.  Returns 0, E_PARSE (bad syntax,
 * *ret untouched) or E_LIMIT (out of range: *ret is the infinity of the right sign). */
int goparse_float(str s, double *ret);
/* strconv.ParseInt(s, base, bits) and ParseUint: base 0 takes 0x, 0o, 0b, 0 and underscores;
 * bits 0 means 64.  Returns 0, E_PARSE or E_LIMIT (*ret is then the nearest value in range). */
int goparse_int(str s, int base, int bits, int64_t *ret);
int goparse_uint(str s, int base, int bits, uint64_t *ret);
/* strconv.ParseBool: 1 t T TRUE true True and their opposites.  Returns 0 or E_PARSE. */
int goparse_bool(str s, bool *ret);
/* Fills err as Go words it - strconv.Atoi: parsing "1.5": invalid syntax - for a code that one of
 * the functions above returned; `func` is "Atoi", "ParseFloat", ...  Returns `code`. */
int goparse_error(struct error *err, const char *func, str s, int code);
