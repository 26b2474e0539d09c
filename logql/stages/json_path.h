/* logql/stages/json_path.h - finds values by path (user.roles[0].name) in JSON as json_lax.h reads
 * it.
 *
 * The walk keeps no tree: it counts brackets and remembers the keys above.  It stops at the first
 * fault without a word, or with MALFORMED where Loki's parser gives an error; what was found before
 * stays found.  Of equal keys the first counts. */
#pragma once
#include "logql/stages/json_lax.h"

struct json_path_part {
    str text; /* the key, or "[3]" */
    bool is_index;
    int64_t index;
};

struct json_path {
    const struct json_path_part *parts;
    size_t n; /* at least 1 */
};

/* One find: the path's number and its value; or an error, `path` then being STR_NPOS if it belongs
 * to no path. */
typedef void json_path_found(void *arg, size_t path, const struct json_lax_value *v,
                             json_lax_error error);

/* Calls `fn` for each of the paths that leads somewhere, in the order of the text.  `a` takes keys
 * that had escapes, and scratch. */
void json_path_find(str text, const struct json_path *paths, size_t n, struct arena *a,
                    json_path_found *fn, void *arg);
