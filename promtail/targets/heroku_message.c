#include "promtail/targets/heroku_message.h"

#include "base/rfc3339.h"

static int too_long(struct error *err)
{
    return error_set(err, E_TOO_LARGE, "bufio.Scanner: token too long");
}

static int take_frame(str *rest, str *ret, struct error *err)
{
    uint64_t length;
    size_t blank = str_find_char(*rest, ' ');
    if (blank == STR_NPOS)
        return rest->len >= HEROKU_FRAME_BYTES_MAX
                   ? too_long(err)
                   : error_set(err, E_PARSE, "missing frame length: bad frame");
    if (blank == 0)
        return error_set(err, E_PARSE, "invalid frame length: bad frame");
    if (!str_to_u64(str_sub(*rest, 0, blank), &length))
        return error_set(err, E_PARSE, "couldnt parse frame length: bad frame");
    if (blank >= HEROKU_FRAME_BYTES_MAX || length > HEROKU_FRAME_BYTES_MAX - blank - 1)
        return too_long(err);
    size_t end = blank + 1 + (size_t)length;
    if (end > rest->len)
        return error_set(err, E_PARSE,
                         "message boundary (%zu) not respected length (%zu): bad frame", end,
                         rest->len);
    *ret = str_sub(*rest, blank + 1, end);
    *rest = str_from(*rest, end);
    return 0;
}

/* Up to the next blank, which must be there. */
static bool take_field(str *s, str *ret)
{
    size_t blank = str_find_char(*s, ' ');
    if (blank == STR_NPOS)
        return false;
    *ret = str_sub(*s, 0, blank);
    *s = str_from(*s, blank + 1);
    return true;
}

/* <190>1 */
static bool is_priority(str s)
{
    uint64_t priority;
    size_t end = str_find_char(s, '>');
    return str_has_prefix(s, STR("<")) && end != STR_NPOS && end + 1 < s.len &&
           s.ptr[end + 1] >= '0' && s.ptr[end + 1] <= '9' &&
           str_to_u64(str_sub(s, 1, end), &priority) && priority <= UINT8_MAX;
}

int heroku_message_next(str *rest, struct heroku_message *ret, struct error *err)
{
    str frame, priority, time;
    int rc = take_frame(rest, &frame, err);
    if (rc != 0)
        return rc;
    if (!take_field(&frame, &priority))
        return error_set(err, E_PARSE, "EOF");
    if (!is_priority(priority))
        return error_set(err, E_PARSE, "invalid pri-val");
    if (!take_field(&frame, &time))
        return error_set(err, E_PARSE, "EOF");
    if (!rfc3339_parse(time, &ret->ts_ns))
        return error_set(err, E_PARSE, "parsing time \"%.*s\": not a time", STR_ARG(time));
    if (!take_field(&frame, &ret->host) || !take_field(&frame, &ret->app) ||
        !take_field(&frame, &ret->proc) || !take_field(&frame, &ret->id))
        return error_set(err, E_PARSE, "EOF");
    ret->text = frame;
    return 0;
}
