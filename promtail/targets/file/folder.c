#include "promtail/targets/file/folder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"

#define LINKS_MAX 16

struct folder {
    struct arena arena;
    struct folder_entry *items; /* sorted by name */
    size_t len, cap;
};

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct folder_entry *)a)->name, ((const struct folder_entry *)b)->name);
}

struct folder *folder_read(const char *path)
{
    struct folder *f = mem_zalloc(sizeof *f);
    arena_init(&f->arena, SIZE_MAX);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        str name = str_c(e->d_name);
        str whole = arena_printf(&f->arena, "%s/%.*s", path, STR_ARG(name));
        struct folder_entry one = {
            .name = str_from(whole, whole.len - name.len), .path = whole.ptr, .ino = e->d_ino};
        VEC_PUSH(f, one);
    }
    if (d != NULL)
        closedir(d);
    if (f->len > 0)
        qsort(f->items, f->len, sizeof *f->items, by_name);
    return f;
}

void folder_free(struct folder *f)
{
    if (f == NULL)
        return;
    VEC_FREE(f);
    arena_deinit(&f->arena);
    mem_free(f);
}

size_t folder_find(struct folder *f, str prefix, struct folder_entry **ret_first)
{
    size_t low = 0, high = f->len, n = 0;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (str_cmp(f->items[mid].name, prefix) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_first = f->items == NULL ? NULL : f->items + low;
    while (low + n < f->len && str_has_prefix(f->items[low + n].name, prefix))
        n++;
    return n;
}

/* --- of many tails --- */

void folder_set_init(struct folder_set *s)
{
    *s = (struct folder_set){0};
    strmap_init(&s->by_path);
}

void folder_set_deinit(struct folder_set *s)
{
    size_t at = 0;
    void *item;
    while (strmap_next(&s->by_path, &at, NULL, &item))
        folder_free(item);
    strmap_deinit(&s->by_path);
}

struct folder *folder_set_of(struct folder_set *s, const char *file)
{
    str path = folder_of(str_c(file));
    struct folder *f = strmap_get(&s->by_path, path);
    if (f == NULL) {
        char *name = str_dup_c(path);
        f = folder_read(name);
        strmap_put(&s->by_path, path, f);
        mem_free(name);
    }
    return f;
}

/* --- paths --- */

str folder_of(str file)
{
    size_t slash = str_rfind_char(file, '/');
    return slash == STR_NPOS ? STR(".") : str_sub(file, 0, MAX(slash, 1));
}

int64_t folder_changed_ns(const char *file)
{
    struct stat st;
    char *folder = str_dup_c(folder_of(str_c(file)));
    bool is_there = stat(folder, &st) == 0;
    mem_free(folder);
    return is_there ? st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec : 0;
}

str folder_base_name(const char *file)
{
    str whole = str_c(file);
    size_t slash = str_rfind_char(whole, '/');
    return slash == STR_NPOS ? whole : str_from(whole, slash + 1);
}

/* A link's text counts from the folder of the link. */
static char *beside(const char *link, const char *text)
{
    if (text[0] == '/')
        return mem_strdup(text);
    str folder = folder_of(str_c(link));
    size_t size = folder.len + strlen(text) + 2;
    char *path = mem_alloc(size);
    snprintf(path, size, "%.*s/%s", STR_ARG(folder), text);
    return path;
}

char *folder_follow(const char *path)
{
    char *at = mem_strdup(path);
    for (int i = 0; i < LINKS_MAX; i++) {
        char text[PATH_MAX];
        ssize_t n = readlink(at, text, sizeof text - 1);
        if (n <= 0)
            break;
        text[n] = '\0';
        char *next = beside(at, text);
        mem_free(at);
        at = next;
    }
    return at;
}
