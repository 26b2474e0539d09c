#include "base/golayout.h"

#include "base/mem.h"

const char *const golayout_months[12] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
const char *const golayout_weekdays[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};

/* Where one text begins another, the longer stands first. */
static const struct {
    const char *text;
    enum golayout_kind kind;
} elements[] = {
    {"January", GOLAYOUT_LONG_MONTH},
    {"Jan", GOLAYOUT_MONTH},
    {"Monday", GOLAYOUT_LONG_WEEKDAY},
    {"Mon", GOLAYOUT_WEEKDAY},
    {"MST", GOLAYOUT_ZONE_NAME},
    {"01", GOLAYOUT_ZERO_MONTH},
    {"02", GOLAYOUT_ZERO_DAY},
    {"03", GOLAYOUT_ZERO_HOUR12},
    {"04", GOLAYOUT_ZERO_MINUTE},
    {"05", GOLAYOUT_ZERO_SECOND},
    {"06", GOLAYOUT_YEAR},
    {"002", GOLAYOUT_ZERO_YEAR_DAY},
    {"15", GOLAYOUT_HOUR},
    {"1", GOLAYOUT_NUM_MONTH},
    {"2006", GOLAYOUT_LONG_YEAR},
    {"2", GOLAYOUT_DAY},
    {"_2", GOLAYOUT_UNDER_DAY},
    {"__2", GOLAYOUT_UNDER_YEAR_DAY},
    {"3", GOLAYOUT_HOUR12},
    {"4", GOLAYOUT_MINUTE},
    {"5", GOLAYOUT_SECOND},
    {"PM", GOLAYOUT_UPPER_PM},
    {"pm", GOLAYOUT_LOWER_PM},
    {"-070000", GOLAYOUT_OFFSET},
    {"-07:00:00", GOLAYOUT_OFFSET},
    {"-0700", GOLAYOUT_OFFSET},
    {"-07:00", GOLAYOUT_OFFSET},
    {"-07", GOLAYOUT_OFFSET},
    {"Z070000", GOLAYOUT_OFFSET},
    {"Z07:00:00", GOLAYOUT_OFFSET},
    {"Z0700", GOLAYOUT_OFFSET},
    {"Z07:00", GOLAYOUT_OFFSET},
    {"Z07", GOLAYOUT_OFFSET},
};

/* Jan in January and Mon in Monday are found before; Jane and Month are literal text. */
static bool is_cut_word(enum golayout_kind kind, str rest)
{
    return (kind == GOLAYOUT_MONTH || kind == GOLAYOUT_WEEKDAY) && rest.len > 0 &&
           rest.ptr[0] >= 'a' && rest.ptr[0] <= 'z';
}

/* .000 or ,999: digits all alike that end there. */
static bool match_fraction(str s, struct golayout_element *e)
{
    if (s.len < 2 || (s.ptr[1] != '0' && s.ptr[1] != '9'))
        return false;
    size_t end = 1;
    while (end < s.len && s.ptr[end] == s.ptr[1])
        end++;
    if (end < s.len && s.ptr[end] >= '0' && s.ptr[end] <= '9')
        return false;
    e->kind = s.ptr[1] == '0' ? GOLAYOUT_FRACTION_0 : GOLAYOUT_FRACTION_9;
    e->text = str_sub(s, 0, end);
    e->digits = (int)MIN(end - 1, (size_t)INT16_MAX);
    return true;
}

static bool match_word(str s, struct golayout_element *e)
{
    for (size_t i = 0; i < ARRAY_LEN(elements); i++) {
        if (elements[i].text[0] != s.ptr[0])
            continue;
        str text = str_c(elements[i].text);
        if (!str_has_prefix(s, text) || is_cut_word(elements[i].kind, str_from(s, text.len)))
            continue;
        e->kind = elements[i].kind;
        e->text = str_sub(s, 0, text.len);
        if (e->kind == GOLAYOUT_OFFSET) {
            e->z_for_utc = text.ptr[0] == 'Z';
            e->colon = str_find_char(text, ':') != STR_NPOS;
            e->offset_size = text.len == 3 ? 1 : text.len >= 7 ? 3 : 2;
        }
        return true;
    }
    return false;
}

struct golayout_element golayout_next(str *layout)
{
    struct golayout_element e = {0};
    for (size_t i = 0; i < layout->len; i++) {
        str s = str_from(*layout, i);
        if (memchr("JM012345_PpZ-.,", s.ptr[0], 15) == NULL)
            continue;
        if (s.ptr[0] == '_' && str_has_prefix(str_from(s, 1), STR("2006")))
            continue; /* an underscore and a year, not a day and 006 */
        bool point = s.ptr[0] == '.' || s.ptr[0] == ',';
        if (point ? match_fraction(s, &e) : match_word(s, &e)) {
            e.prefix = str_sub(*layout, 0, i);
            *layout = str_from(s, e.text.len);
            return e;
        }
    }
    e.prefix = *layout;
    *layout = str_from(*layout, layout->len);
    e.text = *layout;
    return e;
}
