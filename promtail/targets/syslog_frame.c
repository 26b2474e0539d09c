#include "promtail/targets/syslog_frame.h"

#include "base/mem.h"

#define COUNT_DIGITS_MAX 10

void syslog_frame_init(struct syslog_frame *f, size_t counted_bytes_max,
                       void (*message)(void *arg, str message), void *arg)
{
    *f = (struct syslog_frame){
        .counted_bytes_max = counted_bytes_max, .message = message, .arg = arg};
    buf_init(&f->pending, SYSLOG_PENDING_BYTES_MAX);
}

void syslog_frame_deinit(struct syslog_frame *f)
{
    buf_deinit(&f->pending);
}

static void take(struct syslog_frame *f, size_t n)
{
    memmove(f->pending.ptr, f->pending.ptr + n, f->pending.len - n);
    f->pending.len -= n;
    f->scanned = 0;
}

/* --- counted --- */

/* The head "<length> ": its size in *ret_head (0: not all there yet). */
static int counted_head(const struct syslog_frame *f, str rest, size_t *ret_head,
                        uint64_t *ret_length, struct error *err)
{
    size_t n = 0;
    *ret_head = 0;
    while (n < rest.len && rest.ptr[n] >= '0' && rest.ptr[n] <= '9')
        n++;
    if (n == 0 && rest.len > 0)
        return error_set(err, E_PARSE, "expecting the length of a message");
    if (n > COUNT_DIGITS_MAX)
        return error_set(err, E_TOO_LARGE, "message too long");
    if (n == rest.len)
        return 0;
    if (rest.ptr[n] != ' ')
        return error_set(err, E_PARSE, "expecting a blank after the length of a message");
    if (!str_to_u64(str_sub(rest, 0, n), ret_length) || *ret_length == 0)
        return error_set(err, E_PARSE, "not a length of a message");
    if (*ret_length > f->counted_bytes_max)
        return error_set(err, E_TOO_LARGE, "message too long: %llu bytes, at most %zu allowed",
                         (unsigned long long)*ret_length, f->counted_bytes_max);
    if (n + 1 < rest.len && rest.ptr[n + 1] != '<')
        return error_set(err, E_PARSE, "expecting a message after its length");
    *ret_head = n + 1;
    return 0;
}

static int feed_counted(struct syslog_frame *f, struct error *err)
{
    size_t at = 0;
    int rc = 0;
    while (at < f->pending.len) {
        str rest = str_from(buf_str(&f->pending), at);
        /* Some senders end counted messages with a newline all the same. */
        size_t newline = f->is_between && rest.ptr[0] == '\n' ? 1 : 0;
        size_t head = 0;
        uint64_t length = 0;
        rest = str_from(rest, newline);
        rc = counted_head(f, rest, &head, &length, err);
        if (rc != 0 || head == 0 || rest.len < head + length)
            break;
        f->message(f->arg, str_sub(rest, head, head + length));
        f->is_between = true;
        at += newline + head + length;
    }
    take(f, at);
    return rc;
}

/* --- lines --- */

static void feed_lines(struct syslog_frame *f)
{
    size_t at = 0;
    for (;;) {
        size_t from = at + f->scanned;
        size_t nl = str_find(str_from(buf_str(&f->pending), from), STR("\n<"));
        if (nl == STR_NPOS)
            break;
        f->message(f->arg, str_sub(buf_str(&f->pending), at, from + nl));
        at = from + nl + 1;
        f->scanned = 0;
    }
    take(f, at);
    f->scanned = f->pending.len > 0 ? f->pending.len - 1 : 0;
}

int syslog_frame_feed(struct syslog_frame *f, str bytes, struct error *err)
{
    if (!buf_append_str(&f->pending, bytes))
        return error_set(err, E_TOO_LARGE, "message without end");
    if (f->kind == 0 && f->pending.len > 0) {
        char first = f->pending.ptr[0];
        f->kind = first >= '0' && first <= '9' ? '0' : first;
    }
    if (f->kind == '0')
        return feed_counted(f, err);
    if (f->kind == '<')
        feed_lines(f);
    else if (f->kind != 0)
        return error_set(err, E_PARSE, "invalid or unsupported framing. first byte: '%c'", f->kind);
    return 0;
}

void syslog_frame_quiet(struct syslog_frame *f)
{
    str rest = buf_str(&f->pending);
    if (f->kind != '<' || !str_has_suffix(rest, STR("\n")))
        return;
    f->message(f->arg, str_sub(rest, 0, rest.len - 1));
    take(f, rest.len);
}

int syslog_frame_end(struct syslog_frame *f, bool is_timeout, struct error *err)
{
    str rest = buf_str(&f->pending);
    int rc = 0;
    if (rest.len > 0 && f->kind == '0')
        rc = error_set(err, E_PARSE, "connection ended within a message");
    if (rest.len > 0 && f->kind == '<') {
        size_t nl = str_rfind_char(rest, '\n');
        str whole = nl == STR_NPOS ? STR_EMPTY : str_sub(rest, 0, nl);
        str cut = nl == STR_NPOS ? rest : str_from(rest, nl + 1);
        if (whole.len > 0)
            f->message(f->arg, whole);
        if (cut.len > 0 && !is_timeout)
            f->message(f->arg, cut);
    }
    buf_reset(&f->pending);
    return rc;
}
