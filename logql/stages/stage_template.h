/* logql/stages/label_source.h - the labels of a line as data of a template. */
#pragma once
#include "logql/stages/labels_builder.h"
#include "logql/template/template.h"

/* Bytes a template may use for one line besides its output, and its output. */
#define TEMPLATE_ARENA_BYTES_MAX  (16u << 20)
#define TEMPLATE_OUTPUT_BYTES_MAX (8u << 20)

/* What the template functions get as their user pointer. */
struct label_source {
    struct labels_builder *labels;
    bool is_frozen; /* only what `views` holds counts */
    VEC(struct label_view) views;
};

extern const struct template_source label_template_source;

/* From now on the labels are those of this moment, whatever is set. */
void label_source_freeze(struct label_source *s);
void label_source_deinit(struct label_source *s);
