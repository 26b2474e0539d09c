/* promtail/targets/all.h - the targets by name, for the registry. */
#pragma once
#include "promtail/targets/target.h"

extern const struct target_ops target_file, target_stdin, target_syslog, target_push, target_gelf,
    target_docker, target_journal, target_kafka, target_heroku;
