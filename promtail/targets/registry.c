/* Every kind of target a job may have, and what Promtail's errors call its manager.  stdin is not
 * here: a flag asks for it, not a job. */
#include "promtail/targets/all.h"

static const struct {
    const struct target_ops *ops;
    const char *manager;
} registry[] = {
    {&target_file, "file"},           {&target_journal, "journal"},
    {&target_syslog, "syslog"},       {&target_push, "Loki Push API"},
    {&target_kafka, "kafka"},         {&target_gelf, "gelf"},
    {&target_heroku, "Heroku Drain"}, {&target_docker, "Docker service discovery"},
};

const struct target_ops *target_of_job(const struct scrape_config *job, const char **ret_manager)
{
    for (size_t i = 0; i < sizeof registry / sizeof *registry; i++)
        if (registry[i].ops->is_wanted(job)) {
            *ret_manager = registry[i].manager;
            return registry[i].ops;
        }
    *ret_manager = "file";
    return NULL;
}
