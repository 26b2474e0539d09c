/* tests/support/temp_dir.h - a folder for one test, and emptying it again. */
#pragma once
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define TEMP_DIR_MAX 64

/* Makes /tmp/loge_test_XXXXXX; false if that fails. */
static inline bool temp_dir_make(char out[TEMP_DIR_MAX])
{
    snprintf(out, TEMP_DIR_MAX, "/tmp/loge_test_XXXXXX");
    return mkdtemp(out) != NULL;
}

static inline int temp_dir_remove_one(const char *path, const struct stat *st, int type,
                                      struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/* Removes a folder and all that is in it; stays on its file system. */
static inline bool temp_dir_remove(const char *path)
{
    return nftw(path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0;
}
