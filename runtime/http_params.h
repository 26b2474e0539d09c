/* runtime/http_params.h - URL query strings and form bodies, as Go's net/url reads and writes them.
 *
 * Pure functions, any thread.  What is parsed lives in the arena or is a view into the input. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"

struct http_param {
    str name, value;
};

struct http_params {
    VEC(struct http_param) list; /* in the order they came; memory is the arena's */
    str error;                   /* text of the first malformed pair; ptr NULL: none */
};

#define HTTP_PARAMS_MAX 65536 /* pairs beyond it are dropped with an error */

/* Adds the pairs of "a=1&b=2".  '+' is a blank, %XX a byte.  A pair with a bad escape or a ';' is
 * left out and noted in ->error; the others count, as in url.ParseQuery. */
void http_params_parse(struct http_params *p, str query, struct arena *a);
/* First value of the name; ptr NULL if absent. */
str http_params_get(const struct http_params *p, str name);

/* Decodes %XX, and '+' if is_query.  Returns 0 and a view of the input or a copy in the arena, or
 * E_PARSE with Go's text in *ret_error: invalid URL escape "%zz". */
int http_unescape(str s, bool is_query, struct arena *a, str *ret, str *ret_error);
/* url.QueryEscape: letters, digits and - _ . ~ stay, a blank becomes '+'. */
bool http_query_escape(struct buf *out, str s);
/* url.PathEscape. */
bool http_path_escape(struct buf *out, str s);
