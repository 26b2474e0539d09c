/* ingester/wal.h - the log that survives kill -9: what was acknowledged is in it until it is in
 * the store.
 *
 * Format: docs/formats.md.  Files <dir>/<first position, 16 hex digits>.wal hold records one behind
 * the other; a position counts bytes over all files and never falls.  A record is in the kernel's
 * hands (write) before it is acknowledged, so only a power failure can lose it, and how much is
 * the choice of wal.sync.
 *
 * A push goes: wal_append() -> entries into heads -> wal_applied().  What lies before
 * wal_applied_to() is in heads, chunks or the store, so a file may go once no head and no chunk
 * holds a position in it.
 *
 * Threads: all functions from any thread; one lock, held while a record is written, so that
 * records do not mix.  One thread of its own forces files to the disk. */
#pragma once
#include "base/buf.h"
#include "base/status.h"
#include "ingester/config.h"

struct wal;

enum wal_record_type { WAL_RECORD_BATCH = 1, WAL_RECORD_MARKS = 2 };

#define WAL_RECORD_MAGIC        0x3157474cu /* "LGW1" */
#define WAL_RECORD_HEADER_BYTES 16
#define WAL_RECORD_BYTES_MAX    ((size_t)512 << 20)
#define WAL_POS_NONE            UINT64_MAX

/* Called for each whole record of the files in order.  A non-zero result ends the replay. */
typedef int wal_replay_record(void *arg, uint64_t pos, enum wal_record_type type, str payload);

struct wal_replay_stats {
    uint64_t records, bytes, corruptions, torn_bytes;
    unsigned segments;
};

/* Opens the log in config->dir (made if missing) and begins a new file behind those that are
 * there; nothing is appended to an old one. */
int wal_open(const struct wal_config *config, struct wal **ret, struct error *err);
/* Forces what is written to the disk and closes. */
void wal_close(struct wal *w);

/* Reads the files that were there when the log was opened.  Records of `type` only (0: all), so
 * that flush marks can be read first.  Damaged records are skipped, counted and logged; with `cut`
 * a tail without a whole record is cut off its file. */
int wal_replay(struct wal *w, int type, bool cut, wal_replay_record *fn, void *arg,
               struct wal_replay_stats *stats);

/* Old records before `pos` have been applied, WAL_POS_NONE: all of them; until it is told so the
 * log keeps every file. */
void wal_replayed_to(struct wal *w, uint64_t pos);

/* Appends a record made of pieces.  E_NO_SPACE, E_IO: nothing was appended.  *ret_pos is where it
 * begins; the caller must call wal_applied() with it. */
int wal_append(struct wal *w, enum wal_record_type type, const str *pieces, size_t n_pieces,
               uint64_t *ret_pos);
void wal_applied(struct wal *w, uint64_t pos);
/* Every record before this position has been applied. */
uint64_t wal_applied_to(struct wal *w);

/* Calls done(arg) as soon as the record at `pos` survives what wal.sync asks for: at once, or, with
 * sync: always, on the log's own thread after the next fsync; code is then that of fsync. */
void wal_when_safe(struct wal *w, uint64_t pos, void (*done)(void *arg, int code), void *arg);

/* Deletes files all of whose records lie before `pos`. */
void wal_truncate(struct wal *w, uint64_t pos);
/* Bytes in all files. */
uint64_t wal_bytes(struct wal *w);
/* End of the oldest file: flush what holds positions before it and the file can go. */
uint64_t wal_oldest_end(struct wal *w);
