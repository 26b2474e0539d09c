#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_die(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    ASSERT(p != NULL);
    return p;
}

void *mem_zalloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    ASSERT(p != NULL);
    return p;
}

void *mem_realloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    ASSERT(p != NULL);
    return p;
}

void *mem_array(size_t n, size_t item)
{
    void *p = calloc(n ? n : 1, item ? item : 1);
    ASSERT(p != NULL);
    return p;
}

char *mem_strdup(const char *s)
{
    if (s == NULL)
        return NULL;
    size_t size = strlen(s) + 1;
    return memcpy(mem_alloc(size), s, size);
}

void *mem_try_alloc(size_t size)
{
    return malloc(size ? size : 1);
}

void *mem_try_realloc(void *p, size_t size)
{
    return realloc(p, size ? size : 1);
}

void mem_trim(size_t at_least_bytes)
{
#ifdef __GLIBC__
    if (mallinfo2().fordblks >= at_least_bytes)
        malloc_trim(0);
#else
    (void)at_least_bytes;
#endif
}

void mem_keep(size_t bytes)
{
#ifdef __GLIBC__
    int n = (int)MIN(bytes, (size_t)1 << 30);
    mallopt(M_TRIM_THRESHOLD, n);
    mallopt(M_MMAP_THRESHOLD, n); /* what is mapped goes back at once */
#else
    (void)bytes;
#endif
}

void mem_free(void *p)
{
    free(p);
}
