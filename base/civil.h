/* base/civil.h - dates of the (proleptic) Gregorian calendar and days since 1970-01-01. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct civil {
    int64_t year;
    int month;    /* 1..12 */
    int day;      /* 1..31 */
    int year_day; /* 1..366 */
    int week_day; /* 0 = Sunday */
};

bool civil_is_leap(int64_t year);
/* Days of a month, 1..12. */
int civil_month_days(int64_t year, int month);
/* Days of a year before the month begins. */
int civil_days_before(int64_t year, int month);
/* Days from 1970-01-01; month 1..12, a day beyond the month runs on into the next. */
int64_t civil_to_days(int64_t year, int month, int64_t day);
struct civil civil_from_days(int64_t days);

/* Floor division: civil_floor_div(-1, 86400) is -1. */
static inline int64_t civil_floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static inline int64_t civil_floor_mod(int64_t a, int64_t b)
{
    return a - civil_floor_div(a, b) * b;
}
