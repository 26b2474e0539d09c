/* promtail/stages/text_template.h - a Go template over the extracted values of a record.
 *
 * Loop thread only; one execution at a time. */
#pragma once
#include "logql/template/template.h"
#include "promtail/record.h"

struct text_template {
    struct template *parsed;
    struct template_ctx ctx;
    struct tzone *local;
    struct buf out;
    /* during an execution */
    const struct record *record;
    str value, entry; /* {{ .Value }}, {{ .Entry }}; ptr NULL: not there */
};

/* E_PARSE with Go's text; nothing to free then. */
int text_template_init(struct text_template *t, str text, struct error *err);
void text_template_deinit(struct text_template *t); /* a zeroed one too */
/* False if the execution failed.  *ret lives until the next one. */
bool text_template_exec(struct text_template *t, const struct record *r, str value, str entry,
                        str *ret);
