#include "proto/tenant.h"

static bool is_allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           char_in((unsigned char)c, "!-_.*'()");
}

int tenant_from_header(str header, bool auth_enabled, str *ret, struct error *err)
{
    if (!auth_enabled) {
        *ret = TENANT_FAKE;
        return 0;
    }
    if (header.ptr == NULL || header.len == 0)
        return error_set(err, E_UNAUTHORIZED, "no org id");
    if (header.len > TENANT_LEN_MAX)
        return error_set(err, E_INVALID, "tenant ID is too long: max %d characters",
                         TENANT_LEN_MAX);
    /* They become names of directories and buckets. */
    if (str_eq_c(header, ".") || str_eq_c(header, ".."))
        return error_set(err, E_INVALID, "tenant ID is '.' or '..'");
    for (size_t i = 0; i < header.len; i++)
        if (!is_allowed(header.ptr[i]))
            return error_set(err, E_INVALID, "tenant ID '%.*s' contains unsupported character '%c'",
                             STR_ARG(header), header.ptr[i]);
    *ret = header;
    return 0;
}
