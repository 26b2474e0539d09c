/* promtail/stages/all.h - the stages by name, for the registry. */
#pragma once
#include "promtail/stages/stage.h"

extern const struct stage_ops stage_ops_cri, stage_ops_decolorize, stage_ops_docker, stage_ops_drop,
    stage_ops_eventlogmessage, stage_ops_geoip, stage_ops_json, stage_ops_labelallow,
    stage_ops_labeldrop, stage_ops_labels, stage_ops_limit, stage_ops_logfmt, stage_ops_match,
    stage_ops_metrics, stage_ops_multiline, stage_ops_non_indexed_labels, stage_ops_output,
    stage_ops_pack, stage_ops_regex, stage_ops_replace, stage_ops_sampling, stage_ops_static_labels,
    stage_ops_structured_metadata, stage_ops_template, stage_ops_tenant, stage_ops_timestamp;
