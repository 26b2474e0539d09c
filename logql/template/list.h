/* logql/template/list.h - helpers for lists that several files of functions use. */
#pragma once
#include "logql/template/call.h"

/* reflect.DeepEqual: equal types and contents. */
bool list_deep_equal(const struct tval *a, const struct tval *b);
/* strings.SplitN as a []string; an empty separator splits into runes; limit < 0: all. */
int list_split(struct template_call *c, str s, str sep, int64_t limit, struct tval *ret);
