/* logectl push: lines of standard input as one stream. */
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/logectl.h"
#include "proto/json_writer.h"

#define PUSH_LINE_BYTES_MAX  (16u << 20)
#define PUSH_BATCH_BYTES_MAX (4u << 20) /* a request is sent when it holds so much */

struct pusher {
    struct ctl *c;
    struct buf body;
    int64_t n, total, last_ns;
};

/* {"streams":[{"stream":{...},"values":[ */
static int begin_body(struct pusher *p)
{
    buf_reset(&p->body);
    buf_append_c(&p->body, "{\"streams\":[{\"stream\":{");
    for (size_t i = 0; i < p->c->labels.n; i++) {
        str rest = str_c(p->c->labels.items[i]);
        str name = str_split(&rest, '=');
        if (rest.ptr == NULL || name.len == 0)
            return ctl_fail("--label takes name=value, not \"%s\"", p->c->labels.items[i]);
        buf_append_c(&p->body, i > 0 ? "," : "");
        json_append_string(&p->body, name);
        buf_append_char(&p->body, ':');
        json_append_string(&p->body, str_trim_chars(rest, STR("\"")));
    }
    buf_append_c(&p->body, "},\"values\":[");
    p->n = 0;
    return 0;
}

static int send_body(struct pusher *p)
{
    if (p->n == 0)
        return 0;
    struct buf url, answer;
    buf_append_c(&p->body, "]}]}");
    ctl_url(p->c, &url, "/loki/api/v1/push");
    url.len--; /* the '?' */
    str body = buf_str(&p->body);
    int status = ctl_fetch(p->c, buf_c(&url), &body, "application/json", &answer);
    buf_deinit(&answer);
    buf_deinit(&url);
    p->total += p->n;
    return status != 0 ? status : begin_body(p);
}

/* Times are those of reading; each at least 1 ns after the one before, so that the order stays. */
static int add_line(struct pusher *p, str line)
{
    int64_t now = clock_now_ns();
    p->last_ns = MAX(now, p->last_ns + 1);
    buf_append_c(&p->body, p->n > 0 ? ",[\"" : "[\"");
    buf_append_i64(&p->body, p->last_ns);
    buf_append_c(&p->body, "\",");
    json_append_string(&p->body, line);
    buf_append_char(&p->body, ']');
    if (p->body.failed)
        return ctl_fail("a line is too long");
    p->n++;
    return p->n >= p->c->push_batch || p->body.len > PUSH_BATCH_BYTES_MAX ? send_body(p) : 0;
}

int ctl_push(struct ctl *c)
{
    if (c->labels.n == 0)
        return ctl_fail("push needs --label name=value (several: separated by commas)");
    struct pusher p = {.c = c};
    buf_init(&p.body, PUSH_LINE_BYTES_MAX * 2);
    int status = begin_body(&p);
    char *line = NULL;
    size_t size = 0;
    for (ssize_t n; status == 0 && (n = getline(&line, &size, stdin)) >= 0;) {
        str text = str_make(line, (size_t)n);
        if (text.len > 0 && text.ptr[text.len - 1] == '\n')
            text.len--;
        status = add_line(&p, text);
    }
    free(line);
    if (status == 0)
        status = send_body(&p);
    if (status == 0 && !c->quiet)
        fprintf(stderr, "pushed %lld lines\n", (long long)p.total);
    buf_deinit(&p.body);
    return status;
}
