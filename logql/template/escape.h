/* logql/template/escape.h - text made safe for HTML, JavaScript and URLs, and back. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

void escape_html(struct buf *b, str s);
void escape_js(struct buf *b, str s);
/* url.QueryEscape: a blank is +. */
void escape_url_query(struct buf *b, str s);
/* url.QueryUnescape; E_PARSE: invalid URL escape "%zz". */
int unescape_url_query(struct buf *b, str s, struct error *err);
