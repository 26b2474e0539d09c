#include "logql/stages/stage.h"

void str_list_add(struct str_list *l, str name)
{
    if (name.len == 0)
        return;
    for (size_t i = 0; i < l->len; i++)
        if (str_eq(l->items[i], name))
            return;
    VEC_PUSH_ARENA(l->arena, l, name);
}
