#include "distributor/push_body.h"

#include "base/goquote.h"
#include "base/mem.h"
#include "proto/push_json.h"
#include "proto/snappy.h"
#include "runtime/http_server.h"

/* --- Content-Type --- */

static bool is_token_char(char c)
{
    return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* Takes the token at the front of *s; empty if there is none. */
static str take_token(str *s)
{
    size_t n = 0;
    while (n < s->len && is_token_char(s->ptr[n]))
        n++;
    str token = str_sub(*s, 0, n);
    *s = str_from(*s, n);
    return token;
}

static void take_blanks(str *s)
{
    while (s->len > 0 && (s->ptr[0] == ' ' || (s->ptr[0] >= '\t' && s->ptr[0] <= '\r')))
        *s = str_from(*s, 1);
}

static bool take_char(str *s, char c)
{
    take_blanks(s);
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = str_from(*s, 1);
    take_blanks(s);
    return true;
}

static bool take_quoted(str *s)
{
    for (size_t i = 1; i < s->len; i++) {
        if (s->ptr[i] == '"') {
            *s = str_from(*s, i + 1);
            return true;
        }
        if (s->ptr[i] == '\\')
            i++;
        else if (s->ptr[i] == '\r' || s->ptr[i] == '\n')
            return false;
    }
    return false;
}

/* ; name=value or ; name="value" */
static bool take_parameter(str *s)
{
    if (!take_char(s, ';') || take_token(s).len == 0 || !take_char(s, '='))
        return false;
    return s->len > 0 && s->ptr[0] == '"' ? take_quoted(s) : take_token(s).len > 0;
}

int push_media_type(str header, str *ret, struct error *err)
{
    size_t semicolon = str_find_char(header, ';');
    str type = str_trim(semicolon == STR_NPOS ? header : str_sub(header, 0, semicolon));
    str rest = type;
    if (take_token(&rest).len == 0)
        return error_set(err, E_INVALID, "mime: no media type");
    if (rest.len > 0) {
        if (rest.ptr[0] != '/')
            return error_set(err, E_INVALID, "mime: expected slash after first token");
        rest = str_from(rest, 1);
        if (take_token(&rest).len == 0)
            return error_set(err, E_INVALID, "mime: expected token after slash");
        if (rest.len > 0)
            return error_set(err, E_INVALID, "mime: unexpected content after media subtype");
    }
    rest = semicolon == STR_NPOS ? STR_EMPTY : str_from(header, semicolon);
    for (take_blanks(&rest); rest.len > 0; take_blanks(&rest)) {
        str before = rest;
        if (take_parameter(&rest))
            continue;
        if (str_eq(str_trim(before), STR(";"))) /* one too many at the end is let pass */
            break;
        return error_set(err, E_INVALID, "mime: invalid media parameter");
    }
    *ret = type;
    return 0;
}

/* --- Content-Encoding --- */

static int too_large(struct error *err, size_t limit)
{
    return error_set(err, E_TOO_LARGE, "request body too large: limit: %zu bytes", limit);
}

static int inflate_failed(const struct push_input *in, int code, size_t limit, struct error *err)
{
    if (code == E_TOO_LARGE)
        return too_large(err, limit);
    if (code == E_NO_MEMORY)
        return error_set(err, E_NO_MEMORY, "out of memory");
    if (str_eq(in->content_encoding, STR("deflate")))
        return error_set(err, E_INVALID, "flate: corrupt input");
    if (!str_has_prefix(in->body, STR("\x1f\x8b")))
        return error_set(err, E_INVALID, in->body.len == 0 ? "EOF" : "gzip: invalid header");
    return error_set(err, E_INVALID, "unexpected EOF");
}

/* *ret: the body without its Content-Encoding (snappy stays). */
static int decode(const struct push_input *in, struct push_buffers *buffers, str *ret,
                  struct error *err)
{
    str encoding = in->content_encoding.ptr == NULL ? STR_EMPTY : in->content_encoding;
    *ret = in->body;
    if (encoding.len == 0 || str_eq(encoding, STR("snappy")))
        return 0;
    if (!str_eq(encoding, STR("gzip")) && !str_eq(encoding, STR("deflate"))) {
        struct buf quoted;
        buf_init(&quoted, 1024);
        goquote(&quoted, str_sub(encoding, 0, 200));
        error_set(err, E_INVALID, "Content-Encoding %s not supported", buf_c(&quoted));
        buf_deinit(&quoted);
        return E_INVALID;
    }
    int code = http_decode_body(in->body, encoding, &buffers->inflated);
    if (code != 0)
        return inflate_failed(in, code, buffers->inflated.max, err);
    *ret = buf_str(&buffers->inflated);
    return 0;
}

static int read_proto(str body, struct push_buffers *buffers, struct arena *a,
                      struct push_request *ret, struct error *err)
{
    int code = snappy_decode(body, &buffers->plain);
    if (code == E_TOO_LARGE)
        return too_large(err, buffers->plain.max);
    if (code != 0)
        return error_set(err, code, code == E_PARSE ? "snappy: corrupt input" : "out of memory");
    buffers->packed = body;
    return push_proto_read(buf_str(&buffers->plain), a, ret, err);
}

int push_body_read(const struct push_input *in, struct push_buffers *buffers, struct arena *a,
                   struct push_request *ret, struct error *err)
{
    str body, type;
    int code = decode(in, buffers, &body, err);
    if (code == 0)
        code = push_media_type(in->content_type.ptr == NULL ? STR_EMPTY : in->content_type, &type,
                               err);
    if (code != 0)
        return code;
    if (!str_eq_nocase(type, STR("application/json")))
        return read_proto(body, buffers, a, ret, err);
    return in->is_legacy ? push_json_read_legacy(body, a, ret, err)
                         : push_json_read(body, a, ret, err);
}
