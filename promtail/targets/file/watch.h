/* promtail/targets/file/watch.h - folders watched by inotify.
 *
 * One watch a folder, whatever is in it.  A folder that cannot be watched (no inotify, its limit
 * reached, a network file system that tells nothing) is only polled.  Loop thread only. */
#pragma once
#include "base/map.h"
#include "base/str.h"

struct loop;
struct watcher;

/* on_event: dir/name was written, or (is_new) made, renamed or removed; name is empty if it was the
 * folder itself. */
struct watcher *watcher_new(struct loop *l,
                            void (*on_event)(void *arg, str dir, str name, bool is_new), void *arg);
void watcher_free(struct watcher *w);
void watcher_add(struct watcher *w, str dir); /* again and again is fine */
/* True if changes below this folder will be told. */
bool watcher_has(const struct watcher *w, str dir);
