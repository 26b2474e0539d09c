/* base/vec.h - a growing array of any type: VEC(struct foo) v = {0}; VEC_PUSH(&v, item);
 *
 * Memory comes from the heap; an arena twin (VEC_PUSH_ARENA) never frees the old one.  Items may
 * move at any push, so keep indices, not pointers. */
#pragma once
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t len;                                                                                \
        size_t cap;                                                                                \
    }

#define VEC_GROW_CAP(v) ((v)->cap ? (v)->cap * 2 : 8)

#define VEC_PUSH(v, ...)                                                                           \
    do {                                                                                           \
        if ((v)->len == (v)->cap) {                                                                \
            (v)->cap = VEC_GROW_CAP(v);                                                            \
            (v)->items = mem_realloc((v)->items, (v)->cap * sizeof *(v)->items);                   \
        }                                                                                          \
        (v)->items[(v)->len++] = (__VA_ARGS__);                                                    \
    } while (0)

#define VEC_PUSH_ARENA(arena, v, ...)                                                              \
    do {                                                                                           \
        if ((v)->len == (v)->cap) {                                                                \
            (v)->cap = VEC_GROW_CAP(v);                                                            \
            void *vec_grown_ = arena_alloc((arena), (v)->cap * sizeof *(v)->items);                \
            if ((v)->len > 0)                                                                      \
                memcpy(vec_grown_, (v)->items, (v)->len * sizeof *(v)->items);                     \
            (v)->items = vec_grown_;                                                               \
        }                                                                                          \
        (v)->items[(v)->len++] = (__VA_ARGS__);                                                    \
    } while (0)

#define VEC_FREE(v)                                                                                \
    do {                                                                                           \
        mem_free((v)->items);                                                                      \
        (v)->items = NULL;                                                                         \
        (v)->len = (v)->cap = 0;                                                                   \
    } while (0)
