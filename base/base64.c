#include "base/base64.h"

#include "base/mem.h"

struct alphabet {
    const char *letters, *name;
    int bits, group; /* bits of a letter, letters of a group */
};

static const struct alphabet base64 = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "base64", 6, 4};
static const struct alphabet base32 = {"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "base32", 5, 8};

static void encode(struct buf *b, str s, const struct alphabet *a)
{
    uint64_t bits = 0;
    int n = 0, letters = 0;
    for (size_t i = 0; i < s.len; i++) {
        bits = bits << 8 | (unsigned char)s.ptr[i];
        for (n += 8; n >= a->bits; letters++) {
            n -= a->bits;
            buf_append_char(b, a->letters[bits >> n & ((1u << a->bits) - 1)]);
        }
    }
    if (n > 0) {
        buf_append_char(b, a->letters[bits << (a->bits - n) & ((1u << a->bits) - 1)]);
        letters++;
    }
    for (; letters % a->group != 0; letters++)
        buf_append_char(b, '=');
}

void base64_encode(struct buf *b, str s)
{
    encode(b, s, &base64);
}

void base32_encode(struct buf *b, str s)
{
    encode(b, s, &base32);
}

static int bad(struct error *err, const struct alphabet *a, size_t at)
{
    return error_set(err, E_PARSE, "illegal %s data at input byte %zu", a->name, at);
}

static size_t skip_lines(str s, size_t at)
{
    while (at < s.len && (s.ptr[at] == '\n' || s.ptr[at] == '\r'))
        at++;
    return at;
}

/* The padding of a group of which `have` letters were read; nothing may follow. */
static int check_padding(str s, size_t at, int have, const struct alphabet *a, struct error *err)
{
    size_t first = at;
    int left = a->group - have;
    bool fits = have * a->bits % 8 < a->bits && have * a->bits >= 8;
    if (!fits)
        return bad(err, a, first);
    for (; left > 0; left--) {
        at = skip_lines(s, at);
        if (at == s.len)
            return bad(err, a, s.len);
        if (s.ptr[at] != '=')
            return bad(err, a, at);
        at++;
    }
    at = skip_lines(s, at);
    return at == s.len ? 0 : bad(err, a, at);
}

static int decode(struct buf *b, str s, const struct alphabet *a, struct error *err)
{
    uint64_t bits = 0;
    int n = 0, have = 0;
    for (size_t at = skip_lines(s, 0); at < s.len; at = skip_lines(s, at + 1)) {
        if (s.ptr[at] == '=')
            return check_padding(s, at, have, a, err);
        const char *hit = s.ptr[at] == '\0' ? NULL : strchr(a->letters, s.ptr[at]);
        if (hit == NULL)
            return bad(err, a, at);
        bits = bits << a->bits | (uint64_t)(hit - a->letters);
        n += a->bits;
        have = (have + 1) % a->group;
        if (n >= 8) {
            n -= 8;
            buf_append_char(b, (char)(bits >> n));
        }
    }
    return have == 0 ? 0 : bad(err, a, s.len - (size_t)have);
}

int base64_decode(struct buf *b, str s, struct error *err)
{
    return decode(b, s, &base64, err);
}

int base32_decode(struct buf *b, str s, struct error *err)
{
    return decode(b, s, &base32, err);
}
