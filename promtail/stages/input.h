/* promtail/stages/input.h - what a stage reads: the line, or the extracted value `source` names. */
#pragma once
#include "promtail/stages/stage.h"

struct stage_input {
    str source;
    bool has_source;
};

/* Reads the key `source`. */
int stage_input_conf(const struct yaml_node *config, struct stage_input *ret, struct error *err);
/* E_PARSE with `text` if `source` is there but empty. */
int stage_input_check(const struct stage_input *in, const char *text, struct error *err);
/* The text to work on; false if the source is missing or null.  Bytes of the record or its arena.
 */
bool stage_input_text(const struct stage_input *in, const struct record *r, str *ret);
