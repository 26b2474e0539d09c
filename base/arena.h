/* base/arena.h - memory that dies together: one arena per request or per query.
 *
 * Allocation is a pointer bump; nothing is freed singly.  An arena has one user at a time.  It has
 * a limit: arena_alloc aborts only when the system is out of memory, arena_try_alloc returns NULL
 * past the limit; what is sized by input uses the try form or checks arena_used() at its loop. */
#pragma once
#include "base/str.h"

struct arena_page;

struct arena {
    struct arena_page *pages;
    char *at, *end;
    size_t used;  /* bytes handed out or held in pages */
    size_t limit; /* for the try form */
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_deinit(struct arena *a);
/* Frees all but the newest page and starts again. */
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t size);     /* 16-byte aligned, not zeroed */
void *arena_zalloc(struct arena *a, size_t size);    /* zeroed */
void *arena_try_alloc(struct arena *a, size_t size); /* NULL past the limit */
str arena_str(struct arena *a, str s);               /* a copy, NUL behind it (not in len) */
char *arena_c(struct arena *a, str s);               /* a NUL-terminated copy */
str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Bytes held by the arena. */
static inline size_t arena_used(const struct arena *a)
{
    return a->used;
}

#define ARENA_NEW(a, type)      ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(n)))
