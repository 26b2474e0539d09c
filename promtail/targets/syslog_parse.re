/* promtail/targets/syslog_parse.re - the grammars of syslog messages (re2c). */
#include "promtail/targets/syslog_parse.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/civil.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rfc3339.h"

#define HOSTNAME_MAX 255
#define APP_NAME_MAX 48
#define PROC_ID_MAX  128
#define MSG_ID_MAX   32
#define SD_NAME_MAX  32
#define TAG_MAX      48

/* clang-format off */
/*!re2c
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYCURSOR = at;
    re2c:define:YYLIMIT = limit;
    re2c:define:YYMARKER = marker;
    re2c:yyfill:enable  = 0;
    re2c:eof            = 0;
    re2c:tags           = 1;

    prival  = "0" | [1-9] [0-9]? | "1" [0-8] [0-9] | "19" [01];
    digit   = [0-9];
    graph   = [!-~];
    date    = digit{4} "-" digit{2} "-" digit{2};
    offset  = "Z" | [+-] digit{2} ":" digit{2};
    clock   = digit{2} ":" digit{2} ":" digit{2};
    time    = date "T" clock ("." digit{1,6})? offset;
    month   = "Jan" | "Feb" | "Mar" | "Apr" | "May" | "Jun"
            | "Jul" | "Aug" | "Sep" | "Oct" | "Nov" | "Dec";
    mday    = [ 0-3] [0-9];
    sd_name = (graph \ ["=\]])+;
    sd_text = ([^"\\\]] | "\\" ["\\\]])*;
*/
/* clang-format on */

/* A view of [from, to); "-" is no value. */
static str field(const char *from, const char *to)
{
    str s = str_make(from, (size_t)(to - from));
    return str_eq(s, STR("-")) ? (str){NULL, 0} : s;
}

static int number(const char *from, const char *to)
{
    int n = 0;
    for (; from < to; from++)
        n = n * 10 + (*from - '0');
    return n;
}

/* --- RFC 5424 --- */

static bool lengths_fit(const struct syslog_message *m)
{
    return m->hostname.len <= HOSTNAME_MAX && m->app_name.len <= APP_NAME_MAX &&
           m->proc_id.len <= PROC_ID_MAX && m->msg_id.len <= MSG_ID_MAX;
}

/* All up to the blank before the structured data; NULL if it does not fit. */
static const char *header(const char *at, const char *limit, struct syslog_message *m)
{
    const char *marker;
    const char *p1, *p2, *v1, *v2, *t1, *t2, *h1, *h2, *a1, *a2, *i1, *i2, *g1, *g2;
    /* clang-format off */
    /*!stags:re2c:header format = "const char *@@;"; */
    /*!re2c:header
        "<" @p1 prival @p2 ">" @v1 [1-9] digit{0,2} @v2 " " @t1 ("-" | time) @t2 " " @h1 graph+ @h2
        " " @a1 graph+ @a2 " " @i1 graph+ @i2 " " @g1 graph+ @g2 " " {
            m->priority = number(p1, p2);
            m->version = number(v1, v2);
            m->time = field(t1, t2);
            m->hostname = field(h1, h2);
            m->app_name = field(a1, a2);
            m->proc_id = field(i1, i2);
            m->msg_id = field(g1, g2);
            return lengths_fit(m) ? at : NULL;
        }
        * { return NULL; }
        $ { return NULL; }
    */
    /* clang-format on */
}

/* A time that is only too far away for nanoseconds; the message is good for that. */
static bool is_time_of_any_year(str time)
{
    char near[64];
    int64_t ns;
    int year = number(time.ptr, time.ptr + 4) % 400; /* the calendar comes again after so many */
    int n = snprintf(near, sizeof near, "%04d%.*s", year + (year > 262 ? 1600 : 2000),
                     (int)time.len - 4, time.ptr + 4);
    return rfc3339_parse(str_make(near, (size_t)n), &ns);
}

/* The value without the backslashes before " ] and \. */
static str unescape(str raw, struct arena *a)
{
    if (str_find_char(raw, '\\') == STR_NPOS)
        return raw;
    char *out = arena_alloc(a, raw.len);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\')
            i++;
        out[n++] = raw.ptr[i];
    }
    return str_make(out, n);
}

static bool add_param(struct syslog_message *m, struct arena *a, struct syslog_param p)
{
    if (m->n_params == SYSLOG_PARAMS_MAX)
        return false;
    if ((m->n_params & (m->n_params - 1)) == 0) { /* full at each power of two */
        struct syslog_param *grown = ARENA_ARRAY(a, struct syslog_param, MAX(m->n_params * 2, 1));
        if (m->n_params > 0)
            memcpy(grown, m->params, m->n_params * sizeof *grown);
        m->params = grown;
    }
    m->params[m->n_params++] = p;
    return true;
}

static bool has_element(const struct syslog_message *m, str id)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (str_eq(m->params[i].id, id))
            return true;
    return false;
}

/* The parameters of an element up to behind its bracket; NULL if malformed. */
static const char *element(const char *at, const char *limit, str id, struct arena *a,
                           struct syslog_message *m)
{
    const char *marker;
    for (;;) {
        const char *n1, *n2, *x1, *x2;
        /* clang-format off */
        /*!stags:re2c:element format = "const char *@@;"; */
        /*!re2c:element
            "]" { return at; }
            " " @n1 sd_name @n2 "=\"" @x1 sd_text @x2 "\"" {
                str name = str_make(n1, (size_t)(n2 - n1)), raw = str_make(x1, (size_t)(x2 - x1));
                if (name.len > SD_NAME_MAX || !str_is_utf8(raw) ||
                    !add_param(m, a, (struct syslog_param){id, name, unescape(raw, a)}))
                    return NULL;
                continue;
            }
            * { return NULL; }
            $ { return NULL; }
        */
        /* clang-format on */
    }
}

static const char *structured_data(const char *at, const char *limit, struct arena *a,
                                   struct syslog_message *m)
{
    if (at < limit && *at == '-')
        return at + 1;
    const char *start = at;
    for (;;) {
        const char *d1, *d2;
        const char *before = at;
        /* clang-format off */
        /*!stags:re2c:structure format = "const char *@@;"; */
        /*!re2c:structure
            "[" @d1 sd_name @d2 {
                str id = str_make(d1, (size_t)(d2 - d1));
                if (id.len > SD_NAME_MAX || has_element(m, id) ||
                    !add_param(m, a, (struct syslog_param){.id = id}))
                    return NULL;
                at = element(at, limit, id, a, m);
                if (at == NULL)
                    return NULL;
                continue;
            }
            * { return before == start ? NULL : before; }
            $ { return before == start ? NULL : before; }
        */
        /* clang-format on */
    }
}

int syslog_parse_5424(str message, struct arena *a, struct syslog_message *ret, struct error *err)
{
    message = arena_str(a, message);
    const char *limit = message.ptr + message.len;
    *ret = (struct syslog_message){0};
    const char *at = header(message.ptr, limit, ret);
    if (at == NULL)
        return error_set(err, E_PARSE, "malformed syslog header");
    ret->has_time = ret->time.ptr != NULL && rfc3339_parse(ret->time, &ret->ts_ns);
    if (ret->time.ptr != NULL && !ret->has_time && !is_time_of_any_year(ret->time))
        return error_set(err, E_PARSE, "time out of range");
    at = structured_data(at, limit, a, ret);
    if (at == NULL || (at < limit && *at != ' '))
        return error_set(err, E_PARSE, "malformed structured data");
    if (at < limit && at + 1 < limit)
        ret->text = str_make(at + 1, (size_t)(limit - at - 1));
    return 0;
}

/* --- RFC 3164 --- */

static int month_number(const char *name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int i = 0;
    while (memcmp(names + 3 * (size_t)i, name, 3) != 0) /* the lexer saw one of them */
        i++;
    return i + 1;
}

static bool stamp(const char *s, int64_t now_ns, int64_t *ret_ns)
{
    int month = month_number(s);
    int day = s[4] == ' ' ? s[5] - '0' : number(s + 4, s + 6);
    int hour = number(s + 7, s + 9), minute = number(s + 10, s + 12);
    int second = number(s + 13, s + 15);
    if (day < 1 || day > civil_month_days(2000, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t days_now = civil_floor_div(now_ns, 86400 * NS_PER_S);
    int64_t year = civil_from_days(days_now).year;
    int64_t days = civil_to_days(year, month, day);
    if (days > days_now + 1)
        days = civil_to_days(year - 1, month, day);
    *ret_ns = (days * 86400 + hour * 3600 + minute * 60 + second) * NS_PER_S;
    return true;
}

/* <pri>Mmm dd hh:mm:ss; NULL if it does not fit. */
static const char *header_3164(const char *at, const char *limit, const char **ret_stamp,
                               struct syslog_message *m)
{
    const char *marker;
    const char *p1, *p2, *t1;
    /* clang-format off */
    /*!stags:re2c:header_3164 format = "const char *@@;"; */
    /*!re2c:header_3164
        "<" @p1 prival @p2 ">" " "* @t1 month " " mday " " clock {
            m->priority = number(p1, p2);
            *ret_stamp = t1;
            return at;
        }
        * { return NULL; }
        $ { return NULL; }
    */
    /* clang-format on */
}

/* "host tag[pid]: text", where host and tag may be missing.  Promtail's parser follows all readings
 * side by side, with one mark for where a part begins, and what a reading has found stays if it
 * fails later: "box http://x is down" has the tag "http" and its whole text. */
enum {
    GAP = 1, /* before the first word */
    HOST = 2,
    HOST_GAP = 4,
    TAG = 8,
    PID = 16,
    PID_END = 32,
    COLON = 64,
    TEXT_GAP = 128, /* behind the blank after the colon */
    TEXT = 256,
    END = 512,                          /* behind a newline */
    STRICT = GAP | HOST | HOST_GAP | PID /* what does not fit here is an error */
};

struct readings {
    unsigned states;        /* of all readings that are left */
    const char *mark;       /* where the part begins that is found next */
    const char *word;       /* where host or tag begin */
    struct syslog_message *m;
};

/* A character that begins a host, a tag or the text. */
static unsigned begin_part(struct readings *r, const char *at, bool is_graph)
{
    unsigned next = TEXT;
    r->mark = at;
    if ((r->states & (GAP | HOST_GAP)) == 0)
        return next;
    r->word = at;
    if (*at == ' ')
        return next | (r->states & (GAP | HOST_GAP));
    if (is_graph && *at != ':' && *at != '[')
        next |= TAG;
    if (is_graph && *at != ':' && (r->states & GAP) != 0)
        next |= HOST;
    return next;
}

/* Takes one character; the states after it, 0 if it fits none. */
static unsigned take_3164(struct readings *r, const char *at)
{
    unsigned char c = (unsigned char)*at;
    unsigned s = r->states, next = 0;
    bool is_visible = c >= ' ' && c != 0x7f, is_graph = c > ' ' && c < 0x7f;
    if ((s & HOST) != 0 && c == ' ') {
        r->m->hostname = field(r->mark, at);
        next |= HOST_GAP;
    } else if ((s & HOST) != 0 && is_graph && c != ':' && at - r->word < HOSTNAME_MAX)
        next |= HOST;
    if ((s & TAG) != 0 && (c == '[' || c == ':')) {
        r->m->app_name = field(r->mark, at);
        next |= c == '[' ? PID : COLON;
    } else if ((s & TAG) != 0 && is_graph && at - r->word < TAG_MAX)
        next |= TAG;
    if ((s & PID) != 0 && c == ']') {
        r->m->proc_id = field(r->mark, at);
        next |= PID_END;
    } else if ((s & PID) != 0 && is_graph && c != '[') {
        if (at[-1] == '[')
            r->mark = at;
        next |= PID;
    }
    if ((s & PID_END) != 0 && c == ':')
        next |= COLON;
    if ((s & COLON) != 0 && c == ' ')
        next |= TEXT_GAP;
    if ((s & TEXT) != 0 && is_visible)
        next |= TEXT;
    if ((s & TEXT) != 0 && c == '\n') {
        r->m->text = str_make(r->mark, (size_t)(at - r->mark));
        next |= END;
    }
    if ((s & (GAP | HOST_GAP | TEXT_GAP)) != 0 && is_visible)
        next |= begin_part(r, at, is_graph);
    return next;
}

int syslog_parse_3164(str message, int64_t now_ns, struct arena *a, struct syslog_message *ret,
                      struct error *err)
{
    message = arena_str(a, message);
    *ret = (struct syslog_message){0};
    const char *limit = message.ptr + message.len, *time = NULL;
    const char *at = header_3164(message.ptr, limit, &time, ret);
    if (at == NULL)
        return error_set(err, E_PARSE, "malformed syslog header");
    if (at == limit || *at != ' ')
        return 0; /* a message without text */
    ret->has_time = stamp(time, now_ns, &ret->ts_ns);
    if (!ret->has_time)
        return error_set(err, E_PARSE, "time out of range");
    struct readings r = {.states = GAP, .m = ret};
    for (at++; at < limit; at++) {
        unsigned next = take_3164(&r, at);
        if (next == 0 && (r.states & STRICT) != 0)
            return error_set(err, E_PARSE, "malformed syslog message at %zu",
                             (size_t)(at - message.ptr));
        if (next == 0)
            return 0; /* the rest is let go; without a newline before there is no text */
        r.states = next;
    }
    if (r.states == GAP)
        return error_set(err, E_PARSE, "expecting a syslog message");
    if ((r.states & TEXT) != 0)
        ret->text = str_make(r.mark, (size_t)(limit - r.mark));
    return 0;
}

/* --- printing --- */

const char *syslog_severity_name(const struct syslog_message *m)
{
    static const char *const names[] = {"emergency", "alert",  "critical",      "error",
                                        "warning",   "notice", "informational", "debug"};
    return names[m->priority % 8];
}

const char *syslog_facility_name(const struct syslog_message *m)
{
    static const char *const names[] = {
        "kern",   "user",   "mail",     "daemon",  "auth",   "syslog", "lpr",    "news",
        "uucp",   "cron",   "authpriv", "ftp",     "ntp",    "security", "console", "cron2",
        "local0", "local1", "local2",   "local3",  "local4", "local5", "local6", "local7"};
    ASSERT(m->priority / 8 < (int)ARRAY_LEN(names));
    return names[m->priority / 8];
}

static void print_field(struct buf *out, str s)
{
    buf_append_char(out, ' ');
    buf_append_str(out, s.ptr != NULL ? s : STR("-"));
}

/* As Go prints the time anew: no zeros at the end of the fraction, no offset is Z. */
static void print_time(struct buf *out, str time)
{
    if (time.ptr == NULL) {
        print_field(out, time);
        return;
    }
    size_t dot = str_find_char(time, '.');
    bool is_utc = str_has_suffix(time, STR("Z")) || str_has_suffix(time, STR("00:00"));
    str zone = time.ptr[time.len - 1] == 'Z' ? STR("Z") : str_from(time, time.len - 6);
    str head = str_sub(time, 0, time.len - zone.len);
    while (dot != STR_NPOS && head.len > dot &&
           (head.ptr[head.len - 1] == '0' || head.len == dot + 1))
        head.len--;
    print_field(out, head);
    buf_append_str(out, is_utc ? STR("Z") : zone);
}

static int compare_params(const void *a, const void *b)
{
    const struct syslog_param *x = a, *y = b;
    int c = str_cmp(x->id, y->id);
    if (c == 0)
        c = str_cmp(x->name, y->name);
    return c != 0 ? c : (x->name.ptr > y->name.ptr) - (x->name.ptr < y->name.ptr);
}

static void print_params(const struct syslog_message *m, struct buf *out)
{
    struct syslog_param *all = mem_array(m->n_params, sizeof *all);
    memcpy(all, m->params, m->n_params * sizeof *all);
    qsort(all, m->n_params, sizeof *all, compare_params);
    buf_append_char(out, ' ');
    for (size_t i = 0; i < m->n_params; i++) {
        const struct syslog_param *p = &all[i];
        if (p->name.ptr == NULL) { /* sorts before the parameters of its element */
            buf_printf(out, "%s[%.*s", i > 0 ? "]" : "", STR_ARG(p->id));
            continue;
        }
        if (i + 1 < m->n_params && str_eq(all[i + 1].id, p->id) && str_eq(all[i + 1].name, p->name))
            continue; /* the last of equal names counts */
        buf_printf(out, " %.*s=\"", STR_ARG(p->name));
        for (size_t j = 0; j < p->value.len; j++) {
            if (strchr("\"\\]", p->value.ptr[j]) != NULL && p->value.ptr[j] != '\0')
                buf_append_char(out, '\\');
            buf_append_char(out, p->value.ptr[j]);
        }
        buf_append_char(out, '"');
    }
    buf_append_char(out, ']');
    mem_free(all);
}

void syslog_print_5424(const struct syslog_message *m, struct buf *out)
{
    buf_printf(out, "<%d>%d", m->priority, m->version);
    print_time(out, m->time);
    print_field(out, m->hostname);
    print_field(out, m->app_name);
    print_field(out, m->proc_id);
    print_field(out, m->msg_id);
    if (m->n_params == 0)
        buf_append_c(out, " -");
    else
        print_params(m, out);
    if (m->text.ptr != NULL)
        print_field(out, m->text);
}
