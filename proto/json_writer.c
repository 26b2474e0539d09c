#include "proto/json_writer.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/utf8.h"

/* --- strings --- */

/* Bytes that cannot be copied as they are: bit 1 always, bit 2 when HTML is escaped. */
static bool is_plain(unsigned char c, bool html)
{
    if (c < 0x20 || c == '"' || c == '\\' || c >= 0x80)
        return false;
    return !html || (c != '<' && c != '>' && c != '&');
}

/* Length of the run at s that needs no look: ASCII without specials. */
static size_t plain_run(const char *s, size_t n, bool html)
{
    size_t i = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i low = _mm_set1_epi8(0x20), lt = _mm_set1_epi8('<'), gt = _mm_set1_epi8('>');
    const __m128i amp = _mm_set1_epi8('&');
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        /* Signed compare: bytes from 0x80 on are negative, thus below 0x20 too. */
        __m128i bad = _mm_cmplt_epi8(v, low);
        bad =
            _mm_or_si128(bad, _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        if (html)
            bad = _mm_or_si128(
                bad, _mm_or_si128(_mm_cmpeq_epi8(v, amp),
                                  _mm_or_si128(_mm_cmpeq_epi8(v, lt), _mm_cmpeq_epi8(v, gt))));
        int mask = _mm_movemask_epi8(bad);
        if (mask != 0)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < n && is_plain((unsigned char)s[i], html))
        i++;
    return i;
}

enum { ESCAPE_HTML = 1, SHORT_B_F = 2 };

static void append_escape(struct buf *out, unsigned char c, unsigned flags)
{
    static const char hex[] = "0123456789abcdef";
    char short_form = c == '"'    ? '"'
                      : c == '\\' ? '\\'
                      : c == '\n' ? 'n'
                      : c == '\r' ? 'r'
                      : c == '\t' ? 't'
                                  : '\0';
    if ((flags & SHORT_B_F) != 0 && (c == '\b' || c == '\f'))
        short_form = c == '\b' ? 'b' : 'f';
    if (short_form != '\0') {
        buf_append(out, (char[]){'\\', short_form}, 2);
        return;
    }
    buf_append(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

/* A rune beyond ASCII; returns its width. */
static size_t append_rune(struct buf *out, str s)
{
    uint32_t rune;
    size_t width = utf8_decode(s, &rune);
    if (rune == RUNE_ERROR && width == 1)
        buf_append(out, "\\ufffd", 6);
    else if (rune == 0x2028 || rune == 0x2029)
        buf_append(out, rune == 0x2028 ? "\\u2028" : "\\u2029", 6);
    else
        buf_append(out, s.ptr, width);
    return width;
}

static bool append_string(struct buf *out, str s, unsigned flags)
{
    bool html = (flags & ESCAPE_HTML) != 0;
    if (!buf_reserve(out, s.len + 2))
        return false;
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t run = plain_run(s.ptr + i, s.len - i, html);
        buf_append(out, s.ptr + i, run);
        i += run;
        if (i == s.len)
            break;
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x80) {
            i += append_rune(out, str_from(s, i));
        } else {
            append_escape(out, c, flags);
            i++;
        }
    }
    return buf_append_char(out, '"') && !out->failed;
}

bool json_append_string(struct buf *out, str s)
{
    return append_string(out, s, ESCAPE_HTML);
}

bool json_append_string_plain(struct buf *out, str s)
{
    return append_string(out, s, 0);
}

bool json_append_string_go(struct buf *out, str s, bool escapes_html)
{
    return append_string(out, s, SHORT_B_F | (escapes_html ? ESCAPE_HTML : 0));
}

/* --- structure --- */

void jsonw_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

/* Puts the comma that the next key or item needs. */
static void separate(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    uint64_t bit = UINT64_C(1) << (w->depth - 1);
    if (w->has_item & bit)
        buf_append_char(w->out, ',');
    w->has_item |= bit;
}

static void begin(struct json_writer *w, char c)
{
    separate(w);
    ASSERT(w->depth < JSON_WRITER_DEPTH_MAX);
    w->has_item &= ~(UINT64_C(1) << w->depth);
    w->depth++;
    buf_append_char(w->out, c);
}

static void end(struct json_writer *w, char c)
{
    ASSERT(w->depth > 0 && !w->after_key);
    w->depth--;
    buf_append_char(w->out, c);
}

void jsonw_begin_object(struct json_writer *w)
{
    begin(w, '{');
}

void jsonw_end_object(struct json_writer *w)
{
    end(w, '}');
}

void jsonw_begin_array(struct json_writer *w)
{
    begin(w, '[');
}

void jsonw_end_array(struct json_writer *w)
{
    end(w, ']');
}

void jsonw_key(struct json_writer *w, str name)
{
    separate(w);
    json_append_string(w->out, name);
    buf_append_char(w->out, ':');
    w->after_key = true;
}

void jsonw_string(struct json_writer *w, str s)
{
    separate(w);
    json_append_string(w->out, s);
}

void jsonw_i64(struct json_writer *w, int64_t v)
{
    separate(w);
    buf_append_i64(w->out, v);
}

void jsonw_u64(struct json_writer *w, uint64_t v)
{
    separate(w);
    buf_append_u64(w->out, v);
}

void jsonw_float(struct json_writer *w, double v)
{
    separate(w);
    gofmt_float_json(w->out, v);
}

void jsonw_bool(struct json_writer *w, bool v)
{
    separate(w);
    buf_append_c(w->out, v ? "true" : "false");
}

void jsonw_null(struct json_writer *w)
{
    separate(w);
    buf_append_c(w->out, "null");
}

void jsonw_raw(struct json_writer *w, str value)
{
    separate(w);
    buf_append_str(w->out, value);
}

void jsonw_quoted_i64(struct json_writer *w, int64_t v)
{
    separate(w);
    buf_append_char(w->out, '"');
    buf_append_i64(w->out, v);
    buf_append_char(w->out, '"');
}
