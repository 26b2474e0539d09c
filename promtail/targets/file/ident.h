/* promtail/targets/file/ident.h - telling the generations of a file apart.
 *
 * Device and inode alone are not enough: copytruncate keeps them, a deleted file's inode is used
 * again at once.  So the first bytes count too, as many as were there when they were looked at, up
 * to IDENT_HEAD_BYTES. */
#pragma once
#include <sys/stat.h>

#include "base/str.h"
#include "promtail/source.h"
#include "promtail/targets/file/folder.h"

#define IDENT_HEAD_BYTES 1024

/* Takes device, inode and the hash of the head; false if the file cannot be read. */
bool ident_take(int fd, struct source_ident *ret);
/* The same; the head itself, ret->head_bytes of it, goes to `head`. */
bool ident_take_head(int fd, struct source_ident *ret, char head[IDENT_HEAD_BYTES]);
/* The same for the text in a gzip file; false if it is none, or too little of it is there. */
bool ident_take_gzip(int fd, struct source_ident *ret);
/* True if a text that begins with `head` may be that of `id`: sure if id->head_bytes is not 0. */
bool ident_begins(const struct source_ident *id, str head);
/* False if the file does not begin with the head of `id` any more; else a head that was short is
 * taken anew. */
bool ident_grow(int fd, struct source_ident *id);
/* Checks that the file still is the one of `id`, after bytes were read at `offset`: if it was
 * truncated meanwhile, they may be of the next generation.  Grows it, too. */
bool ident_confirm(int fd, struct source_ident *id, int64_t offset, str bytes);
/* True if the file still begins with the head of `id`. */
bool ident_head_matches(int fd, const struct source_ident *id);
/* Inode and head; the device may change over a reboot. */
bool ident_is_same_file(int fd, const struct source_ident *id);

/* The same text in front, and enough of it to be sure. */
bool ident_is_copy(int fd, const struct source_ident *id);
/* The same text, plain or as gzip, as far as can be told: a full head, or the whole of a short
 * text. Texts may share a banner, so a short head alone says nothing. */
bool ident_is_same_text(int fd, const struct source_ident *id);
/* A text of so many bytes with that head, plain or as gzip. */
bool ident_is_whole(int fd, const struct source_ident *id, int64_t bytes);

/* True if `name` looks like what rotation makes of `base`: app.log.1, app.log-20261121.gz,
 * app-2026-11-21.log, app.1.log; not app-error.log. */
bool ident_is_rotated_name(str base, str name);

/* When it was written last, ns since the epoch. */
int64_t ident_written_ns(const struct stat *st);

/* A file beside `path` whose name looks rotated and which was written after `after_ns`. */
struct rotated_file {
    const char *path; /* the folder's */
    ino_t ino;        /* which file it was when it was listed */
    int64_t mtime_ns;
};
/* All of them, oldest first.  The caller frees the array. */
size_t ident_list_rotated(struct folder_set *folders, const char *path, int64_t after_ns,
                          struct rotated_file **ret);

/* Finds, beside `path`, what has become of a generation that is not there any more: renamed (same
 * inode), copied (same head, at least `size` bytes long) or compressed (.gz whose content has the
 * same head).  Returns an open descriptor or -1; *ret_is_gzip tells how to read it. */
int ident_find_moved(struct folder_set *folders, const char *path, const struct source_ident *id,
                     int64_t size, bool *ret_is_gzip);
