/* The command line, -help, the generated manual page and /config, all from the same tables. */
#include "base/mem.h"
#include "runtime/config_internal.h"

struct found_flag {
    const struct config_key *key;
    void *field;
};

static bool find_flag(const struct config_key *table, void *into, str name, struct found_flag *ret)
{
    for (const struct config_key *k = table; k->name != NULL; k++) {
        void *field = (char *)into + k->offset;
        if (k->type == CONFIG_BLOCK) {
            if (find_flag(k->table, field, name, ret))
                return true;
        } else if (k->flag != NULL && str_eq_c(name, k->flag)) {
            *ret = (struct found_flag){k, field};
            return true;
        }
    }
    return false;
}

/* Splits "-name=value" and "--name"; false for what is no flag ("-", "word"). */
static bool split_flag(const char *arg, str *ret_name, str *ret_value, bool *ret_has_value)
{
    str s = str_c(arg);
    if (s.len < 2 || s.ptr[0] != '-')
        return false;
    s = str_from(s, s.ptr[1] == '-' ? 2 : 1);
    size_t eq = str_find_char(s, '=');
    *ret_has_value = eq != STR_NPOS;
    *ret_name = eq == STR_NPOS ? s : str_sub(s, 0, eq);
    *ret_value = eq == STR_NPOS ? STR_EMPTY : str_from(s, eq + 1);
    return s.len > 0;
}

/* A flag that needs no value; of those that are ignored the ones whose default is false. */
static bool is_switch(const struct config_key *k)
{
    return k->type == CONFIG_BOOL ||
           (k->type == CONFIG_IGNORED && k->def != NULL && strcmp(k->def, "false") == 0);
}

int config_flags(const struct config_key *table, void *into, int argc, char **argv, struct arena *a,
                 int *ret_rest, struct error *err)
{
    int i = 1;
    for (; i < argc; i++) {
        str name, value;
        bool has_value;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (!split_flag(argv[i], &name, &value, &has_value))
            break;
        struct found_flag f;
        if (!find_flag(table, into, name, &f))
            return error_set(err, E_INVALID, "flag provided but not defined: -%.*s", STR_ARG(name));
        if (!has_value && is_switch(f.key))
            value = STR("true");
        else if (!has_value && i + 1 < argc)
            value = str_c(argv[++i]);
        else if (!has_value)
            return error_set(err, E_INVALID, "flag needs an argument: -%.*s", STR_ARG(name));
        if (f.key->type == CONFIG_IGNORED)
            continue;
        struct error why = {0};
        if (config_value_parse(f.key, value, a, f.field, &why) != 0 && f.key->type == CONFIG_BOOL)
            return error_set(err, E_INVALID, "invalid boolean value \"%.*s\" for -%.*s: %s",
                             STR_ARG(value), STR_ARG(name), why.text);
        if (why.code != 0)
            return error_set(err, E_INVALID, "invalid value \"%.*s\" for flag -%.*s: %s",
                             STR_ARG(value), STR_ARG(name), why.text);
    }
    *ret_rest = i;
    return 0;
}

const char *config_flag_early(int argc, char **argv, const char *wanted)
{
    for (int i = 1; i < argc; i++) {
        str name, value;
        bool has_value;
        if (!split_flag(argv[i], &name, &value, &has_value) || !str_eq_c(name, wanted))
            continue;
        if (has_value)
            return value.ptr; /* the rest of argv[i]: NUL-terminated */
        return i + 1 < argc && argv[i + 1][0] != '-' ? argv[i + 1] : "true";
    }
    return NULL;
}

void config_help(const struct config_key *table, struct buf *out)
{
    for (const struct config_key *k = table; k->name != NULL; k++) {
        if (k->type == CONFIG_BLOCK)
            config_help(k->table, out);
        if (k->flag == NULL || k->type == CONFIG_BLOCK)
            continue;
        buf_printf(out, "  -%s %s\n    \t%s", k->flag,
                   k->type == CONFIG_BOOL ? "" : config_type_name(k->type), k->help ? k->help : "");
        if (k->def != NULL && k->def[0] != '\0')
            buf_printf(out, " (default %s)", k->def);
        buf_append_char(out, '\n');
    }
}

static void markdown_row(const struct config_key *k, const char *path, struct buf *out)
{
    buf_printf(out, "| `%s%s` | %s | %s%s%s | %s%s%s | %s |\n", path, k->name,
               config_type_name(k->type), k->flag ? "`-" : "", k->flag ? k->flag : "",
               k->flag ? "`" : "", k->def && k->def[0] ? "`" : "", k->def ? k->def : "",
               k->def && k->def[0] ? "`" : "", k->help ? k->help : "");
}

static void markdown(const struct config_key *table, const char *path, struct buf *out)
{
    for (const struct config_key *k = table; k->name != NULL; k++) {
        if (k->type == CONFIG_IGNORED || k->type == CONFIG_UNSUPPORTED)
            continue;
        if (k->type != CONFIG_BLOCK) {
            markdown_row(k, path, out);
            continue;
        }
        char deeper[256];
        size_t n = strlen(path), m = strlen(k->name);
        ASSERT(n + m + 2 <= sizeof deeper);
        memcpy(deeper, path, n);
        memcpy(deeper + n, k->name, m);
        memcpy(deeper + n + m, ".", 2);
        markdown(k->table, deeper, out);
    }
}

void config_markdown(const struct config_key *table, struct buf *out)
{
    buf_append_c(out, "| key | type | flag | default | what it does |\n|---|---|---|---|---|\n");
    markdown(table, "", out);
}

static void print_block(const struct config_key *table, const void *from, struct buf *out,
                        int indent)
{
    for (const struct config_key *k = table; k->name != NULL; k++) {
        const void *field = (const char *)from + k->offset;
        if (k->type == CONFIG_IGNORED || k->type == CONFIG_UNSUPPORTED ||
            (k->type == CONFIG_CUSTOM && k->print == NULL))
            continue;
        buf_printf(out, "%*s%s:", indent, "", k->name);
        if (k->type == CONFIG_BLOCK) {
            buf_append_char(out, '\n');
            print_block(k->table, field, out, indent + 2);
        } else if (k->type == CONFIG_CUSTOM) {
            k->print(field, out, indent + 2); /* writes what follows the colon, newline included */
        } else {
            buf_append_char(out, ' ');
            config_value_print(k, field, out);
            buf_append_char(out, '\n');
        }
    }
}

void config_print(const struct config_key *table, const void *from, struct buf *out)
{
    print_block(table, from, out, 0);
}
