/* buf, arena, vec: what the rest stands on. */
#include <criterion/criterion.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"

Test(base_buf, an_append_past_the_maximum_fails_and_sticks)
{
    struct buf b;
    buf_init(&b, 10);
    cr_assert(buf_append_c(&b, "12345678"));
    cr_assert_not(buf_append_c(&b, "abc"));
    cr_assert(b.failed);
    cr_assert(str_eq(buf_str(&b), STR("12345678")), "unchanged");
    cr_assert(buf_append_c(&b, "ab"), "what fits still goes in");
    cr_assert(b.failed, "but the failure stays");
    buf_reset(&b);
    cr_assert_not(b.failed);
    buf_deinit(&b);
}

Test(base_buf, repeats_text_as_far_as_it_fits)
{
    struct buf b;
    buf_init(&b, 20);
    cr_assert(buf_append_c(&b, "<"));
    cr_assert(buf_append_repeated(&b, STR("abc"), 5));
    cr_assert(buf_append_repeated(&b, STR("x"), 1));
    cr_assert(buf_append_repeated(&b, STR("x"), 0));
    cr_assert(buf_append_repeated(&b, STR(""), UINT64_MAX));
    cr_assert(str_eq(buf_str(&b), STR("<abcabcabcabcabcx")));
    cr_assert_not(buf_append_repeated(&b, STR("abcd"), 1));
    cr_assert_not(buf_append_repeated(&b, STR("abcd"), UINT64_MAX / 2), "overflow");
    cr_assert_eq(b.len, 17);
    cr_assert(b.failed);
    buf_deinit(&b);
}

Test(base_buf, prints_numbers_to_their_ends)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_append_i64(&b, INT64_MIN);
    buf_append_char(&b, ' ');
    buf_append_u64(&b, UINT64_MAX);
    buf_append_char(&b, ' ');
    buf_append_i64(&b, 0);
    buf_printf(&b, " %s", "x");
    cr_assert_str_eq(buf_c(&b), "-9223372036854775808 18446744073709551615 0 x");
    size_t len;
    char *taken = buf_take(&b, &len);
    cr_assert_eq(b.len, 0);
    mem_free(taken);
    buf_deinit(&b);
}

Test(base_arena, the_try_form_stops_at_the_limit_and_a_reset_starts_again)
{
    struct arena a;
    arena_init(&a, 64 * 1024);
    cr_assert_not_null(arena_try_alloc(&a, 30 * 1024));
    cr_assert_null(arena_try_alloc(&a, 60 * 1024));
    cr_assert_null(arena_try_alloc(&a, SIZE_MAX));
    arena_reset(&a);
    cr_assert_not_null(arena_try_alloc(&a, 30 * 1024));
    arena_deinit(&a);
}

Test(base_arena, gives_aligned_memory_and_terminated_copies)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 1; i < 100; i++)
        cr_assert_eq((uintptr_t)arena_alloc(&a, i) % 16, 0);
    str s = arena_str(&a, STR("text"));
    cr_assert_eq(s.ptr[s.len], '\0');
    cr_assert(str_eq(arena_printf(&a, "%d-%s", 7, "x"), STR("7-x")));
    arena_deinit(&a);
}

Test(base_vec, grows_on_the_heap_and_in_an_arena)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    VEC(int) heap = {0}, own = {0};
    for (int i = 0; i < 1000; i++) {
        VEC_PUSH(&heap, i);
        VEC_PUSH_ARENA(&a, &own, i * 2);
    }
    for (int i = 0; i < 1000; i++)
        cr_assert(heap.items[i] == i && own.items[i] == i * 2);
    VEC_FREE(&heap);
    arena_deinit(&a);
}
