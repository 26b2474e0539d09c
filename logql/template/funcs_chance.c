/* What differs each time: randAlphaNum, randInt, shuffle, uuidv4 and their like. */
#include <openssl/rand.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "logql/template/funcs.h"

#define TEXT_MAX (1 << 20)

/* A number below n, evenly: numbers of the last, incomplete round are thrown away. */
static int below(struct template_call *c, uint64_t n, uint64_t *ret)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    do {
        if (RAND_bytes((unsigned char *)ret, sizeof *ret) != 1)
            return template_call_fail(c, "no random numbers");
    } while (*ret >= limit);
    *ret %= n;
    return 0;
}

static int random_text(struct template_call *c, int64_t n, str letters, struct tval *ret)
{
    struct buf b;
    uint64_t at;
    if (n < 0 || n > TEXT_MAX)
        return template_call_fail(c, "length out of range: %lld", (long long)n);
    template_call_buf(c, &b);
    for (int64_t i = 0; i < n; i++) {
        int rc = below(c, letters.len, &at);
        if (rc != 0) {
            buf_deinit(&b);
            return rc;
        }
        buf_append_char(&b, letters.ptr[at]);
    }
    return template_call_take(c, &b, ret);
}

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define TEXT_FN(name, letters)                                                                     \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        (void)n;                                                                                   \
        return random_text(c, args[0].i, STR(letters), ret);                                       \
    }
TEXT_FN(f_alpha_num, LETTERS DIGITS)
TEXT_FN(f_alpha, LETTERS)
TEXT_FN(f_numeric, DIGITS)
TEXT_FN(f_ascii, " !\"#$%&'()*+,-./" DIGITS ":;<=>?@" LETTERS "[\\]^_`{|}~")

/* In base64. */
static int f_bytes(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    if (args[0].i < 0 || args[0].i > TEXT_MAX)
        return template_call_fail(c, "runtime error: makeslice: len out of range");
    unsigned char *bytes = template_call_alloc(c, (size_t)MAX(args[0].i, 1));
    if (bytes == NULL)
        return E_LIMIT;
    if (args[0].i > 0 && RAND_bytes(bytes, (int)args[0].i) != 1)
        return template_call_fail(c, "no random numbers");
    template_call_buf(c, &b);
    base64_encode(&b, str_make((char *)bytes, (size_t)args[0].i));
    return template_call_take(c, &b, ret);
}

static int f_int(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    uint64_t at;
    if (args[1].i <= args[0].i)
        return template_call_fail(c, "invalid argument to Intn");
    int rc = below(c, (uint64_t)args[1].i - (uint64_t)args[0].i, &at);
    *ret = tval_int((int64_t)((uint64_t)args[0].i + at));
    return rc;
}

static int f_shuffle(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    size_t len = utf8_count(args[0].s), at = 0;
    uint32_t *runes = template_call_alloc(c, MAX(len, 1) * sizeof *runes);
    struct buf b;
    if (runes == NULL)
        return E_LIMIT;
    for (str s = args[0].s; s.len > 0; at++)
        s = str_from(s, utf8_decode(s, &runes[at]));
    for (size_t i = len; i > 1; i--) {
        uint64_t k;
        int rc = below(c, i, &k);
        if (rc != 0)
            return rc;
        uint32_t moved = runes[i - 1];
        runes[i - 1] = runes[k];
        runes[k] = moved;
    }
    template_call_buf(c, &b);
    for (size_t i = 0; i < len; i++)
        utf8_append(&b, runes[i]);
    return template_call_take(c, &b, ret);
}

static int f_uuid(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)args, (void)n;
    unsigned char id[16];
    struct buf b;
    if (RAND_bytes(id, sizeof id) != 1)
        return template_call_fail(c, "no random numbers");
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    template_call_buf(c, &b);
    for (size_t i = 0; i < sizeof id; i++)
        buf_printf(&b, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
    return template_call_take(c, &b, ret);
}

static const struct template_func funcs[] = {
    {"randAlphaNum", "i", f_alpha_num}, {"randAlpha", "i", f_alpha},
    {"randNumeric", "i", f_numeric},    {"randAscii", "i", f_ascii},
    {"randBytes", "i", f_bytes},        {"randInt", "ii", f_int},
    {"shuffle", "s", f_shuffle},        {"uuidv4", "", f_uuid},
};

const struct template_func_table template_funcs_chance = TEMPLATE_TABLE(funcs);
