#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define ARENA_PAGE_BYTES     (16 * 1024) /* first page; later ones double up to the next line */
#define ARENA_PAGE_BYTES_MAX (1024 * 1024)
#define ARENA_ALIGN          16

struct arena_page {
    struct arena_page *next;
    size_t size;
    _Alignas(ARENA_ALIGN) char bytes[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){.limit = limit_bytes};
}

static void free_pages(struct arena_page *page)
{
    while (page != NULL) {
        struct arena_page *next = page->next;
        mem_free(page);
        page = next;
    }
}

void arena_deinit(struct arena *a)
{
    free_pages(a->pages);
    arena_init(a, a->limit);
}

void arena_reset(struct arena *a)
{
    if (a->pages == NULL)
        return;
    free_pages(a->pages->next);
    a->pages->next = NULL;
    a->used = a->pages->size;
    a->at = a->pages->bytes;
    a->end = a->at + a->pages->size;
}

static bool add_page(struct arena *a, size_t need)
{
    size_t size = a->pages == NULL ? ARENA_PAGE_BYTES : a->pages->size * 2;
    size = MIN(size, (size_t)ARENA_PAGE_BYTES_MAX);
    size = MAX(size, need);
    struct arena_page *page = mem_try_alloc(sizeof *page + size);
    if (page == NULL)
        return false;
    page->next = a->pages;
    page->size = size;
    a->pages = page;
    a->at = page->bytes;
    a->end = page->bytes + size;
    a->used += size;
    return true;
}

static void *take(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - ARENA_ALIGN)
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if ((a->at == NULL || size > (size_t)(a->end - a->at)) && !add_page(a, size))
        return NULL;
    void *p = a->at;
    a->at += size;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *p = take(a, size);
    ASSERT(p != NULL);
    return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

void *arena_try_alloc(struct arena *a, size_t size)
{
    if (size > (size_t)(a->end - a->at) && (size > a->limit || a->used > a->limit - size))
        return NULL;
    return take(a, size);
}

str arena_str(struct arena *a, str s)
{
    return str_make(arena_c(a, s), s.len);
}

char *arena_c(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.len + 1);
    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return p;
}

str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return str_make(p, (size_t)n);
}
