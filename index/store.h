/* index/store.h - the day tables of a data directory: tables/<YYYY-MM-DD>/.
 *
 * Tables are opened when asked for and closed again, oldest use first, when more than a few are
 * open.  A table that cannot be opened because it is damaged is renamed to <day>.damaged-<time> and
 * reported, and its day starts anew.
 *
 * Threads: any; one lock over the list of tables, not held while a table is used. */
#pragma once
#include "base/arena.h"
#include "index/table.h"

struct store;

struct store_config {
    const char *dir;  /* <data>/tables; made if missing */
    size_t open_max;  /* tables held open; 0: 16 */
    size_t map_bytes; /* of a table at first; 0: ENV_MAP_BYTES_FIRST */
    /* Told of each table set aside; may be NULL. */
    void (*on_damaged)(void *arg, const struct error *err);
    void *arg;
};

int store_open(const struct store_config *config, struct store **ret, struct error *err);
void store_close(struct store *s); /* no table may be in use; NULL allowed */

/* The table of a day, kept open until store_release().  E_NOT_FOUND if there is none and not
 * `create`; E_NO_SPACE, E_IO, ... */
int store_table(struct store *s, int64_t day, bool create, struct table **ret, struct error *err);
void store_release(struct store *s, struct table *t);

/* Days of the tables there are that may hold entries of [from, to), ascending, in `a`. */
int store_days(struct store *s, int64_t from_ns, int64_t to_ns, struct arena *a,
               const int64_t **ret, size_t *ret_n);
