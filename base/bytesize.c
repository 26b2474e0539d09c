#include "base/bytesize.h"

#include <math.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/utf8.h"

/* power of the letter, 0 for none; -1 for a letter that is no prefix */
static int prefix_power(char c)
{
    static const char letters[] = "kmgtpe";
    const char *hit = c == '\0' ? NULL : strchr(letters, c);
    return hit == NULL ? -1 : (int)(hit - letters) + 1;
}

/* "", b, k, kb, ki, kib, ... in lower case; 0 if it is no unit. */
static uint64_t humanize_unit(str name)
{
    if (name.len == 0 || str_eq(name, STR("b")))
        return 1;
    int power = prefix_power(name.ptr[0]);
    str rest = str_from(name, 1);
    bool binary = rest.len > 0 && rest.ptr[0] == 'i';
    rest = str_from(rest, binary ? 1 : 0);
    if (power < 0 || !(rest.len == 0 || str_eq(rest, STR("b"))))
        return 0;
    uint64_t unit = 1;
    for (; power > 0; power--)
        unit *= binary ? 1024 : 1000;
    return unit;
}

/* How many bytes of s are its number.  Loki's reader counts runes here but cuts bytes; that only
 * shows with digits beyond ASCII, which are no number either way. */
static size_t number_length(str s)
{
    size_t n = 0;
    str rest = s;
    while (rest.len > 0) {
        uint32_t rune;
        size_t width = utf8_decode(rest, &rune);
        if (!rune_is_digit(rune) && rune != '.' && rune != ',')
            break;
        rest = str_from(rest, width);
        n++;
    }
    return n;
}

int bytesize_parse(str s, uint64_t *ret_bytes, struct error *err)
{
    size_t n = number_length(s);
    char digits[64];
    size_t len = 0;
    bool comma = false;
    for (size_t i = 0; i < n; i++) {
        comma = comma || s.ptr[i] == ',';
        if (s.ptr[i] != ',' && len < sizeof digits)
            digits[len++] = s.ptr[i];
    }
    /* commas are rare: then, and only then, the number is read from the copy */
    str number = comma ? str_make(digits, len) : str_sub(s, 0, n);
    double v;
    int rc = goparse_float(number, &v);
    if (rc != 0)
        return goparse_error(err, "ParseFloat", number, rc);
    struct buf unit_name;
    buf_init(&unit_name, s.len * 3 + 1);
    utf8_append_lower(&unit_name, utf8_trim_space(str_from(s, n)));
    uint64_t unit = humanize_unit(buf_str(&unit_name));
    rc = 0;
    if (unit == 0)
        rc = error_set(err, E_PARSE, "unhandled size name: %s", buf_c(&unit_name));
    else if (v * (double)unit >= 18446744073709551616.0)
        rc = error_set(err, E_PARSE, "too large: %.*s", STR_ARG(s));
    else
        *ret_bytes = (uint64_t)(v * (double)unit);
    buf_deinit(&unit_name);
    return rc;
}

static bool append_human(struct buf *b, uint64_t bytes, double base, const char *const *units)
{
    if (bytes < 10)
        return buf_printf(b, "%llu B", (unsigned long long)bytes);
    double power = floor(log((double)bytes) / log(base));
    double v = floor((double)bytes / pow(base, power) * 10 + 0.5) / 10;
    return buf_printf(b, v < 10 ? "%.1f %s" : "%.0f %s", v, units[(int)power]);
}

bool bytesize_append(struct buf *b, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    return append_human(b, bytes, 1000, units);
}

bool bytesize_append_binary(struct buf *b, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    return append_human(b, bytes, 1024, units);
}

/* The shift of a unit of a setting, -1 if it is none.  `name` is in lower case. */
static int setting_shift(str name)
{
    static const char *const words[] = {"kilo", "mega", "giga", "tera", "peta", "exa"};
    if (name.len == 0 || str_eq(name, STR("b")) || str_eq(name, STR("byte")))
        return 0;
    int power = prefix_power(name.ptr[0]);
    if (power < 0)
        return -1;
    str rest = str_from(name, 1);
    if (rest.len == 0 || str_eq(rest, STR("b"))) /* but not kib: settings know no other kind */
        return 10 * power;
    str word = str_c(words[power - 1]);
    rest = str_from(name, word.len);
    bool known = str_has_prefix(name, word) &&
                 (rest.len == 0 || str_eq(rest, STR("byte")) || str_eq(rest, STR("bytes")));
    return known ? 10 * power : -1;
}

static int bad_setting(struct error *err, str upper, int code)
{
    goparse_error(err, "UnmarshalText", upper, code);
    return E_PARSE;
}

int bytesize_parse_setting(str s, uint64_t *ret_bytes, struct error *err)
{
    struct buf upper, lower;
    buf_init(&upper, s.len * 3 + 1);
    buf_init(&lower, s.len * 3 + 1);
    utf8_append_upper(&upper, s); /* Loki's error shows the value so */
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    utf8_append_lower(&lower, utf8_trim_space(str_from(s, n)));
    uint64_t v = 0;
    int shift = setting_shift(buf_str(&lower)), rc = 0;
    if (n == 0 && s.len > 0)
        rc = bad_setting(err, buf_str(&upper), E_PARSE);
    else if (n > 0 && !str_to_u64(str_sub(s, 0, n), &v))
        rc = bad_setting(err, buf_str(&upper), E_LIMIT);
    else if (shift < 0)
        rc = bad_setting(err, buf_str(&upper), E_PARSE);
    else if (v > UINT64_MAX >> shift)
        rc = bad_setting(err, buf_str(&upper), E_LIMIT);
    else
        *ret_bytes = v << shift;
    buf_deinit(&upper);
    buf_deinit(&lower);
    return rc;
}

bool bytesize_append_setting(struct buf *b, uint64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    size_t i = 0;
    while (bytes != 0 && bytes % 1024 == 0 && i + 1 < ARRAY_LEN(units)) {
        bytes /= 1024;
        i++;
    }
    buf_append_u64(b, bytes);
    return buf_append_c(b, units[i]);
}
