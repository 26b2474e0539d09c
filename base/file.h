/* base/file.h - whole files: read one, write one so that a crash leaves the old or the new. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

/* Appends the bytes of `path` to `out` (bounded by out->max: E_TOO_LARGE).  Text: open x: reason.
 */
int file_read(const char *path, struct buf *out, struct error *err);
/* Writes path.tmp, syncs it, renames it over `path`, syncs the folder. */
int file_write_atomic(const char *path, str bytes, unsigned mode, struct error *err);
/* mkdir -p.  0 if it is there already. */
int file_make_dirs(const char *path, struct error *err);
/* Takes the lock file `path` (made if missing) for this process and writes its id into it.  Held
 * until *ret_fd is closed or the process ends, however it ends.  E_EXISTS: another one holds it. */
int file_lock(const char *path, int *ret_fd, struct error *err);
/* path "/" name, in a buffer of the caller's; E_TOO_LARGE if it does not fit. */
int file_join(char *out, size_t size, const char *dir, const char *name);
