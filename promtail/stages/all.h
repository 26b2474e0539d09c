/* promtail/stages/all.h - the stages by name, for the registry. */
#pragma once
#include "promtail/stages/stage.h"

extern const struct stage_ops stage_cri, stage_docker, stage_json, stage_labels, stage_output,
    stage_regex, stage_static_labels, stage_timestamp;
