/* The frames of Heroku's log drain. */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "promtail/targets/heroku_message.h"

Test(promtail_heroku, messages_are_cut_by_their_length)
{
    struct heroku_message m;
    str rest = STR("84 <190>1 2022-06-13T14:52:23.621815+00:00 host app web.1 - [GIN] 2022/06/13 "
                   "- GET \"/\"\n"
                   "48 <40>1 2012-11-30T06:45:26+01:00 h heroku web.3 a");
    cr_assert_eq(heroku_message_next(&rest, &m, NULL), 0);
    cr_assert(str_eq_c(m.host, "host") && str_eq_c(m.app, "app"));
    cr_assert(str_eq_c(m.proc, "web.1") && str_eq_c(m.id, "-"));
    cr_assert(str_eq_c(m.text, "[GIN] 2022/06/13 - GET \"/\"\n"), "the newline stays");
    cr_assert_eq(m.ts_ns, INT64_C(1655131943621815000));
    cr_assert_eq(heroku_message_next(&rest, &m, NULL), E_PARSE, "no field for the id");
}

Test(promtail_heroku, bad_frames_are_told_apart)
{
    static const struct {
        const char *body, *want;
    } bad[] = {
        {"xxxx", "missing frame length: bad frame"},
        {" 5 <1>1", "invalid frame length: bad frame"},
        {"x 5", "couldnt parse frame length: bad frame"},
        {"10 ---", "message boundary (13) not respected length (6): bad frame"},
        {"20000 x", "bufio.Scanner: token too long"},
        {"0 ", "EOF"},
        {"6 <1>1 x", "EOF"},
        {"4 1>1 x", "invalid pri-val"},
        {"8 <256>1 x", "invalid pri-val"},
        {"8 <1>1 x y", "parsing time \"x\": not a time"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct heroku_message m;
        struct error err = {0};
        str rest = str_c(bad[i].body);
        cr_assert_neq(heroku_message_next(&rest, &m, &err), 0, "%s", bad[i].body);
        cr_assert_str_eq(err.text, bad[i].want);
    }
}
