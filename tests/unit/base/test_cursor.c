#include <criterion/criterion.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/mem.h"

Test(base_cursor, reads_back_what_was_put)
{
    struct buf b;
    buf_init(&b, 1000);
    const uint64_t numbers[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        size_t before = b.len;
        buf_put_uvarint(&b, numbers[i]);
        cr_assert_eq(b.len - before, uvarint_size(numbers[i]));
        buf_put_varint(&b, (int64_t)numbers[i]);
    }
    buf_put_u32(&b, 0x01020304);
    buf_put_u64_be(&b, 42);
    buf_put_lenstr(&b, STR("text"));
    struct cursor c = cursor_make(buf_str(&b));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        cr_assert_eq(cursor_uvarint(&c), numbers[i]);
        cr_assert_eq(cursor_varint(&c), (int64_t)numbers[i]);
    }
    cr_assert_eq(cursor_u32(&c), 0x01020304);
    cr_assert_eq(cursor_u64_be(&c), 42);
    cr_assert(str_eq(cursor_lenstr(&c), STR("text")));
    cr_assert(cursor_ok(&c) && cursor_at_end(&c));
    buf_deinit(&b);
}

Test(base_cursor, the_first_short_read_sticks)
{
    struct cursor c = cursor_make(STR("\x05"
                                      "ab"));
    cr_assert_eq(cursor_lenstr(&c).len, 0);
    cr_assert_not(cursor_ok(&c));
    cr_assert_eq(cursor_u8(&c), 0);
}

Test(base_cursor, refuses_varints_over_64_bits)
{
    struct cursor c = cursor_make(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    cursor_uvarint(&c);
    cr_assert_not(cursor_ok(&c));
    c = cursor_make(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    cursor_uvarint(&c);
    cr_assert_not(cursor_ok(&c));
}

Test(base_crc32c, has_the_known_check_value)
{
    cr_assert_eq(crc32c(0, STR("123456789")), 0xE3069283);
    cr_assert_eq(crc32c(crc32c(0, STR("1234")), STR("56789")), 0xE3069283, "it goes on");
}

Test(base_crc32c, a_long_run_is_the_sum_of_short_ones)
{
    static char bytes[20000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * i >> 3);
    static const size_t lengths[] = {3071, 3072, 3073, 6144, 10001, 20000};
    for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
        uint32_t crc = 0;
        for (size_t at = 0; at < lengths[k]; at += 7)
            crc = crc32c(crc, str_make(bytes + at, MIN((size_t)7, lengths[k] - at)));
        cr_assert_eq(crc32c(0, str_make(bytes, lengths[k])), crc, "%zu bytes", lengths[k]);
    }
}

Test(base_hash, has_the_known_check_values)
{
    cr_assert_eq(hash_xxh64(STR(""), 0), UINT64_C(0xef46db3751d8e999));
    struct hash_state h;
    hash_start(&h, 0);
    hash_add(&h, "ab", 2);
    hash_add(&h, "c", 1);
    cr_assert_eq(hash_end(&h), hash_xxh64(STR("abc"), 0));
    cr_assert_eq(hash_fnv32(HASH_FNV32_START, STR("a")), 0x050c5d7e, "FNV-1, not 1a");
}
