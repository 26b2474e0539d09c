#include "promtail/stages/inspect.h"

#include <stdio.h>

static void print_change(const char *what, str before, str after)
{
    if (before.ptr == NULL && after.ptr != NULL)
        printf("%s:\n\t+ %.*s\n", what, STR_ARG(after));
    else if (!str_eq(before, after))
        printf("%s:\n\t- %.*s\n\t+ %.*s\n", what, STR_ARG(before), STR_ARG(after));
}

static void print_labels(const struct label_list *before, const struct label_list *after)
{
    for (size_t i = 0; i < after->n; i++) {
        const struct label *l = &after->items[i];
        str old = label_list_get(before, l->name);
        if (old.ptr == NULL)
            printf("labels:\n\t+ %.*s=\"%.*s\"\n", STR_ARG(l->name), STR_ARG(l->value));
        else if (!str_eq(old, l->value))
            printf("labels:\n\t- %.*s=\"%.*s\"\n\t+ %.*s=\"%.*s\"\n", STR_ARG(l->name),
                   STR_ARG(old), STR_ARG(l->name), STR_ARG(l->value));
    }
    for (size_t i = 0; i < before->n; i++)
        if (label_list_get(after, before->items[i].name).ptr == NULL)
            printf("labels:\n\t- %.*s\n", STR_ARG(before->items[i].name));
}

static void print_extracted(const struct record *before, const struct record *after)
{
    for (size_t i = 0; i < after->extracted.n; i++) {
        const struct extracted_item *e = &after->extracted.items[i];
        const struct value *old = extracted_get(before, e->key);
        str was = {NULL, 0}, is = STR("null");
        if (old != NULL && !value_text(old, before->arena, &was))
            was = STR("null");
        value_text(&e->value, after->arena, &is);
        if (old == NULL || !str_eq(was, is))
            printf("extracted:\n\t+ %.*s: %.*s\n", STR_ARG(e->key), STR_ARG(is));
    }
}

bool inspect_process(struct stage *s, struct record *r)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    struct record before;
    record_copy(&before, &a, r);
    bool goes_on = s->ops->process(s, r);
    printf("[inspect: %s stage]: \n", s->ops->name);
    if (goes_on) {
        print_labels(&before.labels, &r->labels);
        print_extracted(&before, r);
        if (before.ts_ns != r->ts_ns)
            printf("timestamp:\n\t- %lld ns\n\t+ %lld ns\n", (long long)before.ts_ns,
                   (long long)r->ts_ns);
        print_change("line", before.line, r->line);
    } else {
        printf("none\n");
    }
    fflush(stdout);
    arena_deinit(&a);
    return goes_on;
}
