/* timestamp: the time of a record from an extracted value. */
#include <math.h>

#include "base/clock.h"
#include "base/gofmt.h"
#include "base/gotime.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "promtail/stages/all.h"
#include "promtail/stages/fudge.h"

enum time_form { FORM_LAYOUT, FORM_RFC3339, FORM_UNIX, FORM_UNIX_MS, FORM_UNIX_US, FORM_UNIX_NS };

struct time_format {
    enum time_form form;
    str layout;
    bool lacks_year; /* gets the current one */
    bool is_named;   /* RFC3339 and the like: `location` does not count */
};

struct timestamp_stage {
    struct stage base;
    str source;
    struct time_format *formats; /* format, then fallback_formats */
    size_t n_formats;
    struct tzone *zone;  /* of times that name none; NULL: UTC */
    struct tzone *local; /* of this machine; NULL: UTC */
    bool has_location;
    bool skip_on_failure;
    struct fudge fudge;
};

static const struct {
    str name, layout;
} named_layouts[] = {
    {STR("ANSIC"), STR("Mon Jan _2 15:04:05 2006")},
    {STR("UnixDate"), STR("Mon Jan _2 15:04:05 MST 2006")},
    {STR("RubyDate"), STR("Mon Jan 02 15:04:05 -0700 2006")},
    {STR("RFC822"), STR("02 Jan 06 15:04 MST")},
    {STR("RFC822Z"), STR("02 Jan 06 15:04 -0700")},
    {STR("RFC850"), STR("Monday, 02-Jan-06 15:04:05 MST")},
    {STR("RFC1123"), STR("Mon, 02 Jan 2006 15:04:05 MST")},
    {STR("RFC1123Z"), STR("Mon, 02 Jan 2006 15:04:05 -0700")},
};

static struct time_format format_of(str name)
{
    static const struct {
        str name;
        enum time_form form;
    } forms[] = {{STR("RFC3339"), FORM_RFC3339}, {STR("RFC3339Nano"), FORM_RFC3339},
                 {STR("Unix"), FORM_UNIX},       {STR("UnixMs"), FORM_UNIX_MS},
                 {STR("UnixUs"), FORM_UNIX_US},  {STR("UnixNs"), FORM_UNIX_NS}};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (str_eq(name, forms[i].name))
            return (struct time_format){.form = forms[i].form};
    for (size_t i = 0; i < ARRAY_LEN(named_layouts); i++)
        if (str_eq(name, named_layouts[i].name))
            return (struct time_format){.layout = named_layouts[i].layout, .is_named = true};
    return (struct time_format){.layout = name, .lacks_year = !str_contains(name, STR("06"))};
}

static int compile_formats(struct timestamp_stage *s, const struct yaml_node *config,
                           struct arena *a, struct error *err)
{
    str format = STR_EMPTY;
    str *fallback = NULL;
    size_t n_fallback = 0;
    int rc = stage_conf_str(config, "format", &format, NULL, err);
    if (rc == 0)
        rc = stage_conf_strs(config, "fallback_formats", a, &fallback, &n_fallback, err);
    if (rc != 0)
        return rc;
    if (format.len == 0)
        return error_set(err, E_PARSE, "timestamp format is required");
    s->formats = ARENA_ARRAY(a, struct time_format, n_fallback + 1);
    s->formats[s->n_formats++] = format_of(format);
    for (size_t i = 0; i < n_fallback; i++)
        s->formats[s->n_formats++] = format_of(fallback[i]);
    return 0;
}

static int read_config(struct timestamp_stage *s, const struct yaml_node *config, struct arena *a,
                       struct error *err)
{
    str location = STR_EMPTY, action = STR_EMPTY;
    bool has_action = false;
    struct error why = {0};
    int rc = stage_conf_str(config, "source", &s->source, NULL, err);
    if (rc == 0)
        rc = stage_conf_str(config, "location", &location, &s->has_location, err);
    if (rc == 0)
        rc = stage_conf_str(config, "action_on_failure", &action, &has_action, err);
    if (rc != 0)
        return rc;
    if (s->source.len == 0)
        return error_set(err, E_PARSE,
                         "timestamp source value is required if timestamp is specified");
    rc = compile_formats(s, config, a, err);
    if (rc != 0)
        return rc;
    tzone_load(STR("Local"), &s->local, NULL); /* UTC if there is none */
    if (location.len > 0 && tzone_load(location, &s->zone, &why) != 0)
        return error_set(err, E_PARSE, "invalid location specified: %s", why.text);
    s->skip_on_failure = str_eq(action, STR("skip"));
    if (has_action && !s->skip_on_failure && !str_eq(action, STR("fudge")))
        return error_set(err, E_PARSE,
                         "invalid action on failure (supported values are [skip fudge])");
    return 0;
}

static void free_stage(struct stage *base)
{
    struct timestamp_stage *s = (struct timestamp_stage *)base;
    tzone_free(s->zone);
    tzone_free(s->local);
    fudge_deinit(&s->fudge);
    mem_free(s);
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    struct timestamp_stage *s = mem_zalloc(sizeof *s);
    s->source = STR_EMPTY;
    fudge_init(&s->fudge);
    int rc = read_config(s, config, b->arena, err);
    if (rc != 0)
        free_stage(&s->base);
    else
        *ret = &s->base;
    return rc;
}

/* --- reading a time --- */

/* Seconds with an optional fraction of any number of digits.  It is computed in floating point, so
 * that the tenth digit and those behind it may still round. */
static bool parse_unix(str text, int64_t *ret_ns)
{
    size_t dot = str_find_char(text, '.');
    int64_t whole, fraction = 0;
    if (!str_to_i64(str_sub(text, 0, MIN(dot, text.len)), &whole))
        return false;
    if (dot != STR_NPOS) {
        str digits = str_from(text, dot + 1);
        if (goparse_int(digits, 10, 64, &fraction) != 0)
            return false;
        fraction = (int64_t)((double)fraction * pow(10, 9 - (double)digits.len));
    }
    return !__builtin_mul_overflow(whole, NS_PER_S, ret_ns) &&
           !__builtin_add_overflow(*ret_ns, fraction, ret_ns);
}

static bool parse_scaled(str text, int64_t unit_ns, int64_t *ret_ns)
{
    int64_t n;
    return str_to_i64(text, &n) && !__builtin_mul_overflow(n, unit_ns, ret_ns);
}

/* The +02:00 at the end of an RFC 3339 time. */
static int32_t rfc3339_offset_s(str text)
{
    int64_t h, m;
    if (text.len < 6 || text.ptr[text.len - 3] != ':' ||
        !str_to_i64(str_sub(text, text.len - 5, text.len - 3), &h) ||
        !str_to_i64(str_from(text, text.len - 2), &m))
        return 0;
    int32_t s = (int32_t)(h * 3600 + m * 60);
    return text.ptr[text.len - 6] == '-' ? -s : s;
}

/* The year that brings a time without one nearest to now: around new year's eve it is not this one.
 * `local` says what day it is. */
static struct gotime with_year_of(struct gotime t, const struct tzone *local)
{
    struct gotime now = gotime_from_ns(clock_now_ns(), local);
    struct gotime_fields this = gotime_fields(&now), f = gotime_fields(&t);
    int64_t year = this.date.year;
    if (f.date.month == 12 && this.date.month == 1)
        year--;
    else if (f.date.month == 1 && this.date.month == 12)
        year++;
    struct gotime shown =
        gotime_date(year, f.date.month, f.date.day, f.hour, f.minute, f.second, t.ns, t.zone);
    if (!t.fixed)
        return shown;
    return gotime_in_fixed(gotime_from_unix(shown.s - f.offset_s, shown.ns, NULL), str_c(t.name),
                           f.offset_s);
}

/* Records count in nanoseconds, which reach from 1677 to 2262. */
static bool in_range(struct gotime t, int64_t *ret_ns)
{
    return !__builtin_mul_overflow(t.s, NS_PER_S, ret_ns) &&
           !__builtin_add_overflow(*ret_ns, t.ns, ret_ns);
}

static bool parse_one(const struct timestamp_stage *s, const struct time_format *f, str text,
                      int64_t *ret_ns, int32_t *ret_offset_s)
{
    *ret_offset_s = 0;
    switch (f->form) {
    case FORM_RFC3339:
        *ret_offset_s = rfc3339_offset_s(text);
        return rfc3339_parse(text, ret_ns);
    case FORM_UNIX:
        return parse_unix(text, ret_ns);
    case FORM_UNIX_MS:
        return parse_scaled(text, NS_PER_MS, ret_ns);
    case FORM_UNIX_US:
        return parse_scaled(text, 1000, ret_ns);
    case FORM_UNIX_NS:
        return parse_scaled(text, 1, ret_ns);
    case FORM_LAYOUT:
        break;
    }
    bool is_located = s->has_location && !f->is_named;
    struct gotime t;
    if (gotime_parse(f->layout, text, is_located ? s->zone : NULL, is_located ? s->zone : s->local,
                     &t, NULL) != 0)
        return false;
    if (f->lacks_year)
        t = with_year_of(t, s->local);
    *ret_offset_s = gotime_fields(&t).offset_s;
    return in_range(t, ret_ns);
}

static bool parse_time(const struct timestamp_stage *s, const struct record *r, int64_t *ret_ns,
                       int32_t *ret_offset_s)
{
    const struct value *v = extracted_get(r, s->source);
    str text;
    if (v == NULL || !value_text(v, r->arena, &text))
        return false;
    for (size_t i = 0; i < s->n_formats; i++)
        if (parse_one(s, &s->formats[i], text, ret_ns, ret_offset_s))
            return true;
    return false;
}

static bool process(struct stage *base, struct record *r)
{
    struct timestamp_stage *s = (struct timestamp_stage *)base;
    int64_t ts_ns;
    int32_t offset_s;
    if (parse_time(s, r, &ts_ns, &offset_s)) {
        r->ts_ns = ts_ns;
        r->ts_offset_s = offset_s;
        if (!s->skip_on_failure)
            fudge_remember(&s->fudge, r);
    } else if (!s->skip_on_failure) {
        fudge_apply(&s->fudge, r);
    }
    return true;
}

const struct stage_ops stage_ops_timestamp = {
    .name = "timestamp", .compile = compile, .process = process, .free = free_stage};
