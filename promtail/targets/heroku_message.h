/* promtail/targets/heroku_message.h - the messages of a request of Heroku's log drain.
 *
 * A body is frames one after the other: "<length> <message>"; a message is syslog's without
 * structured data: <pri>version time host app proc id text. */
#pragma once
#include "base/status.h"
#include "base/str.h"

#define HEROKU_FRAME_BYTES_MAX 10240 /* with its length */

/* Views of the body. */
struct heroku_message {
    int64_t ts_ns;
    str host, app, proc, id, text;
};

/* Takes the first frame off *rest, which is not empty.  E_PARSE, E_TOO_LARGE: what follows is of no
 * use either. */
int heroku_message_next(str *rest, struct heroku_message *ret, struct error *err);
