#include "promtail/client/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/vec.h"
#include "runtime/log.h"

#define COMPONENT      "client"
#define PREFIX         "client-"
#define NAME_MAX_BYTES 24
/* In a folder whose client had gone at a start, and none came for it. */
#define LEFT_FILE "left"

static void folder_name(const struct client_config *client, char ret[NAME_MAX_BYTES])
{
    uint64_t key =
        hash_xxh64(str_c(client->url),
                   hash_xxh64(str_c(client->name), hash_xxh64(str_c(client->tenant_id), 0)));
    snprintf(ret, NAME_MAX_BYTES, PREFIX "%016llx", (unsigned long long)key);
}

static int join(char ret[FOLDER_PATH_BYTES], const char *dir, const char *name, struct error *err)
{
    int n = snprintf(ret, FOLDER_PATH_BYTES, "%s/%s", dir, name);
    if (n < 0 || n >= FOLDER_PATH_BYTES)
        return error_set(err, E_INVALID, "path of the state folder is too long");
    return 0;
}

int folder_path(const char *state_dir, const struct client_config *client,
                char ret[FOLDER_PATH_BYTES], struct error *err)
{
    char name[NAME_MAX_BYTES];
    folder_name(client, name);
    return join(ret, state_dir, name, err);
}

bool folder_exists(const char *state_dir, const struct client_config *client)
{
    char path[FOLDER_PATH_BYTES];
    return folder_path(state_dir, client, path, NULL) == 0 && access(path, F_OK) == 0;
}

/* --- folders without a client --- */

struct orphan {
    char name[NAME_MAX_BYTES];
};

static bool has_client(str name, const struct client_config *clients, size_t n)
{
    char own[NAME_MAX_BYTES];
    for (size_t i = 0; i < n; i++) {
        folder_name(&clients[i], own);
        if (str_eq_c(name, own))
            return true;
    }
    return false;
}

/* 0 if `folder` was left before. */
static int left_path(const char *state_dir, const char *folder, char ret[FOLDER_PATH_BYTES])
{
    char path[FOLDER_PATH_BYTES];
    int rc = join(path, state_dir, folder, NULL);
    return rc != 0 ? rc : join(ret, path, LEFT_FILE, NULL);
}

static bool was_left(const char *state_dir, const char *folder)
{
    char path[FOLDER_PATH_BYTES];
    return left_path(state_dir, folder, path) == 0 && access(path, F_OK) == 0;
}

static void leave(const char *state_dir, const char *folder)
{
    char path[FOLDER_PATH_BYTES];
    if (left_path(state_dir, folder, path) != 0)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    log_warn(COMPONENT, "journal of a client that is not configured any more is left as it is",
             LOG_C("folder", folder));
}

/* Its client is back, or another has it now. */
static void take_back(const char *state_dir, const struct client_config *client)
{
    char name[NAME_MAX_BYTES], path[FOLDER_PATH_BYTES];
    folder_name(client, name);
    if (left_path(state_dir, name, path) == 0)
        unlink(path);
}

static void take_over(const char *state_dir, const char *folder, const struct client_config *heir)
{
    char from[FOLDER_PATH_BYTES], to[FOLDER_PATH_BYTES];
    if (join(from, state_dir, folder, NULL) != 0 || folder_path(state_dir, heir, to, NULL) != 0)
        return;
    if (rename(from, to) != 0)
        log_error(COMPONENT, "cannot take the journal of another client over",
                  LOG_C("folder", folder), LOG_C("err", strerror(errno)));
    else
        log_info(COMPONENT,
                 "client takes over what was not delivered by one that is not configured any more",
                 LOG_C("client", heir->name[0] != '\0' ? heir->name : heir->url),
                 LOG_C("folder", folder));
}

void folders_settle(const char *state_dir, const struct client_config *clients, size_t n)
{
    VEC(struct orphan) orphans = {0};
    DIR *d = opendir(state_dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        str name = str_c(e->d_name);
        struct orphan o;
        if (!str_has_prefix(name, STR(PREFIX)) || name.len >= sizeof o.name ||
            has_client(name, clients, n) || was_left(state_dir, e->d_name))
            continue;
        snprintf(o.name, sizeof o.name, "%.*s", STR_ARG(name));
        VEC_PUSH(&orphans, o);
    }
    if (d != NULL)
        closedir(d);
    const struct client_config *heir = NULL;
    size_t n_new = 0;
    for (size_t i = 0; i < n; i++) {
        if (folder_exists(state_dir, &clients[i]))
            take_back(state_dir, &clients[i]);
        else
            heir = &clients[i], n_new++;
    }
    if (orphans.len == 1 && n_new == 1)
        take_over(state_dir, orphans.items[0].name, heir);
    for (size_t i = 0; i < orphans.len && !(orphans.len == 1 && n_new == 1); i++)
        leave(state_dir, orphans.items[i].name);
    VEC_FREE(&orphans);
}
