#include "index/mapping.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define PATH_BYTES_MAX 4096

/* One line of maps: 7f00-7f10 r--s 00000000 fe:01 1234     /path.  The path decides: device and
 * inode are not those that fstat() shows on every kind of file system (overlayfs, btrfs). */
static const char *address_in(const char *line, str path)
{
    unsigned long from, to;
    unsigned long long offset;
    int end = 0;
    if (sscanf(line, "%lx-%lx %*s %llx %*s %*s %n", &from, &to, &offset, &end) != 3 || end == 0)
        return NULL;
    str rest = str_c(line + end);
    if (str_has_suffix(rest, STR("\n")))
        rest.len--;
    return offset == 0 && str_eq(rest, path) ? (const char *)(uintptr_t)from : NULL;
}

const char *mapping_of_file(int fd)
{
    char link[32], path[PATH_BYTES_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path);
    FILE *f = n > 0 && n < PATH_BYTES_MAX ? fopen("/proc/self/maps", "re") : NULL;
    if (f == NULL)
        return NULL;
    const char *found = NULL;
    char *line = NULL;
    size_t size = 0;
    while (found == NULL && getline(&line, &size, f) > 0)
        found = address_in(line, str_make(path, (size_t)n));
    free(line);
    fclose(f);
    return found;
}
