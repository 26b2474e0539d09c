#include "index/env.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "index/mapping.h"

#define ENV_DBS_MAX     8
#define ENV_READERS_MAX 1024 /* selections open at once over one table */
/* A cache line a reader, and some for what stands before them. */
#define LOCK_FILE_BYTES (ENV_READERS_MAX * 64 + 4096)

/* LMDB follows the 16-bit places and sizes of a page unchecked.  On a spoilt page they lead up to
 * this far past its end; where the file had no bytes there, that would be a SIGBUS.  So the file is
 * kept longer than its last page by this much (a hole: it takes no space on the disk). */
#define SLACK_BYTES ((uint64_t)256 << 10)

struct env {
    MDB_env *mdb;
    const char *map; /* where the file lies in memory; NULL: not known */
    size_t map_len;
    char *data_path;
    size_t map_bytes;
    pthread_mutex_t lock; /* guards readers and is_growing */
    pthread_cond_t idle;  /* readers fell to 0, or growing ended */
    unsigned readers;
    bool is_growing;
};

/* The only translation of LMDB's codes. */
int env_code(int mdb_code)
{
    switch (mdb_code) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return E_NOT_FOUND;
    case MDB_KEYEXIST:
        return E_EXISTS;
    case MDB_MAP_FULL:
    case MDB_MAP_RESIZED:
        return ENV_E_MAP_FULL;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_VERSION_MISMATCH:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_DBI:
        return E_CORRUPT;
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case MDB_DBS_FULL:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
        return E_FULL;
    case MDB_BAD_VALSIZE:
    case MDB_BAD_TXN:
    case MDB_BAD_RSLOT:
        return E_INTERNAL;
    default:
        return mdb_code > 0 ? status_from_errno(mdb_code) : E_INTERNAL;
    }
}

/* LMDB would die of SIGBUS on the first page that a cut file lacks; look before it leaps. */
static int check_length(const struct env *e, struct error *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    int code = mdb_env_info(e->mdb, &info);
    if (code == 0)
        code = mdb_env_stat(e->mdb, &stat);
    if (code != 0)
        return error_set(err, env_code(code), "%s: %s", e->data_path, mdb_strerror(code));
    uint64_t need = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    uint64_t have = env_file_bytes(e);
    if (have < need)
        return error_set(err, E_CORRUPT, "%s: file has %llu bytes of %llu", e->data_path,
                         (unsigned long long)have, (unsigned long long)need);
    return 0;
}

/* Only within a write transaction: nobody else may lengthen the file meanwhile. */
static int keep_slack(struct env *e)
{
    MDB_envinfo info;
    MDB_stat stat;
    int fd;
    if (mdb_env_info(e->mdb, &info) != 0 || mdb_env_stat(e->mdb, &stat) != 0 ||
        mdb_env_get_fd(e->mdb, &fd) != 0)
        return E_INTERNAL;
    uint64_t want = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize + SLACK_BYTES;
    if (env_file_bytes(e) >= want)
        return 0;
    /* Twice as much, so that not every write has to. */
    return ftruncate(fd, (off_t)(want + SLACK_BYTES)) == 0 ? 0 : status_from_errno(errno);
}

static void find_map(struct env *e)
{
    MDB_envinfo info;
    int fd;
    e->map = NULL;
    if (mdb_env_get_fd(e->mdb, &fd) != 0 || mdb_env_info(e->mdb, &info) != 0)
        return;
    e->map = mapping_of_file(fd);
    e->map_len = info.me_mapsize;
}

str env_bytes(const struct env *e)
{
    return e->map == NULL ? (str){NULL, 0} : str_make(e->map, MIN(env_file_bytes(e), e->map_len));
}

/* LMDB maps its reader table and writes to it; where the disk has no block for it that is a SIGBUS.
 * So the blocks are taken before, and a full disk is an error like any other. */
static int reserve_lock_file(const char *dir)
{
    struct buf path;
    buf_init(&path, 1 << 16);
    buf_printf(&path, "%s/lock.mdb", dir);
    int fd = open(buf_c(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    int code = fd < 0 ? errno : posix_fallocate(fd, 0, LOCK_FILE_BYTES);
    if (fd >= 0)
        close(fd);
    buf_deinit(&path);
    return code;
}

int env_open(const char *dir, bool create, size_t map_bytes, struct env **ret, struct error *err)
{
    if (create && mkdir(dir, 0750) != 0 && errno != EEXIST)
        return error_set(err, status_from_errno(errno), "%s: %s", dir, strerror(errno));
    struct env *e = mem_zalloc(sizeof *e);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->idle, NULL);
    struct buf path;
    buf_init(&path, 1 << 16);
    buf_printf(&path, "%s/data.mdb", dir);
    e->data_path = mem_strdup(buf_c(&path));
    buf_deinit(&path);
    e->map_bytes = map_bytes ? map_bytes : ENV_MAP_BYTES_FIRST;
    while (e->map_bytes < 2 * env_file_bytes(e))
        e->map_bytes *= 2;
    if (!create && env_file_bytes(e) == 0) { /* a writer came no further: the disk was full */
        int empty = error_set(err, E_NOT_FOUND, "%s is not there yet", e->data_path);
        env_close(e);
        return empty;
    }

    int code = reserve_lock_file(dir);
    if (code == 0)
        code = mdb_env_create(&e->mdb);
    if (code == 0)
        code = mdb_env_set_maxdbs(e->mdb, ENV_DBS_MAX);
    if (code == 0)
        code = mdb_env_set_maxreaders(e->mdb, ENV_READERS_MAX);
    if (code == 0)
        code = mdb_env_set_mapsize(e->mdb, e->map_bytes);
    if (code == 0)
        code = mdb_env_open(e->mdb, dir, MDB_NOTLS, 0640);
    int dead;
    if (code == 0)
        code = mdb_reader_check(e->mdb, &dead);
    if (code != 0)
        code = error_set(err, env_code(code), "%s: %s", dir, mdb_strerror(code));
    else
        code = check_length(e, err);
    if (code != 0) {
        env_close(e);
        return code;
    }
    find_map(e);
    *ret = e;
    return 0;
}

void env_close(struct env *e)
{
    if (e == NULL)
        return;
    ASSERT(e->readers == 0);
    if (e->mdb != NULL)
        mdb_env_close(e->mdb);
    pthread_cond_destroy(&e->idle);
    pthread_mutex_destroy(&e->lock);
    mem_free(e->data_path);
    mem_free(e);
}

MDB_env *env_mdb(struct env *e)
{
    return e->mdb;
}

uint64_t env_file_bytes(const struct env *e)
{
    struct stat st;
    return stat(e->data_path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* --- transactions --- */

int env_read_begin(struct env *e, MDB_txn **ret)
{
    pthread_mutex_lock(&e->lock);
    while (e->is_growing)
        pthread_cond_wait(&e->idle, &e->lock);
    e->readers++;
    pthread_mutex_unlock(&e->lock);
    int code = mdb_txn_begin(e->mdb, NULL, MDB_RDONLY, ret);
    if (code != 0)
        env_read_end(e, NULL);
    return env_code(code);
}

void env_read_end(struct env *e, MDB_txn *txn)
{
    if (txn != NULL)
        mdb_txn_abort(txn);
    pthread_mutex_lock(&e->lock);
    if (--e->readers == 0)
        pthread_cond_broadcast(&e->idle);
    pthread_mutex_unlock(&e->lock);
}

/* New readers wait, running ones end, then the map may move. */
static int grow(struct env *e)
{
    pthread_mutex_lock(&e->lock);
    e->is_growing = true;
    while (e->readers > 0)
        pthread_cond_wait(&e->idle, &e->lock);
    int code = mdb_env_set_mapsize(e->mdb, e->map_bytes * 2);
    if (code == 0)
        e->map_bytes *= 2;
    find_map(e);
    e->is_growing = false;
    pthread_cond_broadcast(&e->idle);
    pthread_mutex_unlock(&e->lock);
    return env_code(code);
}

static int write_once(struct env *e, int (*body)(MDB_txn *txn, void *arg), void *arg)
{
    MDB_txn *txn;
    int code = env_code(mdb_txn_begin(e->mdb, NULL, 0, &txn));
    if (code != 0)
        return code;
    code = keep_slack(e);
    if (code == 0)
        code = body(txn, arg);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    return env_code(mdb_txn_commit(txn));
}

int env_write(struct env *e, int (*body)(MDB_txn *txn, void *arg), void *arg)
{
    int code;
    while ((code = write_once(e, body, arg)) == ENV_E_MAP_FULL)
        if ((code = grow(e)) != 0)
            return code == ENV_E_MAP_FULL ? E_FULL : code;
    return code;
}
