#include "base/civil.h"

#include "base/mem.h"

/* A 400-year cycle, as in days_from_civil by Howard Hinnant: years begin in March, so that the leap
 * day is the last one. */
#define CYCLE_DAYS  146097
#define CYCLE_SHIFT 719468 /* days from 0000-03-01 to 1970-01-01 */

bool civil_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int civil_days_before(int64_t year, int month)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    ASSERT(month >= 1 && month <= 13);
    return before[month - 1] + (month > 2 && civil_is_leap(year));
}

int civil_month_days(int64_t year, int month)
{
    return civil_days_before(year, month + 1) - civil_days_before(year, month);
}

int64_t civil_to_days(int64_t year, int month, int64_t day)
{
    year -= month <= 2;
    int64_t cycle = civil_floor_div(year, 400);
    int64_t in_cycle = year - cycle * 400;
    int64_t from_march = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    int64_t days = in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + from_march;
    return cycle * CYCLE_DAYS + days - CYCLE_SHIFT + day - 1;
}

struct civil civil_from_days(int64_t days)
{
    struct civil c = {0};
    c.week_day = (int)civil_floor_mod(days + 4, 7); /* 1970-01-01 was a Thursday */
    int64_t shifted = days + CYCLE_SHIFT;
    int64_t cycle = civil_floor_div(shifted, CYCLE_DAYS);
    int64_t d = shifted - cycle * CYCLE_DAYS;
    int64_t year = (d - d / 1460 + d / 36524 - d / (CYCLE_DAYS - 1)) / 365;
    int64_t in_year = d - (365 * year + year / 4 - year / 100);
    int from_march = (int)((5 * in_year + 2) / 153);
    c.day = (int)(in_year - (153 * from_march + 2) / 5 + 1);
    c.month = from_march < 10 ? from_march + 3 : from_march - 9;
    c.year = year + cycle * 400 + (c.month <= 2);
    c.year_day = civil_days_before(c.year, c.month) + c.day;
    return c;
}
