/* The configuration as YAML, secrets hidden: /config, -print-config-stderr. */
#include "base/goquote.h"
#include "promtail/config/tables.h"

#define PRINT_DEPTH_MAX 64

static bool is_secret(str key)
{
    static const char *const names[] = {"password",      "bearer_token", "credentials",
                                        "client_secret", "key",          "token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_eq_c(key, names[i]))
            return true;
    return false;
}

static void print_node(const struct yaml_node *node, struct buf *out, int indent)
{
    switch (node->kind) {
    case YAML_NULL:
        buf_append_c(out, " null\n");
        return;
    case YAML_SCALAR:
        buf_append_char(out, ' ');
        goquote(out, node->text);
        buf_append_char(out, '\n');
        return;
    case YAML_LIST:
        buf_append_c(out, node->n == 0 ? " []\n" : "\n");
        for (size_t i = 0; i < node->n && indent < PRINT_DEPTH_MAX; i++) {
            buf_printf(out, "%*s-", indent, "");
            print_node(node->items[i], out, indent + 2);
        }
        return;
    case YAML_MAP:
        buf_append_c(out, node->n == 0 ? " {}\n" : "\n");
        for (size_t i = 0; i < node->n && indent < PRINT_DEPTH_MAX; i++) {
            buf_printf(out, "%*s%.*s:", indent, "", STR_ARG(node->keys[i]->text));
            if (is_secret(node->keys[i]->text) && node->items[i]->kind == YAML_SCALAR)
                buf_append_c(out, " <secret>\n");
            else
                print_node(node->items[i], out, indent + 2);
        }
        return;
    }
}

void promtail_config_print(const struct promtail_config *c, struct buf *out)
{
    config_print(config_file_keys, c, out);
    if (c->clients_node != NULL) {
        buf_append_c(out, "clients:");
        print_node(c->clients_node, out, 2);
    }
    if (c->scrapes_node != NULL) {
        buf_append_c(out, "scrape_configs:");
        print_node(c->scrapes_node, out, 2);
    }
}
