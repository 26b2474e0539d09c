#include "promtail/targets/file/watch.h"

#include <sys/vfs.h>
#include <unistd.h>

#include <uv.h>

#include "base/mem.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#define COMPONENT "file"

struct watch {
    uv_fs_event_t uv; /* first member: freed when libuv has closed it */
    struct watcher *watcher;
    char *dir;
};

struct watcher {
    struct loop *loop;
    void (*on_event)(void *arg, str dir, str name, bool is_new);
    void *arg;
    struct strmap by_dir; /* dir -> struct watch, or the watcher itself if it cannot be watched */
    bool said_error;
};

struct watcher *watcher_new(struct loop *l,
                            void (*on_event)(void *arg, str dir, str name, bool is_new), void *arg)
{
    struct watcher *w = mem_zalloc(sizeof *w);
    w->loop = l;
    w->on_event = on_event;
    w->arg = arg;
    strmap_init(&w->by_dir);
    return w;
}

static void on_closed(uv_handle_t *h)
{
    struct watch *one = (struct watch *)h;
    mem_free(one->dir);
    mem_free(one);
}

static void close_watch(struct watch *one)
{
    one->watcher = NULL;
    uv_close((uv_handle_t *)&one->uv, on_closed);
}

void watcher_free(struct watcher *w)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&w->by_dir, &at, NULL, &item))
        if (item != w)
            close_watch(item);
    strmap_deinit(&w->by_dir);
    mem_free(w);
}

static void on_fs_event(uv_fs_event_t *uv, const char *name, int events, int status)
{
    struct watch *one = (struct watch *)uv;
    struct watcher *w = one->watcher;
    if (w == NULL)
        return;
    str dir = str_c(one->dir);
    bool is_gone = status != 0 || access(one->dir, F_OK) != 0;
    w->on_event(w->arg, dir, str_c(name), (events & UV_RENAME) != 0 || is_gone);
    if (is_gone && strmap_get(&w->by_dir, dir) == one) { /* another folder may come by this name */
        strmap_remove(&w->by_dir, dir);
        close_watch(one);
    }
}

/* File systems that do not tell what others write. */
static bool is_remote(const char *dir)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return false;
    switch ((unsigned long)fs.f_type) {
    case 0x6969UL:     /* NFS */
    case 0xff534d42UL: /* CIFS */
    case 0xfe534d42UL: /* SMB2 */
    case 0x01021997UL: /* 9P */
    case 0x65735546UL: /* FUSE */
        return true;
    default:
        return false;
    }
}

void watcher_add(struct watcher *w, str dir)
{
    if (strmap_get(&w->by_dir, dir) != NULL)
        return;
    struct watch *one = mem_zalloc(sizeof *one);
    one->watcher = w;
    one->dir = str_dup_c(dir);
    if (access(one->dir, F_OK) != 0 || is_remote(one->dir)) {
        mem_free(one->dir);
        mem_free(one);
        return;
    }
    uv_fs_event_init(loop_uv(w->loop), &one->uv);
    int rc = uv_fs_event_start(&one->uv, on_fs_event, one->dir, 0);
    if (rc == 0) {
        strmap_put(&w->by_dir, dir, one);
        return;
    }
    if (!w->said_error)
        log_warn(COMPONENT, "cannot watch a folder, its files are polled", LOG_S("dir", dir),
                 LOG_C("err", uv_strerror(rc)));
    w->said_error = true;
    strmap_put(&w->by_dir, dir, w);
    close_watch(one);
}

bool watcher_has(const struct watcher *w, str dir)
{
    void *item = strmap_get(&w->by_dir, dir);
    return item != NULL && item != w;
}
