#include "promtail/targets/enrich.h"

bool enrich_labels(const struct relabel_rules *rules, struct label_list *labels, struct arena *a)
{
    label_list_sort(labels);
    bool is_kept = relabel_apply(rules, labels, a) && labels->n > 0;
    size_t n = 0;
    for (size_t i = 0; is_kept && i < labels->n; i++)
        if (!str_has_prefix(labels->items[i].name, STR("__")))
            labels->items[n++] = labels->items[i];
    labels->n = n;
    label_list_sort(labels);
    label_list_rehash(labels);
    return is_kept;
}

void enrich_set(struct label_list *labels, struct arena *a, str name, str value)
{
    if (value.len > 0)
        label_list_set(labels, a, name, value);
    else
        label_list_remove(labels, name);
}
