/* base/gourl.h - URLs as Go's net/url reads and writes them.
 *
 * Pure functions, any thread.  The parts are views of the text where nothing was escaped, else of
 * the arena. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

/* Parts are unescaped, save `opaque` and `query`; a part that is not there is empty. */
struct gourl {
    str scheme; /* small letters */
    str opaque; /* of mailto:a@b: what is behind the colon */
    bool has_user, has_password;
    str user, password;
    str host; /* with the port */
    str path, query, fragment;
    bool omits_host;     /* file:/path: a path with nothing but the scheme in front */
    bool ends_with_mark; /* a ? with no query behind it */
};

/* url.Parse.  E_PARSE with Go's text: parse "http://a b": invalid character " " in host name. */
int gourl_parse(str text, struct arena *a, struct gourl *ret, struct error *err);
/* URL.String; of an escaped path and fragment the plain escaping is written. */
void gourl_append(struct buf *b, const struct gourl *u);
/* URL.User.String: user:password, escaped. */
void gourl_append_user(struct buf *b, const struct gourl *u);
/* URL.Hostname: without port and brackets. */
str gourl_host_name(const struct gourl *u);
