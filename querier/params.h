/* querier/params.h - parameters of query requests, in every form Loki takes, with Loki's error
 * texts.
 *
 * Pure functions over a source of parameters, so that they can be tried without a server. */
#pragma once
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

/* Where parameters come from: first value of a name, ptr NULL if absent. */
struct params {
    str (*get)(const void *from, const char *name);
    const void *from;
    int64_t now_ns;
};

struct http_request;
struct params params_of_request(const struct http_request *r, int64_t now_ns);

/* Value of a parameter; empty if absent. */
str params_str(const struct params *p, const char *name);

/* Seconds (up to ten characters), nanoseconds, seconds with a fraction, RFC 3339.  E_INVALID with
 * Go's words: strconv.ParseInt: parsing "x": invalid syntax. */
int param_time(str text, int64_t fallback_ns, int64_t *ret_ns, struct error *err);
/* Seconds as a number, or a duration (1h30m).  E_INVALID: cannot parse "x" to a valid duration. */
int param_duration(str text, int64_t *ret_ns, struct error *err);

#define PARAM_SINCE_NS        (INT64_C(3600) * 1000000000)
#define PARAM_LABELS_SINCE_NS (6 * PARAM_SINCE_NS)

/* start, end and since; `since_ns` is what counts when neither start nor since is given. */
int params_bounds(const struct params *p, int64_t since_ns, int64_t *ret_start_ns,
                  int64_t *ret_end_ns, struct error *err);

struct range_params {
    str query;
    int64_t start_ns, end_ns, step_ns, interval_ns;
    uint32_t limit;
    bool is_forward;
};

/* query_range and what is like it: all of them, checked. */
int params_range(const struct params *p, struct range_params *ret, struct error *err);

/* Those of detected_fields: query, bounds and step; `limit` has another meaning there. */
int params_range_of_fields(const struct params *p, struct range_params *ret, struct error *err);

/* Those of index/volume: no step, and a limit of 0 is the default; and of index/volume_range. */
int params_volume(const struct params *p, struct range_params *ret, struct error *err);
int params_volume_range(const struct params *p, struct range_params *ret, struct error *err);

struct instant_params {
    str query;
    int64_t time_ns;
    uint32_t limit;
    bool is_forward;
};

int params_instant(const struct params *p, struct instant_params *ret, struct error *err);

/* A positive number, `fallback` if absent. */
int params_limit(const struct params *p, const char *name, uint32_t fallback, uint32_t *ret,
                 struct error *err);
/* max(1s, range / 250), in whole seconds. */
int64_t params_default_step_ns(int64_t start_ns, int64_t end_ns);
