#include "distributor/validate.h"

#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

void validator_init(struct validator *v, const struct limits *limits, struct arena *a,
                    int64_t now_ns)
{
    memset(v, 0, sizeof *v);
    v->limits = limits;
    v->arena = a;
    v->oldest_ns =
        limits->reject_old_samples ? now_ns - limits->reject_old_samples_max_age_ns : INT64_MIN;
    if (__builtin_add_overflow(now_ns, limits->creation_grace_period_ns, &v->newest_ns))
        v->newest_ns = INT64_MAX;
    level_fields_init(&v->level_fields, &limits->log_level_fields,
                      (int)limits->log_level_from_json_max_depth);
}

/* --- texts --- */

/* The labels of the stream in hand as text: made once, however many of its entries are refused. */
static str print_labels(struct validator *v, const struct labels *ls)
{
    if (v->stream_text.ptr == NULL) {
        struct buf b;
        buf_init(&b, 64 * 1024);
        labels_print(ls, &b);
        v->stream_text = arena_str(v->arena, buf_str(&b));
        buf_deinit(&b);
    }
    return v->stream_text;
}

#define TIME_TEXT_MAX 40

static str print_time(char text[TIME_TEXT_MAX], int64_t ts_ns)
{
    struct buf b = {.ptr = text, .cap = TIME_TEXT_MAX, .max = TIME_TEXT_MAX};
    rfc3339_append_seconds(&b, ts_ns);
    return buf_str(&b);
}

/* --- labels --- */

static uint64_t stream_bytes(const struct push_request_stream *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_entries; i++) {
        n += s->entries[i].line.len;
        for (size_t k = 0; k < s->entries[i].meta.n; k++)
            n += s->entries[i].meta.items[k].name.len + s->entries[i].meta.items[k].value.len;
    }
    return n;
}

/* False, and noted, if a label breaks a limit. */
static bool check_labels(struct validator *v, const struct labels *ls, int code,
                         const struct push_request_stream *s)
{
    const struct limits *limits = v->limits;
    if (ls->n == 0) {
        discard(&v->discards, DISCARD_MISSING_LABELS, s->n_entries, stream_bytes(s));
        discard_text(&v->discards, v->arena,
                     "error at least one label pair is required per stream");
        return false;
    }
    if (labels_has(ls, STR("__aggregated_metric__")) || labels_has(ls, STR("__pattern__")))
        return true;
    /* service_name is often added on the way, so it is not counted. */
    int64_t names = (int64_t)ls->n - labels_has(ls, STR("service_name"));
    if (names > limits->max_label_names_per_series) {
        discard(&v->discards, DISCARD_LABEL_NAMES, s->n_entries, stream_bytes(s));
        str text = print_labels(v, ls);
        discard_text(&v->discards, v->arena,
                     "entry for stream '%.*s' has %lld label names; limit %lld", STR_ARG(text),
                     (long long)names, (long long)limits->max_label_names_per_series);
        return false;
    }
    for (size_t i = 0; i < ls->n; i++) {
        const struct label *l = &ls->items[i];
        enum discard_reason reason;
        const char *what;
        str shown = l->name;
        if ((int64_t)l->name.len > limits->max_label_name_length) {
            reason = DISCARD_NAME_TOO_LONG;
            what = "label name too long";
        } else if ((int64_t)l->value.len > limits->max_label_value_length) {
            reason = DISCARD_VALUE_TOO_LONG;
            what = "label value too long";
            shown = l->value;
        } else if (code == E_CONFLICT && i > 0 && str_eq(l->name, ls->items[i - 1].name)) {
            reason = DISCARD_DUPLICATE_NAMES;
            what = "duplicate label name";
        } else {
            continue;
        }
        discard(&v->discards, reason, s->n_entries, stream_bytes(s));
        str text = print_labels(v, ls);
        discard_text(&v->discards, v->arena, "stream '%.*s' has %s: '%.*s'", STR_ARG(text), what,
                     STR_ARG(shown));
        return false;
    }
    return true;
}

/* --- structured metadata --- */

static uint64_t meta_bytes(const struct labels *meta)
{
    uint64_t n = 0;
    for (size_t i = 0; i < meta->n; i++)
        n += meta->items[i].name.len + meta->items[i].value.len;
    return n;
}

/* [a-zA-Z_][a-zA-Z0-9_]*, not beginning with a single '_': what needs no change. */
static bool is_plain_name(str name)
{
    return label_name_is_valid(name) &&
           (name.ptr[0] != '_' || (name.len > 1 && name.ptr[1] == '_'));
}

/* As OpenTelemetry's names become labels: other characters are '_', and a digit or a single '_' in
 * front gets "key" before it. */
static str normalize_name(struct arena *a, str name)
{
    if (name.len == 0 || is_plain_name(name))
        return name;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    if (name.ptr[0] >= '0' && name.ptr[0] <= '9')
        buf_append_c(&b, "key_");
    for (size_t i = 0; i < name.len;) {
        uint32_t rune;
        size_t width = utf8_decode(str_from(name, i), &rune);
        bool keep = rune < 0x80 && (rune == '_' || (rune >= '0' && rune <= '9') ||
                                    ((rune | 0x20) >= 'a' && (rune | 0x20) <= 'z'));
        buf_append_char(&b, keep ? (char)rune : '_');
        i += width;
    }
    if (b.len > 0 && b.ptr[0] == '_' && (b.len == 1 || b.ptr[1] != '_')) {
        str with = arena_printf(a, "key%.*s", STR_ARG(buf_str(&b)));
        buf_deinit(&b);
        return with;
    }
    str plain = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return plain;
}

/* Values that are not UTF-8 lose the bytes that are none. */
static str clean_value(struct arena *a, str value)
{
    if (str_is_utf8(value))
        return value;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    utf8_append_valid(&b, value, STR_EMPTY);
    str clean = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return clean;
}

/* Sorts by name; of names given twice the last stays.  Empty values are kept: they are shown. */
static struct labels sort_meta(struct label *items, size_t n)
{
    labels_sort_stable(items, n);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && str_eq(items[kept - 1].name, items[i].name))
            kept--;
        items[kept++] = items[i];
    }
    return (struct labels){items, kept};
}

/* Metadata as it is stored: normalized, with detected_level, sorted. */
static struct labels complete_meta(struct validator *v, const struct entry *e, str level)
{
    if (e->meta.n == 0) {
        struct labels alone = level.ptr == NULL ? LABELS_EMPTY : level_labels(level);
        if (alone.n > 0 || level.ptr == NULL)
            return alone;
    }
    struct label *items = arena_alloc(v->arena, (e->meta.n + 1) * sizeof *items);
    for (size_t i = 0; i < e->meta.n; i++) {
        items[i].name = normalize_name(v->arena, e->meta.items[i].name);
        items[i].value = clean_value(v->arena, e->meta.items[i].value);
    }
    struct labels sent = sort_meta(items, e->meta.n);
    /* A level that was sent as such is not detected anew. */
    if (level.ptr == NULL || labels_has(&sent, LEVEL_LABEL))
        return sent;
    items[sent.n] = (struct label){LEVEL_LABEL, level};
    return sort_meta(items, sent.n + 1);
}

/* --- entries --- */

/* Refuses an entry: counts it.  The text is the caller's. */
static bool refuse(struct validator *v, enum discard_reason reason, const struct entry *e)
{
    discard(&v->discards, reason, 1, e->line.len + meta_bytes(&e->meta));
    return false;
}

static bool refuse_time(struct validator *v, const struct labels *ls, const struct entry *e)
{
    char at_text[TIME_TEXT_MAX], oldest_text[TIME_TEXT_MAX];
    str stream = print_labels(v, ls), at = print_time(at_text, e->ts_ns);
    if (e->ts_ns > v->newest_ns) {
        discard_text(&v->discards, v->arena, "entry for stream '%.*s' has timestamp too new: %.*s",
                     STR_ARG(stream), STR_ARG(at));
        return refuse(v, DISCARD_TOO_NEW, e);
    }
    str oldest = print_time(oldest_text, v->oldest_ns);
    discard_text(&v->discards, v->arena,
                 "entry for stream '%.*s' has timestamp too old: %.*s, oldest acceptable timestamp "
                 "is: %.*s",
                 STR_ARG(stream), STR_ARG(at), STR_ARG(oldest));
    return refuse(v, DISCARD_TOO_OLD, e);
}

static bool check_line(struct validator *v, const struct labels *ls, struct entry *e)
{
    size_t max = v->limits->max_line_size_bytes;
    if (max == 0 || e->line.len <= max)
        return true;
    if (v->limits->max_line_size_truncate) {
        v->truncated_lines++;
        v->truncated_bytes += e->line.len - max;
        e->line.len = max;
        return true;
    }
    str stream = print_labels(v, ls);
    discard_text(&v->discards, v->arena,
                 "Max entry size '%zu' bytes exceeded for stream '%.*s' while adding an entry with "
                 "length '%zu' bytes",
                 max, STR_ARG(stream), e->line.len);
    return refuse(v, DISCARD_LINE_TOO_LONG, e);
}

static bool check_meta(struct validator *v, const struct labels *ls, const struct entry *e)
{
    const struct limits *limits = v->limits;
    uint64_t bytes = meta_bytes(&e->meta);
    if (!limits->allow_structured_metadata) {
        str stream = print_labels(v, ls);
        discard_text(&v->discards, v->arena,
                     "stream '%.*s' includes structured metadata, but this feature is disallowed. "
                     "Please see `limits_config.allow_structured_metadata` or contact your Loki "
                     "administrator to enable it.",
                     STR_ARG(stream));
        return refuse(v, DISCARD_META_DISALLOWED, e);
    }
    if (limits->max_structured_metadata_size_bytes > 0 &&
        bytes > limits->max_structured_metadata_size_bytes) {
        str stream = print_labels(v, ls);
        discard_text(&v->discards, v->arena,
                     "stream '%.*s' has structured metadata too large: '%llu' bytes, limit: '%llu' "
                     "bytes. Please see `limits_config.max_structured_metadata_size` or contact "
                     "your Loki administrator to increase it.",
                     STR_ARG(stream), (unsigned long long)bytes,
                     (unsigned long long)limits->max_structured_metadata_size_bytes);
        return refuse(v, DISCARD_META_TOO_LARGE, e);
    }
    int64_t max = limits->max_structured_metadata_entries_count;
    if (max > 0 && e->meta.n > (size_t)max) {
        str stream = print_labels(v, ls);
        discard_text(&v->discards, v->arena,
                     "stream '%.*s' has too many structured metadata labels: '%zu', limit: '%lld'. "
                     "Please see `limits_config.max_structured_metadata_entries_count` or contact "
                     "your Loki administrator to increase it.",
                     STR_ARG(stream), e->meta.n, (long long)max);
        return refuse(v, DISCARD_META_TOO_MANY, e);
    }
    v->meta_bytes += bytes;
    return true;
}

static inline bool check_entry(struct validator *v, const struct labels *ls, struct entry *e)
{
    if (e->ts_ns < v->oldest_ns || e->ts_ns > v->newest_ns)
        return refuse_time(v, ls, e);
    return check_line(v, ls, e) && (e->meta.n == 0 || check_meta(v, ls, e));
}

/* The level of an entry; ptr NULL if levels are not looked for. */
static inline str find_level(struct validator *v, str stream_level, const struct entry *e)
{
    if (!v->limits->discover_log_levels || !v->limits->allow_structured_metadata)
        return str_make(NULL, 0);
    if (stream_level.ptr != NULL)
        return stream_level;
    if (e->meta.n > 0) {
        str level = level_from_meta(&v->level_fields, &e->meta);
        if (level.ptr != NULL)
            return level;
    }
    return level_from_line(&v->level_fields, e->line);
}

/* Entries of one time, and another line, are set 1 ns apart. */
static void spread_times(struct entry *entries, size_t n)
{
    int64_t run_ns = n > 0 ? entries[0].ts_ns : 0; /* the time the entries in hand came with */
    for (size_t i = 1; i < n; i++) {
        if (entries[i].ts_ns == run_ns && !str_eq(entries[i].line, entries[i - 1].line))
            entries[i].ts_ns = entries[i - 1].ts_ns + 1;
        else
            run_ns = entries[i].ts_ns;
    }
}

bool validate_stream(struct validator *v, const struct stream_labels *labels, int code,
                     struct push_request_stream *in, struct push_stream *ret)
{
    const struct labels *ls = &labels->labels;
    v->stream_text = str_make(NULL, 0);
    if (in->n_entries == 0 || !check_labels(v, ls, code, in))
        return false;
    str stream_level = level_from_labels(&v->level_fields, ls);
    size_t kept = 0;
    for (size_t i = 0; i < in->n_entries; i++) {
        struct entry *e = &in->entries[i];
        if (!check_entry(v, ls, e))
            continue;
        e->meta = complete_meta(v, e, find_level(v, stream_level, e));
        v->line_bytes += e->line.len;
        in->entries[kept++] = *e;
    }
    v->lines += kept;
    if (v->limits->increment_duplicate_timestamp)
        spread_times(in->entries, kept);
    *ret = (struct push_stream){*ls, labels->hash, in->entries, kept};
    return kept > 0;
}
