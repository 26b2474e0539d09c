#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/needle.h"

static const char *find_plainly(str needle, bool is_caseless, const char *text, size_t len)
{
    for (size_t i = 0; i + needle.len <= len; i++) {
        str here = str_make(text + i, needle.len);
        if (is_caseless ? str_eq_nocase(here, needle) : str_eq(here, needle))
            return text + i;
    }
    return NULL;
}

/* All needle and text lengths around the steps of the vectorised search; the text ends at the end
 * of its allocation, so that a sanitizer sees a read past it. */
Test(base_needle, finds_what_a_plain_search_finds)
{
    srand(7);
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)(rand() % 300), n = 1 + (size_t)(rand() % (round % 3 == 0 ? 40 : 4));
        bool is_caseless = round % 2 == 0;
        char *text = mem_alloc(len + (len == 0)), needle[40];
        for (size_t i = 0; i < len; i++)
            text[i] = "abABz[{\n"[rand() % 8];
        for (size_t i = 0; i < n; i++)
            needle[i] = "abzb[{\n{"[rand() % 8];
        if (len > n && rand() % 2 == 0) {
            memcpy(needle, text + (size_t)rand() % (len - n), n);
            for (size_t i = 0; i < n && is_caseless; i++)
                needle[i] = needle[i] >= 'A' && needle[i] <= 'Z' ? needle[i] | 0x20 : needle[i];
        }
        struct needle compiled;
        needle_init(&compiled, str_make(needle, n), is_caseless);
        cr_assert_eq(needle_find(&compiled, text, len),
                     find_plainly(str_make(needle, n), is_caseless, text, len));
        mem_free(text);
    }
}
