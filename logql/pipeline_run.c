#include "base/bytesize.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "logql/stages/pipeline_impl.h"

#define META_NAMES 4  /* sets with more names are looked up line by line */
#define META_SETS  16 /* of a block whose numbers are remembered */

/* What the steps say of all lines that have the same metadata. */
struct meta_outcome {
    bool is_known;
    struct pipeline_labels *labels; /* NULL: they are dropped */
    size_t n_passed;                /* steps */
};

/* The numbers of the names of one set of a block's metadata. */
struct meta_names {
    const struct labels *meta; /* NULL: free */
    uint32_t ids[META_NAMES];
};

struct pipeline_run {
    const struct pipeline *p;
    struct labels_builder labels;
    struct label_sets sets;
    void **locals;               /* [n_steps] */
    struct early_filter **early; /* [n_steps] those of parsers */
    struct arena line_arena;
    const struct labels *stream;
    uint32_t *group_ids; /* [n_groups] */
    uint32_t unwrap_id;
    struct pipeline_labels *empty; /* the set without labels */
    int error;
    bool is_timed;
    struct pipeline_step_stats *stats; /* [n_filters + n_steps] */
    /* The block at hand. */
    const struct block_view *v;
    bool is_backward;
    struct line_set lines; /* those still to be looked at */
    uint32_t word;         /* of lines: where the search goes on */
    bool is_begun;         /* pipeline_run_next() was asked: the view is complete */
    uint64_t *words;       /* twice as many as lines can need: the set and scratch */
    uint32_t words_cap;
    struct meta_names meta_names[META_SETS];
    struct meta_outcome *by_meta; /* what lines with this metadata come to */
    uint32_t by_meta_cap;
    size_t n_passed; /* steps that the last line passed */
};

static void make_early_filters(struct pipeline_run *run, size_t parser)
{
    const struct pipeline_step *step = &run->p->steps[parser];
    if (step->n_early > 0 && run->early[parser] == NULL)
        run->early[parser] = mem_array(step->n_early, sizeof(struct early_filter));
    for (size_t i = 0; i < step->n_early; i++) {
        const struct pipeline_step *filter = &run->p->steps[step->early[i]];
        run->early[parser][i] = (struct early_filter){
            .id = labels_builder_id(&run->labels, filter_tree_label(filter->stage)),
            .run = filter->ops->run,
            .stage = filter->stage,
            .local = run->locals[step->early[i]],
        };
    }
}

static void make_locals(struct pipeline_run *run)
{
    const struct pipeline *p = run->p;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].ops->local_new != NULL)
            run->locals[i] = p->steps[i].ops->local_new(p->steps[i].stage, &run->labels);
    for (size_t i = 0; i < p->n_steps; i++)
        make_early_filters(run, i);
    for (size_t i = 0; i < p->n_groups; i++)
        run->group_ids[i] = labels_builder_id(&run->labels, p->groups[i]);
    if (p->unwrap != NULL)
        run->unwrap_id = labels_builder_id(&run->labels, p->unwrap->label);
    run->empty = label_sets_intern(&run->sets, &run->labels.names, NULL, 0);
}

static void free_locals(struct pipeline_run *run)
{
    for (size_t i = 0; i < run->p->n_steps; i++)
        if (run->locals[i] != NULL && run->p->steps[i].ops->local_free != NULL)
            run->p->steps[i].ops->local_free(run->locals[i]);
}

struct pipeline_run *pipeline_run_new(const struct pipeline *p)
{
    struct pipeline_run *run = mem_zalloc(sizeof *run);
    run->p = p;
    run->locals = mem_array(p->n_steps + 1, sizeof *run->locals);
    run->early = mem_array(p->n_steps + 1, sizeof *run->early);
    run->group_ids = mem_array(p->n_groups + 1, sizeof *run->group_ids);
    run->stats = mem_array(pipeline_step_count(p) + 1, sizeof *run->stats);
    arena_init(&run->line_arena, SIZE_MAX);
    labels_builder_init(&run->labels, &p->hints);
    label_sets_init(&run->sets, p->sample == PIPELINE_LINES);
    make_locals(run);
    return run;
}

void pipeline_run_free(struct pipeline_run *run)
{
    if (run == NULL)
        return;
    free_locals(run);
    labels_builder_deinit(&run->labels);
    label_sets_deinit(&run->sets);
    arena_deinit(&run->line_arena);
    for (size_t i = 0; i < run->p->n_steps; i++)
        mem_free(run->early[i]);
    mem_free(run->early);
    mem_free(run->locals);
    mem_free(run->group_ids);
    mem_free(run->stats);
    mem_free(run->words);
    mem_free(run->by_meta);
    mem_free(run);
}

/* ---- the labels of a result ---- */

static struct pipeline_labels *intern(struct pipeline_run *run, struct label_view *views, size_t n)
{
    return label_sets_intern(&run->sets, &run->labels.names, views, n);
}

static bool is_dropped(const struct labels_builder *b, uint32_t id)
{
    for (size_t i = 0; i < b->dropped.len; i++)
        if (b->dropped.items[i] == id)
            return true;
    return false;
}

/* A label once dropped in a line is no label to group by, though a later stage set it again. */
static struct pipeline_labels *group_by(struct pipeline_run *run)
{
    struct labels_builder *b = &run->labels;
    b->views.len = 0;
    for (size_t i = 0; i < run->p->n_groups; i++) {
        str value;
        uint32_t id = run->group_ids[i];
        if (labels_builder_get(b, id, &value) && !is_dropped(b, id))
            VEC_PUSH(&b->views, (struct label_view){id, FROM_STREAM, value});
    }
    return intern(run, b->views.items, b->views.len);
}

static struct pipeline_labels *group_without(struct pipeline_run *run)
{
    struct labels_builder *b = &run->labels;
    size_t n, kept = 0;
    labels_builder_list(b, &n);
    struct label_view *views = b->views.items;
    for (size_t i = 0; i < n; i++) {
        bool is_out = views[i].id == b->id_error_details;
        for (size_t j = 0; j < run->p->n_groups && !is_out; j++)
            is_out = views[i].id == run->group_ids[j];
        if (!is_out)
            views[kept++] = views[i];
    }
    return intern(run, views, kept);
}

static struct pipeline_labels *result_labels(struct pipeline_run *run)
{
    struct labels_builder *b = &run->labels;
    if (b->error.len == 0) { /* with an error the whole set is shown */
        switch (run->p->grouping) {
        case GROUPING_EMPTY:
            return run->empty;
        case GROUPING_BY:
            return group_by(run);
        case GROUPING_WITHOUT:
            return group_without(run);
        case GROUPING_NONE:
            break;
        }
    }
    size_t n;
    labels_builder_list(b, &n);
    return intern(run, b->views.items, n);
}

/* ---- one line ---- */

static bool run_step(struct pipeline_run *run, size_t i, struct stage_line *line)
{
    const struct pipeline_step *step = &run->p->steps[i];
    struct pipeline_step_stats *stats = &run->stats[run->p->n_filters + i];
    int64_t start = run->is_timed ? clock_mono_ns() : 0;
    stats->lines_in++;
    stats->bytes_in += line->text.len;
    line->early = run->early[i];
    line->n_early = step->n_early;
    bool passes = step->ops->run(step->stage, run->locals[i], line);
    stats->lines_out += passes;
    run->n_passed += passes;
    if (run->is_timed)
        stats->cpu_ns += (uint64_t)(clock_mono_ns() - start);
    return passes;
}

static int convert(const struct unwrap *u, str text, double *ret, struct error *err)
{
    int r;
    int64_t ns = 0;
    uint64_t bytes = 0;
    switch (u->conversion) {
    case UNWRAP_BYTES:
        r = bytesize_parse(text, &bytes, err);
        *ret = (double)bytes;
        return r;
    case UNWRAP_DURATION:
    case UNWRAP_DURATION_SECONDS:
        r = duration_parse_go(text, &ns, err);
        *ret = (double)(ns / 1000000000) + (double)(ns % 1000000000) / 1e9;
        return r;
    case UNWRAP_NUMBER:
        break;
    }
    r = goparse_float(text, ret);
    return r == 0 ? 0 : goparse_error(err, "ParseFloat", text, r);
}

/* The value of the unwrapped label; false: the line has none and is dropped. */
static bool unwrap(struct pipeline_run *run, double *ret)
{
    str text;
    if (!labels_builder_get(&run->labels, run->unwrap_id, &text) || text.len == 0)
        return false;
    struct error err;
    err.code = 0;
    *ret = 0;
    if (convert(run->p->unwrap, text, ret, &err) != 0) {
        run->labels.error = ERROR_SAMPLE_EXTRACTION;
        run->labels.error_details = arena_str(&run->line_arena, str_c(err.text));
    }
    return true;
}

/* The numbers of the names of a set of the block at hand; NULL if it has too many. */
static const uint32_t *meta_ids(struct pipeline_run *run, const struct labels *meta)
{
    struct meta_names *m = &run->meta_names[(size_t)(meta - run->v->meta) % META_SETS];
    if (m->meta == meta)
        return m->ids;
    if (meta->n > META_NAMES)
        return NULL;
    m->meta = meta;
    for (size_t i = 0; i < meta->n; i++)
        m->ids[i] = labels_builder_id(&run->labels, meta->items[i].name);
    return m->ids;
}

static void forget_meta_ids(struct pipeline_run *run)
{
    for (size_t i = 0; i < META_SETS; i++)
        run->meta_names[i].meta = NULL;
}

/* `ids` are the numbers of the metadata's names, NULL: not known. */
static void begin_line(struct pipeline_run *run, const struct labels *meta, const uint32_t *ids)
{
    struct labels_builder *b = &run->labels;
    if (run->line_arena.used > 0)
        arena_reset(&run->line_arena);
    labels_builder_line(b);
    for (size_t i = 0; meta != NULL && i < meta->n; i++) {
        uint32_t id = ids != NULL ? ids[i] : labels_builder_id(b, meta->items[i].name);
        labels_builder_add_meta(b, id, meta->items[i].value);
    }
}

/* Runs all steps over a line whose labels have been begun. */
static bool run_line(struct pipeline_run *run, struct stage_line *line, struct pipeline_result *ret)
{
    const struct pipeline *p = run->p;
    size_t i = 0;
    run->n_passed = 0;
    for (; i < p->n_before_unwrap; i++)
        if (!run_step(run, i, line))
            return false;
    ret->value = 0;
    if (p->unwrap != NULL && !unwrap(run, &ret->value))
        return false;
    for (; i < p->n_steps; i++)
        if (!run_step(run, i, line))
            return false;
    return true;
}

static void set_value(const struct pipeline *p, size_t line_len, struct pipeline_result *ret)
{
    if (p->sample == PIPELINE_COUNT)
        ret->value = 1;
    else if (p->sample == PIPELINE_BYTES)
        ret->value = (double)line_len;
}

static bool process(struct pipeline_run *run, int64_t ts_ns, str text, const struct labels *meta,
                    const uint32_t *ids, struct pipeline_result *ret)
{
    struct stage_line line = {
        .text = text, .ts_ns = ts_ns, .labels = &run->labels, .arena = &run->line_arena};
    begin_line(run, meta, ids);
    if (!run_line(run, &line, ret))
        return false;
    ret->line = line.text;
    ret->labels = result_labels(run);
    set_value(run->p, line.text.len, ret);
    if (run->labels.is_full)
        run->error = E_LIMIT;
    return true;
}

bool pipeline_run_entry(struct pipeline_run *run, int64_t ts_ns, str line,
                        const struct labels *meta, struct pipeline_result *ret)
{
    for (size_t i = 0; i < run->p->n_filters; i++) {
        run->stats[i].lines_in++;
        run->stats[i].bytes_in += line.len;
        if (!line_matcher_passes(&run->p->filters[i].matcher, line))
            return false;
        run->stats[i].lines_out++;
    }
    ret->at = 0;
    return process(run, ts_ns, line, meta, NULL, ret);
}

/* ---- streams ---- */

/* All that is asked for are labels of the stream, other than those in `from_meta`. */
static bool is_answered_by_stream(const struct pipeline_run *run, str from_meta)
{
    const struct pipeline *p = run->p;
    for (size_t i = 0; i < p->n_reads; i++) {
        bool is_there = labels_has(run->stream, p->reads[i]);
        if (!is_there && (from_meta.len == 0 || str_eq(p->reads[i], from_meta)))
            return false;
    }
    return true;
}

struct pipeline_stream pipeline_run_stream(struct pipeline_run *run, const struct labels *stream)
{
    const struct pipeline *p = run->p;
    struct pipeline_stream ret = {0};
    run->stream = stream;
    labels_builder_stream(&run->labels, stream);
    bool is_grouped = p->grouping == GROUPING_BY || p->grouping == GROUPING_EMPTY;
    bool is_meta_needed = p->sample == PIPELINE_LINES || !is_grouped || p->may_fail ||
                          p->reads_any_label || !is_answered_by_stream(run, STR_EMPTY);
    bool is_plain = is_grouped && is_answered_by_stream(run, STR("detected_level"));
    if (p->is_text_needed)
        ret.columns |= BLOCK_LINES;
    else if (p->is_length_needed)
        ret.columns |= BLOCK_LENGTHS;
    if (is_meta_needed)
        ret.columns |= BLOCK_META;
    if (p->n_filters == 0 && p->n_steps == 0 && p->unwrap == NULL && p->sample != PIPELINE_LINES &&
        (!is_meta_needed || is_plain)) {
        ret.constant_if_plain = result_labels(run);
        ret.constant = is_meta_needed ? NULL : ret.constant_if_plain;
    }
    return ret;
}

void pipeline_run_forget(struct pipeline_run *run)
{
    free_locals(run);
    memset(run->locals, 0, run->p->n_steps * sizeof *run->locals);
    label_sets_reset(&run->sets);
    labels_builder_reset(&run->labels);
    forget_meta_ids(run);
    make_locals(run);
    if (run->stream != NULL)
        labels_builder_stream(&run->labels, run->stream);
    if (run->v != NULL && run->by_meta != NULL && run->v->n_meta > 0)
        memset(run->by_meta, 0, run->v->n_meta * sizeof *run->by_meta);
}

size_t pipeline_run_label_bytes(const struct pipeline_run *run)
{
    return label_sets_bytes(&run->sets) + run->labels.n_slots * sizeof(struct label_slot);
}

int pipeline_run_error(const struct pipeline_run *run, struct error *err)
{
    if (run->error == 0)
        return 0;
    return error_set(err, run->error, "more than %u label names in one query", NAMES_MAX);
}

/* ---- blocks ---- */

static void run_filters(struct pipeline_run *run)
{
    uint32_t n_words = line_set_n_words(&run->lines);
    for (size_t i = 0; i < run->p->n_filters; i++) {
        struct pipeline_step_stats *stats = &run->stats[i];
        int64_t start = run->is_timed ? clock_mono_ns() : 0;
        stats->lines_in += line_set_count(&run->lines);
        stats->bytes_in += line_matcher_filter(&run->p->filters[i].matcher, run->v, &run->lines,
                                               run->words + n_words);
        stats->lines_out += line_set_count(&run->lines);
        if (run->is_timed)
            stats->cpu_ns += (uint64_t)(clock_mono_ns() - start);
    }
}

static void forget_meta(struct pipeline_run *run)
{
    uint32_t n = MAX(run->v->n_meta, 1u);
    if (n > run->by_meta_cap) {
        mem_free(run->by_meta);
        run->by_meta = mem_array(n, sizeof *run->by_meta);
        run->by_meta_cap = n;
    } else {
        memset(run->by_meta, 0, n * sizeof *run->by_meta);
    }
}

void pipeline_run_block(struct pipeline_run *run, const struct block_view *v, uint32_t from,
                        uint32_t to, bool is_backward)
{
    ASSERT(from <= to && to <= v->n && run->stream != NULL);
    run->v = v;
    run->is_backward = is_backward;
    run->lines = (struct line_set){.from = from, .to = to};
    uint32_t n_words = line_set_n_words(&run->lines);
    if (n_words * 2 > run->words_cap) {
        mem_free(run->words);
        run->words_cap = n_words * 2;
        run->words = mem_array(run->words_cap, sizeof *run->words);
    }
    run->lines.words = run->words;
    memset(run->words, 0xff, n_words * sizeof *run->words);
    if ((to - from) % 64 != 0)
        run->words[n_words - 1] = (UINT64_C(1) << ((to - from) % 64)) - 1;
    run->word = is_backward && n_words > 0 ? n_words - 1 : 0;
    run->is_begun = false;
    if (n_words > 0)
        run_filters(run);
}

/* Takes the next line out of the set; false if none is left. */
static bool next_line(struct pipeline_run *run, uint32_t *ret)
{
    uint32_t n_words = line_set_n_words(&run->lines);
    while (run->word < n_words) {
        uint64_t bits = run->words[run->word];
        if (bits == 0) {
            run->word += run->is_backward ? UINT32_MAX : 1; /* below 0 is above all */
            continue;
        }
        unsigned bit = run->is_backward ? 63 - (unsigned)__builtin_clzll(bits)
                                        : (unsigned)__builtin_ctzll(bits);
        run->words[run->word] = bits & ~(UINT64_C(1) << bit);
        *ret = run->lines.from + run->word * 64 + bit;
        return true;
    }
    return false;
}

bool pipeline_filters_blocks(const struct pipeline *p)
{
    return p->n_filters > 0;
}

bool pipeline_run_has_lines(const struct pipeline_run *run)
{
    uint32_t n_words = line_set_n_words(&run->lines);
    for (uint32_t i = 0; i < n_words; i++)
        if (run->words[i] != 0)
            return true;
    return false;
}

static bool has_meta(const struct block_view *v)
{
    return (v->columns & BLOCK_META) != 0 && v->n_meta > 0;
}

/* Counts a line as if the steps had looked at it. */
static void count_steps(struct pipeline_run *run, size_t n_passed)
{
    for (size_t i = 0; i < run->p->n_steps && i <= n_passed; i++) {
        struct pipeline_step_stats *stats = &run->stats[run->p->n_filters + i];
        stats->lines_in++;
        stats->lines_out += i < n_passed;
    }
}

/* The steps look at labels only: what they say about this metadata is asked once a block. */
static bool process_by_meta(struct pipeline_run *run, uint32_t at, str text,
                            struct pipeline_result *ret)
{
    const struct block_view *v = run->v;
    uint32_t meta = has_meta(v) && v->meta_of != NULL ? v->meta_of[at] : 0;
    struct meta_outcome *known = &run->by_meta[meta];
    if (!known->is_known) {
        bool passes = process(run, 0, text, has_meta(v) ? &v->meta[meta] : NULL, NULL, ret);
        *known = (struct meta_outcome){true, passes ? ret->labels : NULL, run->n_passed};
    } else {
        count_steps(run, known->n_passed);
    }
    if (known->labels == NULL)
        return false;
    ret->labels = known->labels;
    ret->line = text;
    return true;
}

bool pipeline_run_next(struct pipeline_run *run, struct pipeline_result *ret)
{
    const struct block_view *v = run->v;
    const struct pipeline *p = run->p;
    uint32_t at;
    if (!run->is_begun && p->is_set_by_meta)
        forget_meta(run);
    if (!run->is_begun)
        forget_meta_ids(run);
    run->is_begun = true;
    while (run->error == 0 && next_line(run, &at)) {
        str text = p->is_text_needed ? block_line(v, at) : STR_EMPTY;
        ret->value = 0;
        if (p->is_set_by_meta) {
            if (!process_by_meta(run, at, text, ret))
                continue;
            size_t len = p->is_length_needed ? v->line_at[at + 1] - v->line_at[at] - 1 : 0;
            set_value(p, len, ret);
        } else {
            const struct labels *meta = has_meta(v) ? block_meta(v, at) : NULL;
            const uint32_t *ids = meta != NULL ? meta_ids(run, meta) : NULL;
            if (!process(run, v->ts_ns == NULL ? 0 : v->ts_ns[at], text, meta, ids, ret))
                continue;
        }
        ret->at = at;
        return true;
    }
    return false;
}

/* ---- explain ---- */

void pipeline_run_time_steps(struct pipeline_run *run)
{
    run->is_timed = true;
}

struct pipeline_step_stats pipeline_run_step_stats(const struct pipeline_run *run, size_t step)
{
    return run->stats[step];
}
