#include "promtail/targets/journal_entry.h"

#include <stdlib.h>

#include "base/mem.h"
#include "proto/json_writer.h"

#define LINE_BYTES_MAX (256u << 20)

static struct label *find(const struct journal_entry *e, str name)
{
    for (size_t i = 0; i < e->n; i++)
        if (str_eq(e->fields[i].name, name))
            return &e->fields[i];
    return NULL;
}

void journal_entry_add(struct journal_entry *e, struct arena *a, str field)
{
    size_t eq = str_find_char(field, '=');
    if (eq == STR_NPOS || eq == 0)
        return;
    field = arena_str(a, field); /* libsystemd's view ends with the next */
    struct label one = {str_sub(field, 0, eq), str_from(field, eq + 1)};
    struct label *known = find(e, one.name);
    if (known != NULL) {
        *known = one;
        return;
    }
    if ((e->n & (e->n - 1)) == 0) { /* full at each power of two */
        struct label *grown = ARENA_ARRAY(a, struct label, MAX(e->n * 2, 1));
        if (e->n > 0)
            memcpy(grown, e->fields, e->n * sizeof *grown);
        e->fields = grown;
    }
    e->fields[e->n++] = one;
}

static int compare(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static str as_json(struct journal_entry *e, struct arena *a)
{
    struct json_writer w;
    struct buf out;
    if (e->n > 0)
        qsort(e->fields, e->n, sizeof *e->fields, compare);
    buf_init(&out, LINE_BYTES_MAX);
    jsonw_writer_init(&w, &out);
    jsonw_begin_object(&w);
    for (size_t i = 0; i < e->n; i++) {
        jsonw_key(&w, e->fields[i].name);
        jsonw_string(&w, e->fields[i].value);
    }
    jsonw_end_object(&w);
    str line = arena_str(a, buf_str(&out));
    buf_deinit(&out);
    return line;
}

bool journal_entry_line(struct journal_entry *e, bool json, struct arena *a, str *ret)
{
    if (json) {
        *ret = as_json(e, a);
        return true;
    }
    const struct label *message = find(e, STR("MESSAGE"));
    if (message != NULL)
        *ret = message->value;
    return message != NULL;
}

static str keyword(str priority)
{
    static const char *const names[] = {"emerg",   "alert",  "crit", "error",
                                        "warning", "notice", "info", "debug"};
    bool is_known = priority.len == 1 && priority.ptr[0] >= '0' && priority.ptr[0] <= '7';
    return is_known ? str_c(names[priority.ptr[0] - '0']) : priority;
}

void journal_entry_labels(const struct journal_entry *e, struct arena *a, struct label_list *ret)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct label *f = &e->fields[i];
        str name = arena_printf(a, "__journal_%.*s", STR_ARG(f->name));
        for (char *p = (char *)name.ptr; *p != '\0'; p++) /* our own copy */
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p + 'a' - 'A');
        label_list_set(ret, a, name, f->value);
        if (str_eq(f->name, STR("PRIORITY")))
            label_list_set(ret, a, STR("__journal_priority_keyword"), keyword(f->value));
    }
}
