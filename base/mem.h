/* base/mem.h - allocation and assertions.
 *
 * Small bounded allocations abort on failure: mem_*.  Anything sized by input has gone through a
 * limit and uses mem_try_*, which returns NULL.  ASSERT is for programmer errors and is always
 * compiled in; bad bytes from disk or network are never an ASSERT. */
#pragma once
#include <stddef.h>

void *mem_alloc(size_t size);                /* not zeroed; never NULL */
void *mem_zalloc(size_t size);               /* zeroed; never NULL */
void *mem_realloc(void *p, size_t size);     /* never NULL */
void *mem_array(size_t n, size_t item);      /* zeroed; aborts on overflow of n * item */
char *mem_strdup(const char *s);             /* NULL gives NULL */
void *mem_try_alloc(size_t size);            /* NULL when out of memory */
void *mem_try_realloc(void *p, size_t size); /* NULL leaves p as it was */
/* Gives memory that is free back to the system if it is at least so much.  Slow: milliseconds. */
void mem_trim(size_t at_least_bytes);
/* Keeps up to so much free memory at hand: for who fills and frees large buffers again and again,
 * which by default costs a page fault for each of their pages.  Once, at the start. */
void mem_keep(size_t bytes);
void mem_free(void *p); /* NULL allowed */

void mem_die(const char *file, int line, const char *what) __attribute__((noreturn));

#define ASSERT(cond)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            mem_die(__FILE__, __LINE__, #cond);                                                    \
    } while (0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#ifndef MIN /* <sys/param.h> has the same two; both evaluate their arguments twice */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
