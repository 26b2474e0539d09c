/* promtail/stages/all.h - the stages by name, for the registry. */
#pragma once
#include "promtail/stages/stage.h"

extern const struct stage_ops stage_cri, stage_decolorize, stage_docker, stage_drop,
    stage_eventlogmessage, stage_geoip, stage_json, stage_labelallow, stage_labeldrop, stage_labels,
    stage_limit, stage_logfmt, stage_match, stage_metrics, stage_multiline,
    stage_non_indexed_labels, stage_output, stage_pack, stage_regex, stage_replace, stage_sampling,
    stage_static_labels, stage_structured_metadata, stage_template, stage_tenant, stage_timestamp;
