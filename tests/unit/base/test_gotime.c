/* Layouts, zones and RFC 3339: golden/gostyle/times.txt was printed by Go. */
#include "base/gotime.h"
#include "base/rfc3339.h"
#include "tests/support/golden.h"

static const char *const zone_names[] = {"UTC", "Europe/Berlin", "America/New_York",
                                         "Australia/Lord_Howe"};

static void answer(char kind, const struct tzone *zone, str layout, str value, struct buf *b)
{
    struct error err = {0};
    struct gotime t;
    int64_t at[2] = {0};
    if (kind == 'f') {
        memcpy(at, value.ptr, sizeof at);
        t = gotime_from_unix(at[0], at[1], zone);
        gotime_format(b, layout, &t);
    } else if (kind == 'r') {
        if (!rfc3339_parse(value, &at[0])) {
            buf_append_c(b, "bad");
            return;
        }
        buf_append_i64(b, at[0]);
        buf_append_char(b, ' ');
        rfc3339_append(b, at[0]);
    } else if (gotime_parse(layout, value, zone, zone, &t, &err) == 0) {
        gotime_append(b, &t);
        buf_append_char(b, '|');
        t = gotime_in(t, NULL);
        gotime_append(b, &t);
    } else {
        buf_append_c(b, err.text);
    }
}

Test(base_gotime, times_are_written_and_read_as_go_does)
{
    struct tzone *zones[4];
    struct golden g;
    int n = 0;
    for (int i = 0; i < 4; i++)
        cr_assert_eq(tzone_load(str_c(zone_names[i]), &zones[i], NULL), 0);
    for (golden_open(&g, "gostyle/times.txt"); golden_next(&g) > 0; n++) {
        struct buf b;
        buf_init(&b, 1 << 16);
        answer(g.words[0].ptr[0], zones[g.words[1].ptr[0] - '0'], buf_str(&g.words[2]),
               buf_str(&g.words[3]), &b);
        cr_expect(str_eq(buf_str(&b), buf_str(&g.words[4])), "line %d: %s, want %s", g.number,
                  buf_c(&b), buf_c(&g.words[4]));
        buf_deinit(&b);
    }
    for (int i = 0; i < 4; i++)
        tzone_free(zones[i]);
    cr_expect_gt(n, 500);
}

Test(base_gotime, dates_run_over_as_time_date_does)
{
    struct gotime t = gotime_date(2026, 14, 31, 25, 0, 0, -1, NULL);
    struct buf b;
    buf_init(&b, 100);
    gotime_append(&b, &t);
    cr_expect_str_eq(buf_c(&b), "2027-03-04 00:59:59.999999999 +0000 UTC");
    buf_deinit(&b);
}

Test(base_tzone, unknown_and_dangerous_names_are_refused)
{
    struct tzone *z;
    struct error err = {0};
    cr_expect_eq(tzone_load(STR("Mars/Olympus"), &z, &err), E_NOT_FOUND);
    cr_expect_str_eq(err.text, "unknown time zone Mars/Olympus");
    error_clear(&err);
    cr_expect_eq(tzone_load(STR("../etc/passwd"), &z, &err), E_INVALID);
    cr_expect_eq(tzone_parse(STR("x"), STR("TZif2"), &z, NULL), E_CORRUPT);
}

Test(base_tzone, every_cut_of_a_zone_file_is_refused_or_read)
{
    char bytes[8192];
    FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
    cr_assert_not_null(f);
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t n = 0; n < len; n++) {
        char *copy = str_dup_c(str_make(bytes, n)); /* so that a read past the end is seen */
        struct tzone *z = NULL;
        if (tzone_parse(STR("x"), str_make(copy, n), &z, NULL) == 0)
            tzone_at(z, 1793494754);
        tzone_free(z);
        free(copy);
    }
}

Test(base_civil, days_and_dates_agree)
{
    for (int64_t d = -800000; d < 800000; d += 37) {
        struct civil c = civil_from_days(d);
        cr_assert_eq(civil_to_days(c.year, c.month, c.day), d);
        cr_assert(c.day >= 1 && c.day <= civil_month_days(c.year, c.month));
    }
}

Test(base_gotime, a_fraction_has_any_number_of_digits)
{
    static const char digits[] = "1234567890123";
    int64_t want = 1696551429000000000, unit = 100000000;
    for (size_t n = 1; n < sizeof digits; n++) {
        char text[64];
        int len = snprintf(text, sizeof text, "2023-10-06T00:17:09.%.*sZ", (int)n, digits);
        int64_t ns = 0;
        want += n <= 9 ? (digits[n - 1] - '0') * unit : 0;
        unit /= 10;
        cr_assert(rfc3339_parse(str_make(text, (size_t)len), &ns), "%s", text);
        cr_assert_eq(ns, want, "%s: %lld", text, (long long)ns);
        for (size_t bad = 20; bad < 20 + n; bad++) {
            char kept = text[bad];
            text[bad] = ':';
            cr_assert(!rfc3339_parse(str_make(text, (size_t)len), &ns), "%s", text);
            text[bad] = kept;
        }
    }
}

Test(base_gotime, noon_is_midnight_where_am_is_said_beside_pm)
{
    struct gotime t;
    cr_assert_eq(gotime_parse(STR("2006 3PM pm"), STR("2024 12AM pm"), NULL, NULL, &t, NULL), 0);
    cr_expect_eq(gotime_fields(&t).hour, 0);
    cr_assert_eq(gotime_parse(STR("2006 3PM pm"), STR("2024 3AM pm"), NULL, NULL, &t, NULL), 0);
    cr_expect_eq(gotime_fields(&t).hour, 15);
}
