/* logql/template/template.h - Go's text/template: parsed once, executed per line.
 *
 * A template is immutable after parsing: any number of threads may execute it, each with its own
 * context.  The plain case, {{.a}} {{.b}}, allocates nothing per line; what functions make lies in
 * the context's arena, which the caller resets between lines.
 *
 * Life: template_parse -> (template_ctx_init -> template_exec* -> template_ctx_deinit) ->
 * template_free. */
#pragma once
#include "base/buf.h"
#include "base/status.h"
#include "logql/template/value.h"

struct template;
struct template_funcs;

/* Loki's line_format and label_format functions; Promtail's template stage (sprig and its own). */
extern const struct template_funcs template_funcs_loki;
extern const struct template_funcs template_funcs_promtail;

/* Parses `text`; `name` is what errors call it (line, label).  Returns 0 or E_PARSE with Go's text:
 * template: line:1: function "nope" not defined.  The caller frees *ret with template_free(). */
int template_parse(str name, str text, const struct template_funcs *funcs, struct template **ret,
                   struct error *err);
void template_free(struct template *t); /* NULL allowed */

/* The labels the template reads, each once; *ret lives as long as the template.  False if it may
 * read any of them ({{ range $k, $v := . }}). */
bool template_needed_fields(const struct template *t, const str **ret, size_t *ret_n);
/* True if it reads the line or its time: {{__line__}}, {{__timestamp__}}. */
bool template_needs_line(const struct template *t);

/* Where {{.name}} comes from. */
struct template_source {
    /* The value of a label; false if there is none. */
    bool (*get)(void *user, str name, struct tval *ret);
    /* The i-th pair, in any order, for {{range}} and {{.}}; false past the last. */
    bool (*at)(void *user, size_t i, str *ret_name, struct tval *ret);
};

struct template_cache;

/* What one thread needs to execute templates; everything is set by the caller but `cache`. */
struct template_ctx {
    const struct template_source *source;
    void *user;
    /* Loki: a missing label is the empty string; Promtail: no value at all. */
    bool missing_is_empty;
    struct tmap *root;            /* all values, once a function has changed them; else NULL */
    str line;                     /* {{__line__}} */
    int64_t ts_ns;                /* {{__timestamp__}} */
    int64_t now_ns;               /* {{now}}; 0: the clock */
    const struct tzone *local;    /* the zone of this machine; NULL: UTC */
    struct arena arena;           /* reset by template_ctx_reset */
    struct template_cache *cache; /* compiled regexes and zones */
};

/* Zeroes the context and gives it an arena; a line that needs more memory than that fails. */
void template_ctx_init(struct template_ctx *ctx, size_t arena_bytes_max);
void template_ctx_deinit(struct template_ctx *ctx);
/* Forgets what the last line made.  Values and output views into the arena are gone. */
void template_ctx_reset(struct template_ctx *ctx);

/* Appends the result to `out`.  Returns 0, or E_INVALID with Go's text in `err` - template:
 * line:1:3: executing "line" at <divf 1 0>: error calling divf: decimal division by 0 - or E_LIMIT
 * when the output, the memory or the number of steps is exceeded.  What had been written to `out`
 * before the failure stays. */
int template_exec(const struct template *t, struct template_ctx *ctx, struct buf *out,
                  struct error *err);
