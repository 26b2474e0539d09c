/* promtail/targets/file/glob.h - file name patterns as doublestar's: * ? [a-z] [!a] {a,b} ** and \.
 *
 * ** as a whole path component stands for any number of folders.  A star takes leading dots too.
 * Pure but for glob_expand(), which reads folders.  Patterns are bounded in what they expand to. */
#pragma once
#include "base/arena.h"
#include "base/vec.h"

#define GLOB_ALTERNATIVES_MAX 1024 /* that braces may expand to */
#define GLOB_DEPTH_MAX        128  /* folders below each other */
#define GLOB_PATHS_MAX        1000000

struct glob_result {
    struct arena *arena;
    struct {
        str *items;
        size_t len, cap;
    } paths; /* what matches, files and folders, in no order, maybe twice */
    void (*on_dir)(void *arg, str dir); /* each folder that was looked into; may be NULL */
    void *arg;
};

bool glob_has_meta(str pattern);
bool glob_match(str pattern, str path);
/* False if a class or braces are left open: such a pattern finds nothing. */
bool glob_is_valid(str pattern);
/* True if a path is left out.  A malformed exclusion leaves out everything, as in Promtail: what it
 * was to keep away is not known. */
bool glob_excludes(str exclude, str path);
/* Appends what exists and matches.  A pattern that is the name of an existing file is that file. */
void glob_expand(str pattern, struct glob_result *ret);
