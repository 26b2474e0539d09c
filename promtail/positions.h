/* promtail/positions.h - the positions file, in Promtail's own format.
 *
 *   positions:
 *     /var/log/syslog: "1234"
 *
 * It holds what every client has acknowledged, written atomically.  The finer journal that decides
 * what is sent once is each client's spool; this file is for people, for Promtail, and for starting
 * without a spool.  A comment in its last line holds a checksum: if it does not fit, somebody else
 * wrote the file, and what it says goes before the journal.  Loop thread only. */
#pragma once
#include "base/map.h"
#include "base/status.h"
#include "promtail/config/config.h"

struct source_registry;

struct positions {
    const struct positions_config *config;
    struct strmap values; /* path -> char *, the text of the position */
    bool is_ours;         /* the file was written by us and not touched since */
    bool is_dirty;
};

/* Reads the file; a missing one is empty.  One that is damaged as a crash damages files (empty,
 * cut, holes of zeros) is set aside as <name>.broken with a warning.  One that is no positions file
 * is an error (Promtail's text) unless ignore_invalid_yaml is set. */
int positions_load(struct positions *p, const struct positions_config *config, struct error *err);
void positions_deinit(struct positions *p);
/* Writes the file if something changed. */
int positions_save(struct positions *p, struct error *err);
/* Writes it even if nothing changed. */
int positions_save_now(struct positions *p, struct error *err);

str positions_get(const struct positions *p, str name); /* ptr NULL if absent */
/* False if there is none or it is no number. */
bool positions_get_offset(const struct positions *p, str name, int64_t *ret);
void positions_set(struct positions *p, str name, str value);
void positions_set_offset(struct positions *p, str name, int64_t offset);
void positions_remove(struct positions *p, str name);
/* Takes over what the clients have acknowledged, and drops files that are gone. */
void positions_update(struct positions *p, const struct source_registry *sources);
