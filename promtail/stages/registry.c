/* Every stage there is. */
#include "promtail/stages/all.h"

const struct stage_ops *const stage_registry[] = {
    &stage_cri,   &stage_docker,        &stage_json,      &stage_labels, &stage_output,
    &stage_regex, &stage_static_labels, &stage_timestamp, NULL,
};
