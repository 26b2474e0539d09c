#include "promtail/targets/file/encoding.h"

#include <errno.h>
#include <iconv.h>

#include "base/mem.h"
#include "base/utf8.h"

enum wide { NARROW, WIDE_LE, WIDE_BE, WIDE_BOM };

struct encoding {
    iconv_t cd;
    enum wide wide;
    bool is_be;   /* WIDE_BOM: as its mark said; big-endian without one */
    bool has_c1s; /* bytes of 0x80 to 0x9f without a character are control characters */
};

static enum wide wide_of(str name)
{
    if (str_eq_nocase(name, STR("utf-16le")))
        return WIDE_LE;
    if (str_eq_nocase(name, STR("utf-16be")))
        return WIDE_BE;
    return str_eq_nocase(name, STR("utf-16")) ? WIDE_BOM : NARROW;
}

/* The tables of the Web's encodings, which Promtail decodes by, under iconv's names: those of the
 * standards lack what Microsoft's have, and Shift_JIS takes the backslash for a yen sign. */
static iconv_t open_narrow(const char *name)
{
    static const struct {
        const char *name, *table;
    } tables[] = {{"shift_jis", "CP932"},
                  {"ms_kanji", "CP932"},
                  {"csshiftjis", "CP932"},
                  {"windows-31j", "CP932"},
                  {"cswindows31j", "CP932"},
                  {"euc-jp", "EUC-JP-MS"},
                  {"cseucpkdfmtjapanese", "EUC-JP-MS"},
                  {"euc-kr", "UHC"},
                  {"cseuckr", "UHC"}};
    iconv_t cd = (iconv_t)-1;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (str_eq_nocase(str_c(name), str_c(tables[i].name)))
            cd = iconv_open("UTF-8", tables[i].table);
    return cd != (iconv_t)-1 ? cd : iconv_open("UTF-8", name);
}

static bool is_windows_page(str name)
{
    return str_eq_nocase(str_sub(name, 0, 11), STR("windows-125")) ||
           str_eq_nocase(str_sub(name, 0, 12), STR("cswindows125")) ||
           str_eq_nocase(name, STR("windows-874"));
}

int encoding_open(const char *name, struct encoding **ret, struct error *err)
{
    enum wide wide = wide_of(str_c(name));
    iconv_t cd = wide == WIDE_BOM ? iconv_open("UTF-8", "UTF-16BE") : open_narrow(name);
    if (cd == (iconv_t)-1)
        return error_set(err, E_PARSE,
                         "failed to get IANA encoding %s: ianaindex: invalid encoding "
                         "name",
                         name);
    struct encoding *e = mem_zalloc(sizeof *e);
    e->cd = cd;
    e->wide = wide;
    e->is_be = wide != WIDE_LE;
    e->has_c1s = is_windows_page(str_c(name));
    *ret = e;
    return 0;
}

void encoding_close(struct encoding *e)
{
    if (e == NULL)
        return;
    iconv_close(e->cd);
    mem_free(e);
}

/* A newline of two bytes at an even offset of the file. */
static size_t wide_line(const struct encoding *e, str bytes, int64_t offset, str *ret_line)
{
    size_t at = (size_t)(offset & 1);
    for (; at + 1 < bytes.len; at += 2) {
        unsigned char a = (unsigned char)bytes.ptr[at], b = (unsigned char)bytes.ptr[at + 1];
        if ((e->is_be ? b : a) == '\n' && (e->is_be ? a : b) == 0) {
            *ret_line = str_sub(bytes, 0, at);
            return at + 2;
        }
    }
    return 0;
}

size_t encoding_line(const struct encoding *e, str bytes, int64_t offset, str *ret_line)
{
    if (e->wide != NARROW) {
        if (e->wide == WIDE_BOM && offset == 0 && bytes.len >= 2)
            ((struct encoding *)e)->is_be = (unsigned char)bytes.ptr[0] != 0xff;
        return wide_line(e, bytes, offset, ret_line);
    }
    const char *nl = memchr(bytes.ptr, '\n', bytes.len);
    if (nl == NULL)
        return 0;
    *ret_line = str_sub(bytes, 0, (size_t)(nl - bytes.ptr));
    return ret_line->len + 1;
}

static str without_bom(const struct encoding *e, str line, int64_t offset)
{
    bool has_bom = e->wide != NARROW && offset == 0 && line.len >= 2 &&
                   ((unsigned char)line.ptr[0] ^ (unsigned char)line.ptr[1]) == 1 &&
                   (unsigned char)line.ptr[0] >= 0xfe;
    return has_bom ? str_from(line, 2) : line;
}

void encoding_decode(struct encoding *e, str line, int64_t offset, struct buf *out)
{
    line = without_bom(e, line, offset);
    if (e->wide == WIDE_BOM && !e->is_be) { /* the converter is big-endian */
        iconv_t cd = iconv_open("UTF-8", "UTF-16LE");
        if (cd != (iconv_t)-1) {
            iconv_close(e->cd);
            e->cd = cd;
            e->wide = WIDE_LE;
        }
    }
    char *in = (char *)line.ptr; /* iconv does not write there */
    size_t left = line.len;
    iconv(e->cd, NULL, NULL, NULL, NULL);
    while (left > 0) {
        if (!buf_reserve(out, left * 4 + 8))
            return;
        char *to = out->ptr + out->len;
        size_t room = out->cap - out->len;
        size_t before = room;
        size_t rc = iconv(e->cd, &in, &left, &to, &room);
        out->len += before - room;
        if (rc != (size_t)-1 || errno == E2BIG)
            continue;
        unsigned char bad = (unsigned char)*in;
        utf8_append(out, e->has_c1s && bad >= 0x80 && bad <= 0x9f ? bad : RUNE_ERROR);
        size_t skip = MIN(left, (size_t)(e->wide == NARROW ? 1 : 2));
        in += skip;
        left -= skip;
    }
}
