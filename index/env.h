/* index/env.h - one LMDB environment: opening, growing its map, transactions, error codes.
 *
 * The one place that knows LMDB's rules: an environment is opened once in a process; a map is
 * resized only while no transaction is open; a read transaction sees one moment and keeps old
 * pages alive, so it should end soon.  Read transactions are not tied to a thread (MDB_NOTLS): one
 * may be begun on one thread and ended on another.
 *
 * Threads: all functions from any thread; LMDB lets one write transaction in at a time. */
#pragma once
#include "base/status.h"
#include "base/str.h"

typedef struct MDB_env MDB_env;
typedef struct MDB_txn MDB_txn;

struct env;

/* Virtual addresses reserved at first: memory is only used for pages that are read, and growing
 * has to wait for readers, so it is far more than a day's logs.  It doubles when full. */
#define ENV_MAP_BYTES_FIRST ((size_t)16 << 30)

/* Opens or, with `create`, makes the environment in folder `dir`.  E_CORRUPT: this is not a whole
 * LMDB environment of a version we know.  map_bytes 0: ENV_MAP_BYTES_FIRST. */
int env_open(const char *dir, bool create, size_t map_bytes, struct env **ret, struct error *err);
void env_close(struct env *e); /* no transaction may be open; NULL allowed */
MDB_env *env_mdb(struct env *e);

/* A read transaction; waits while the map is being grown. */
int env_read_begin(struct env *e, MDB_txn **ret);
void env_read_end(struct env *e, MDB_txn *txn);

/* Runs `body` in a write transaction and commits it.  If the map is full it is doubled and `body`
 * runs again from the start.  A non-zero result of `body` (an E_* code) aborts. */
int env_write(struct env *e, int (*body)(MDB_txn *txn, void *arg), void *arg);
/* What env_write's body returns for a code of LMDB's. */
#define ENV_E_MAP_FULL (-1000) /* seen by env_write alone */
int env_code(int mdb_code);

/* The bytes of the data file in memory, as long as it is now: what LMDB points at has to lie in
 * them.  ptr NULL: the kernel does not say where they are.  Valid while a transaction is open. */
str env_bytes(const struct env *e);

/* Size of the data file in bytes. */
uint64_t env_file_bytes(const struct env *e);
