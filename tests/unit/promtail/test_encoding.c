/* The encodings of files, against the tables of the Web's encodings. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "promtail/targets/file/encoding.h"

static void check(const char *name, const char *line, const char *want)
{
    struct encoding *e;
    struct buf out;
    buf_init(&out, 4096);
    cr_assert_eq(encoding_open(name, &e, NULL), 0, "%s", name);
    encoding_decode(e, str_c(line), 0, &out);
    cr_assert_str_eq(buf_c(&out), want, "%s", name);
    encoding_close(e);
    buf_deinit(&out);
}

Test(promtail_encoding, bytes_without_a_character_in_windows_pages_are_control_characters)
{
    check("windows-1252", "\x80\x81\x8dx", "\xe2\x82\xac\xc2\x81\xc2\x8dx");
    check("Windows-1251", "\xcf\x98", "\xd0\x9f\xc2\x98");
    check("windows-1253", "\xaa", "\xef\xbf\xbd");
    check("us-ascii", "\x80x", "\xef\xbf\xbdx");
}

Test(promtail_encoding, japanese_and_korean_are_those_of_the_web)
{
    check("shift_jis", "C:\\~ \x82\xa0\x87\x40", "C:\\~ \xe3\x81\x82\xe2\x91\xa0");
    check("EUC-JP", "\\ \xa4\xa2\xad\xa1", "\\ \xe3\x81\x82\xe2\x91\xa0");
    check("euc-kr", "\xb0\xa1\x81\x41", "\xea\xb0\x80\xea\xb0\x82");
}

Test(promtail_encoding, an_unknown_name_is_refused)
{
    struct encoding *e;
    cr_assert_neq(encoding_open("no-such-encoding", &e, NULL), 0);
}
