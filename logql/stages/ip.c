#include "logql/stages/ip.h"

#include "base/buf.h"
#include "base/goquote.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four numbers of 0 to 255 without leading zeros. */
static bool parse_v4(str text, unsigned char out[4])
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (at >= text.len || text.ptr[at++] != '.'))
            return false;
        size_t from = at;
        unsigned value = 0;
        for (; at < text.len && is_digit(text.ptr[at]); at++) {
            if (at > from && value == 0)
                return false;
            value = value * 10 + (unsigned)(text.ptr[at] - '0');
            if (value > 255)
                return false;
        }
        if (at == from)
            return false;
        out[part] = (unsigned char)value;
    }
    return at == text.len;
}

/* Up to four hex digits; false if there are none or too many. */
static bool parse_group(str text, size_t *at, unsigned *ret)
{
    size_t from = *at;
    unsigned value = 0;
    for (; *at < text.len && hex_value(text.ptr[*at]) >= 0; (*at)++) {
        if (*at - from == 4)
            return false;
        value = value << 4 | (unsigned)hex_value(text.ptr[*at]);
    }
    *ret = value;
    return *at > from;
}

static bool parse_v6(str text, unsigned char out[16])
{
    size_t at = 0, n = 0, gap = STR_NPOS; /* gap: bytes written before the :: */
    memset(out, 0, 16);
    if (str_has_prefix(text, STR("::"))) {
        gap = 0;
        at = 2;
    }
    while (n < 16 && at < text.len) {
        size_t from = at;
        unsigned value;
        if (!parse_group(text, &at, &value))
            return false;
        if (at < text.len && text.ptr[at] == '.') { /* the tail may be written as IPv4 */
            if ((gap == STR_NPOS && n != 12) || n > 12 || !parse_v4(str_from(text, from), out + n))
                return false;
            n += 4;
            at = text.len;
            break;
        }
        out[n++] = (unsigned char)(value >> 8);
        out[n++] = (unsigned char)value;
        if (at == text.len)
            break;
        if (text.ptr[at++] != ':' || at == text.len)
            return false;
        if (text.ptr[at] == ':') {
            if (gap != STR_NPOS)
                return false;
            gap = n;
            at++;
        }
    }
    if (at != text.len)
        return false;
    if (n == 16)
        return gap == STR_NPOS; /* :: must stand for something */
    if (gap == STR_NPOS)
        return false;
    memmove(out + 16 - (n - gap), out + gap, n - gap);
    memset(out + gap, 0, 16 - n);
    return true;
}

bool ip_addr_parse(str text, struct ip_addr *ret)
{
    *ret = (struct ip_addr){0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '.') {
            ret->is_v4 = true;
            return parse_v4(text, ret->bytes);
        }
        if (text.ptr[i] == ':')
            break;
    }
    size_t zone = str_find_char(text, '%');
    ret->has_zone = zone != STR_NPOS;
    if (ret->has_zone && zone + 1 == text.len)
        return false;
    return parse_v6(ret->has_zone ? str_sub(text, 0, zone) : text, ret->bytes);
}

static int compare(const struct ip_addr *a, const struct ip_addr *b)
{
    return memcmp(a->bytes, b->bytes, a->is_v4 ? 4 : 16);
}

static bool parse_network(str pattern, struct ip_filter *ret)
{
    size_t slash = str_rfind_char(pattern, '/');
    if (slash == STR_NPOS || !ip_addr_parse(str_sub(pattern, 0, slash), &ret->from))
        return false;
    str bits = str_from(pattern, slash + 1);
    uint64_t n;
    if (!str_to_u64(bits, &n) || n > (ret->from.is_v4 ? 32 : 128) || ret->from.has_zone)
        return false;
    if (!is_digit(bits.ptr[0]) || (bits.len > 1 && bits.ptr[0] == '0'))
        return false;
    ret->bits = (unsigned)n;
    ret->is_network = true;
    return true;
}

static bool parse_range(str pattern, struct ip_filter *ret)
{
    size_t dash = str_find_char(pattern, '-');
    return dash != STR_NPOS && ip_addr_parse(str_sub(pattern, 0, dash), &ret->from) &&
           ip_addr_parse(str_from(pattern, dash + 1), &ret->to) && !ret->from.has_zone &&
           !ret->to.has_zone && ret->from.is_v4 == ret->to.is_v4 &&
           compare(&ret->from, &ret->to) <= 0;
}

int ip_filter_parse(str pattern, struct ip_filter *ret, struct error *err)
{
    *ret = (struct ip_filter){0};
    if (ip_addr_parse(pattern, &ret->from)) {
        ret->to = ret->from;
        return 0;
    }
    if (parse_network(pattern, ret) || parse_range(pattern, ret))
        return 0;
    struct buf quoted;
    buf_init(&quoted, BUF_NO_LIMIT);
    goquote(&quoted, pattern);
    error_set(err, E_PARSE, "ip: invalid pattern: %s", buf_c(&quoted));
    buf_deinit(&quoted);
    return E_PARSE;
}

static bool is_same_network(const struct ip_filter *f, const struct ip_addr *a)
{
    unsigned whole = f->bits / 8, rest = f->bits % 8;
    if (memcmp(f->from.bytes, a->bytes, whole) != 0)
        return false;
    return rest == 0 || ((f->from.bytes[whole] ^ a->bytes[whole]) >> (8 - rest)) == 0;
}

static bool is_match(const struct ip_filter *f, str text)
{
    struct ip_addr a;
    if (!ip_addr_parse(text, &a) || a.is_v4 != f->from.is_v4)
        return false;
    if (f->is_network)
        return is_same_network(f, &a);
    return !f->from.has_zone && compare(&f->from, &a) <= 0 && compare(&a, &f->to) <= 0;
}

static size_t span(str text, size_t at, bool is_v4)
{
    size_t from = at;
    while (at < text.len && (text.ptr[at] == '.' || is_digit(text.ptr[at]) ||
                             (!is_v4 && (text.ptr[at] == ':' || hex_value(text.ptr[at]) >= 0))))
        at++;
    return at - from;
}

/* A digit with a dot not far behind. */
static bool may_be_v4(str t, size_t at)
{
    return at + 3 < t.len && is_digit(t.ptr[at]) &&
           (t.ptr[at + 1] == '.' || t.ptr[at + 2] == '.' || t.ptr[at + 3] == '.');
}

/* One to four hex digits and a colon, or :: and a digit. */
static bool may_be_v6(str t, size_t at)
{
    if (at + 4 >= t.len)
        return false;
    if (t.ptr[at] == ':')
        return t.ptr[at + 1] == ':' && hex_value(t.ptr[at + 2]) >= 0;
    for (size_t i = 0; i < 5; i++) {
        if (t.ptr[at + i] == ':')
            return true;
        if (hex_value(t.ptr[at + i]) < 0)
            return false;
    }
    return false;
}

bool ip_filter_is_in(const struct ip_filter *f, str text)
{
    for (size_t at = 0; at < text.len; at++) {
        bool is_v4 = may_be_v4(text, at);
        if (!is_v4 && !may_be_v6(text, at))
            continue;
        size_t n = span(text, at, is_v4);
        if (is_match(f, str_sub(text, at, at + n)))
            return true;
        at += n; /* and past the byte that ended it, as Loki does */
    }
    return false;
}
