/* Scalars of a configuration: text to field and back. */
#include <inttypes.h>

#include "base/bytesize.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/mem.h"
#include "runtime/config_internal.h"

const char *config_type_name(enum config_type type)
{
    static const char *const names[] = {
        [CONFIG_BOOL] = "boolean",
        [CONFIG_INT] = "int",
        [CONFIG_UINT] = "int",
        [CONFIG_FLOAT] = "float",
        [CONFIG_STRING] = "string",
        [CONFIG_SECRET] = "string",
        [CONFIG_DURATION] = "duration",
        [CONFIG_DURATION_GO] = "duration",
        [CONFIG_DURATION_PROM] = "duration",
        [CONFIG_BYTES] = "size",
        [CONFIG_ENUM] = "string",
        [CONFIG_BLOCK] = "block",
        [CONFIG_STRING_LIST] = "list of strings",
        [CONFIG_CUSTOM] = "value",
        [CONFIG_IGNORED] = "value",
        [CONFIG_UNSUPPORTED] = "value",
    };
    return names[type];
}

static int fail(struct error *err, const struct config_key *k, str text)
{
    return error_set(err, E_PARSE, "\"%.*s\" is not a valid %s", STR_ARG(text),
                     config_type_name(k->type));
}

static int parse_enum(const struct config_key *k, str text, int *ret, struct error *err)
{
    for (int i = 0; k->choices[i] != NULL; i++)
        if (str_eq_c(text, k->choices[i])) {
            *ret = i;
            return 0;
        }
    struct buf list;
    buf_init(&list, 1024);
    for (int i = 0; k->choices[i] != NULL; i++)
        buf_printf(&list, "%s%s", i > 0 ? ", " : "", k->choices[i]);
    error_set(err, E_PARSE, "\"%.*s\" is none of: %s", STR_ARG(text), buf_c(&list));
    buf_deinit(&list);
    return E_PARSE;
}

static int parse_strings(str text, struct arena *a, struct config_strings *ret)
{
    size_t n = text.len == 0 ? 0 : 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == ',';
    const char **items = ARENA_ARRAY(a, const char *, n);
    for (size_t i = 0; i < n; i++)
        items[i] = arena_c(a, str_trim(str_split(&text, ',')));
    *ret = (struct config_strings){items, n};
    return 0;
}

/* A number of any kind as a double, to compare it with min and max. */
static double as_double(const struct config_key *k, const void *field)
{
    switch (k->type) {
    case CONFIG_INT:
    case CONFIG_DURATION:
    case CONFIG_DURATION_GO:
    case CONFIG_DURATION_PROM:
        return (double)*(const int64_t *)field;
    case CONFIG_UINT:
    case CONFIG_BYTES:
        return (double)*(const uint64_t *)field;
    case CONFIG_FLOAT:
        return *(const double *)field;
    default:
        return 0;
    }
}

static int check_bound(const struct config_key *k, str text, const void *field, const char *bound,
                       int sign, struct error *err)
{
    if (bound == NULL)
        return 0;
    _Alignas(8) char limit[16];
    struct config_key plain = {.name = k->name, .type = k->type};
    int rc = config_value_parse(&plain, str_c(bound), NULL, limit, NULL);
    ASSERT(rc == 0);
    if ((as_double(k, field) - as_double(k, limit)) * sign >= 0)
        return 0;
    return error_set(err, E_LIMIT, "%.*s is %s %s", STR_ARG(text),
                     sign > 0 ? "below the minimum of" : "above the maximum of", bound);
}

static int parse_number(const struct config_key *k, str text, void *field, struct error *err)
{
    bool ok = false;
    switch (k->type) {
    case CONFIG_INT:
        ok = text.len == 0 ? (*(int64_t *)field = 0, true) : str_to_i64(text, field);
        break;
    case CONFIG_UINT:
        ok = text.len == 0 ? (*(uint64_t *)field = 0, true) : str_to_u64(text, field);
        break;
    case CONFIG_FLOAT:
        ok = text.len == 0 ? (*(double *)field = 0, true) : goparse_float(text, field) == 0;
        break;
    case CONFIG_DURATION:
        ok = text.len == 0 ? (*(int64_t *)field = 0, true)
                           : duration_parse_any(text, field, NULL) == 0;
        break;
    case CONFIG_DURATION_GO:
        ok = duration_parse_go(text, field, NULL) == 0;
        break;
    case CONFIG_DURATION_PROM:
        ok = duration_parse_prom(text, field, NULL) == 0;
        break;
    case CONFIG_BYTES:
        ok = text.len == 0 ? (*(uint64_t *)field = 0, true)
                           : bytesize_parse_setting(text, field, NULL) == 0;
        break;
    default:
        break;
    }
    if (!ok)
        return fail(err, k, text);
    int rc = check_bound(k, text, field, k->min, 1, err);
    return rc != 0 ? rc : check_bound(k, text, field, k->max, -1, err);
}

int config_value_parse(const struct config_key *k, str text, struct arena *a, void *field,
                       struct error *err)
{
    switch (k->type) {
    case CONFIG_BOOL:
        if (text.len == 0) {
            *(bool *)field = false;
            return 0;
        }
        return goparse_bool(text, field) == 0 ? 0 : fail(err, k, text);
    case CONFIG_STRING:
    case CONFIG_SECRET:
        *(const char **)field = arena_c(a, text);
        return 0;
    case CONFIG_ENUM:
        if (text.len == 0) {
            *(int *)field = 0;
            return 0;
        }
        return parse_enum(k, text, field, err);
    case CONFIG_STRING_LIST:
        return parse_strings(text, a, field);
    default:
        return parse_number(k, text, field, err);
    }
}

void config_value_clear(const struct config_key *k, void *field)
{
    switch (k->type) {
    case CONFIG_BOOL:
        *(bool *)field = false;
        break;
    case CONFIG_STRING:
    case CONFIG_SECRET:
        *(const char **)field = "";
        break;
    case CONFIG_ENUM:
        *(int *)field = 0;
        break;
    case CONFIG_STRING_LIST:
        *(struct config_strings *)field = (struct config_strings){0};
        break;
    case CONFIG_FLOAT:
        *(double *)field = 0;
        break;
    default: /* numbers of 64 bits */
        memset(field, 0, sizeof(uint64_t));
        break;
    }
}

/* A string that YAML would read as something else, or not at all, is quoted. */
static void print_string(str s, struct buf *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:=@+";
    struct yaml_node node = {.kind = YAML_SCALAR, .text = s};
    bool is_bool;
    double number;
    bool quote = s.len == 0 || s.ptr[0] == '-' || s.ptr[s.len - 1] == ':' || yaml_is_null(&node) ||
                 yaml_bool(&node, &is_bool) || goparse_float(s, &number) == 0;
    for (size_t i = 0; i < s.len && !quote; i++)
        quote = memchr(plain, s.ptr[i], sizeof plain - 1) == NULL;
    if (!quote) {
        buf_append_str(out, s);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\')
            buf_append_char(out, '\\');
        if (c < 0x20)
            buf_printf(out, "\\x%02x", c);
        else
            buf_append_char(out, (char)c);
    }
    buf_append_char(out, '"');
}

void config_value_print(const struct config_key *k, const void *field, struct buf *out)
{
    switch (k->type) {
    case CONFIG_BOOL:
        buf_append_c(out, *(const bool *)field ? "true" : "false");
        break;
    case CONFIG_INT:
        buf_append_i64(out, *(const int64_t *)field);
        break;
    case CONFIG_UINT:
        buf_append_u64(out, *(const uint64_t *)field);
        break;
    case CONFIG_FLOAT:
        gofmt_float(out, *(const double *)field, 'f', -1);
        break;
    case CONFIG_DURATION:
    case CONFIG_DURATION_GO:
        duration_append_go(out, *(const int64_t *)field);
        break;
    case CONFIG_DURATION_PROM:
        duration_append_prom(out, *(const int64_t *)field);
        break;
    case CONFIG_BYTES:
        bytesize_append_setting(out, *(const uint64_t *)field);
        break;
    case CONFIG_ENUM:
        buf_append_c(out, k->choices[*(const int *)field]);
        break;
    case CONFIG_SECRET:
        buf_append_c(out, (*(const char *const *)field)[0] == '\0' ? "\"\"" : "<secret>");
        break;
    case CONFIG_STRING:
        print_string(str_c(*(const char *const *)field), out);
        break;
    case CONFIG_STRING_LIST: {
        const struct config_strings *list = field;
        buf_append_char(out, '[');
        for (size_t i = 0; i < list->n; i++) {
            if (i > 0)
                buf_append_c(out, ", ");
            print_string(str_c(list->items[i]), out);
        }
        buf_append_char(out, ']');
        break;
    }
    default:
        break;
    }
}

/* Levenshtein's distance, cut off at 64 characters: only for "did you mean". */
size_t config_edit_distance(str a, str b)
{
    size_t row[65];
    if (a.len > 64 || b.len > 64)
        return 64;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t cost = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            row[j] = MIN(cost, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}
