/* cmd/logectl.h - what the commands of logectl share: options, one HTTP call, output.
 *
 * A command gets the words after its name, parses its own flags (they may stand before or after its
 * arguments, as with logcli) and returns the exit status: 0, 1 for a failure, 2 for wrong usage. */
#pragma once
#include <stdio.h>

#include "base/tzone.h"
#include "runtime/config.h"

enum ctl_output { CTL_DEFAULT, CTL_RAW, CTL_JSONL };

typedef struct json_t json_t; /* <jansson.h> */

struct ctl {
    /* global */
    const char *addr, *org_id, *username, *password, *bearer_token, *bearer_token_file, *ca_cert;
    bool tls_skip_verify, quiet, help, version, stats;
    int output; /* enum ctl_output */
    int color;  /* auto, always, never */
    const char *timezone;
    struct config_strings headers;
    /* query */
    int64_t limit, batch, since_ns, step_ns, interval_ns, delay_for_s;
    const char *from, *to, *now;
    bool forward, tail, no_labels;
    struct config_strings include_labels, exclude_labels, labels;
    int64_t labels_length;
    bool analyze_labels, explain;
    int64_t push_batch;
    struct config_strings target_labels;

    struct arena arena;
    const char **words; /* arguments without flags, the command first */
    size_t n_words;
    bool is_color;      /* decided from `color` and the terminal */
    struct tzone *zone; /* of --timezone; NULL: UTC */
};

typedef int ctl_command(struct ctl *c);

ctl_command ctl_query, ctl_instant_query, ctl_tail, ctl_labels, ctl_series, ctl_stats, ctl_volume,
    ctl_volume_range, ctl_push, ctl_fmt, ctl_ready, ctl_explain, ctl_detected_fields;

/* Says what is wrong on stderr; returns 1. */
int ctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The query string being built: name=value, both escaped. */
void ctl_param(struct buf *url, const char *name, str value);
void ctl_param_i64(struct buf *url, const char *name, int64_t value);
/* start= and end= from --from, --to and --since. */
int ctl_param_range(struct ctl *c, struct buf *url, int64_t default_since_ns);
/* addr + path + '?'. */
void ctl_url(struct ctl *c, struct buf *url, const char *path);
/* GET (body NULL) or POST; 0 and the body of a 2xx answer, else 1 after saying why. */
int ctl_fetch(struct ctl *c, const char *url, const str *body, const char *content_type,
              struct buf *out);
/* ctl_fetch of JSON; the caller json_decref()s.  NULL after saying why. */
json_t *ctl_fetch_json(struct ctl *c, const char *url);
/* Headers for tenant and login, NULL-terminated, in the arena. */
const char *const *ctl_headers(struct ctl *c, const char *extra);

/* --- output (cmd/logectl_output.c) --- */
/* Prints the entries of a streams result by time, oldest first if `forward`. */
void ctl_print_streams(struct ctl *c, const json_t *result, bool forward);
void ctl_print_entry(struct ctl *c, const json_t *stream, const char *ts_ns, const char *line);
/* A matrix, vector or scalar. */
void ctl_print_samples(struct ctl *c, const char *type, const json_t *result);
void ctl_print_stats(const json_t *stats);
/* The time of an entry as --timezone shows it. */
void ctl_print_time(struct ctl *c, int64_t ts_ns, struct buf *out);
void ctl_print_labels(const json_t *labels, struct buf *out);
