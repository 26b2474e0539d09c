/* promtail/targets/file/file_target.h - a pattern with labels, and the tails of the paths that
 * match.
 *
 * Loop thread only. */
#pragma once
#include "promtail/targets/file/folder.h"
#include "promtail/targets/file/tail.h"
#include "promtail/targets/file/watch.h"

/* What the targets of one job share. */
struct file_target_env {
    struct tail_env tails;
    struct watcher *watcher;
    struct strmap links; /* what a link among the paths stands for -> the environment */
};

struct file_target {
    struct file_target_env *env;
    char *key;
    struct label_list discovered, labels; /* in arena; labels without internal ones */
    struct arena arena;
    str pattern, exclude; /* absolute */
    struct strmap tails;  /* path -> struct tail */
    unsigned round;       /* of the manager */
    bool was_scanned;
    bool is_leaving; /* nobody wants it any more: what there is is read, then it is freed */
    int64_t left_mono_ns;
};

/* `key` and the labels are copied; __path__ and __path_exclude__ are among `labels`.  Looks for no
 * file yet: file_target_scan() does. */
struct file_target *file_target_new(struct file_target_env *env, str key,
                                    const struct label_list *discovered,
                                    const struct label_list *labels);
void file_target_free(struct file_target *t);
/* Begins nothing new; a target that is wanted again comes back. */
void file_target_leave(struct file_target *t);
void file_target_come_back(struct file_target *t);
/* True once a target that leaves has read all, or has had its time. */
bool file_target_is_over(const struct file_target *t);
/* Frees one that is over. */
void file_target_let_go(struct file_target *t);
/* Reads the folders of the pattern and begins a tail for each new path. */
void file_target_scan(struct file_target *t);
/* Looks at every tail, and lets go of those that are over. */
void file_target_check(struct file_target *t);
/* The same for those that no event tells about. */
void file_target_check_unwatched(struct file_target *t);
/* Begins what waits for it; false if some must be tried again with folders read anew. */
bool file_target_begin(struct file_target *t, struct folder_set *folders);
