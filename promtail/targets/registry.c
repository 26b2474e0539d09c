/* Every kind of target a job may have.  stdin is not here: a flag asks for it, not a job. */
#include "promtail/targets/all.h"

const struct target_ops *const target_registry[] = {
    &target_file,   &target_syslog, &target_push,    &target_gelf,
    &target_docker, &target_kafka,  &target_journal, NULL,
};
