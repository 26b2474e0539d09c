/* logql/template/case_style.h - names in other case styles, as sprig's library makes them. */
#pragma once
#include "base/buf.h"

/* HTTPServer -> http_server, http2xx -> http_2xx; words are joined by `connector`. */
void case_append_snake(struct buf *b, str s, char connector);
/* http_server -> HttpServer */
void case_append_pascal(struct buf *b, str s);
