/* logql/stages/stage_template.h - the templates of line_format and label_format: executed with a
 * line and its labels.  One thread. */
#pragma once
#include "logql/stages/labels_builder.h"
#include "logql/stages/stage.h"
#include "logql/template/template.h"

struct stage_template {
    struct labels_builder *labels;
    struct template_ctx ctx;
    struct buf out;
    bool is_frozen; /* only what `views` holds counts */
    VEC(struct label_view) views;
};

/* It must not move afterwards. */
void stage_template_init(struct stage_template *s, struct labels_builder *labels);
void stage_template_deinit(struct stage_template *s);

/* From now on the labels are those of this moment, whatever is set; until thawed. */
void stage_template_freeze(struct stage_template *s);
void stage_template_thaw(struct stage_template *s);

/* *ret holds until the next call.  If the template fails, the line gets __error__ and *ret stays.
 */
bool stage_template_exec(struct stage_template *s, const struct template *t,
                         struct stage_line *line, str *ret);
/* Adds the labels that the template reads. */
void stage_template_reads(const struct template *t, struct str_list *into);
