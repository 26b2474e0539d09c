/* logql/template/time.h - times as results. */
#pragma once
#include "logql/template/call.h"

/* *ret = a copy of t in the arena. */
int template_return_time(struct template_call *c, struct gotime t, struct tval *ret);
