/* promtail/targets/file/folder.h - what stands in a folder, read once for all the tails in it.
 *
 * A listing grows old: files are renamed and removed meanwhile.  Who opens an entry and finds
 * another file there, or none, says so (is_stale), and whoever must not miss anything reads once
 * more. */
#pragma once
#include <dirent.h>

#include "base/map.h"

struct folder_entry {
    str name;
    const char *path;   /* folder and name */
    ino_t ino;          /* as the folder has it: on overlays not always what stat says */
    bool has_head;      /* head_hash was tried */
    uint64_t head_hash; /* ident.c's */
};

struct folder;
/* A folder that cannot be read has no entries.  Never NULL. */
struct folder *folder_read(const char *path);
void folder_free(struct folder *f); /* NULL allowed */
/* The entries whose names begin with `prefix`, in order of their names; returns how many. */
size_t folder_find(struct folder *f, str prefix, struct folder_entry **ret_first);

/* The folders read during one look at many tails. */
struct folder_set {
    struct strmap by_path;
    bool is_stale; /* something was not what its listing said; reset by who wants to know */
};

void folder_set_init(struct folder_set *s);
void folder_set_deinit(struct folder_set *s);
/* The folder in which the file stands, read at the first call. */
struct folder *folder_set_of(struct folder_set *s, const char *file);

/* A path's two halves: where it stands ("." if it says nothing), and its name there. */
str folder_of(str file);
/* Where the path leads if it is a symbolic link, whether or not anything stands there: a file is
 * rotated beside that.  The caller frees it. */
char *folder_follow(const char *path);
/* When a name last came, went or was changed where the file stands, ns since the epoch; 0 if that
 * cannot be told. */
int64_t folder_changed_ns(const char *file);
str folder_base_name(const char *file);
