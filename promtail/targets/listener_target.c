#include "promtail/targets/listener_target.h"

#include "promtail/pipeline.h"
#include "runtime/log.h"

int listener_target_start(struct listener_target *t, const struct target_env *env,
                          const struct listener_config *config, const struct listener_ops *ops,
                          const char *kind, struct error *err)
{
    int rc = listener_start(env->loop, config, ops, t, &t->listener, err);
    if (rc != 0)
        error_prefix(err, "error setting up %s target: ", kind);
    else
        log_info(kind, "listening on address", LOG_C("address", listener_text(t->listener)));
    return rc;
}

bool listener_target_is_full(void *arg)
{
    return record_sink_is_full(&((struct listener_target *)arg)->base.pipeline->sink);
}

void listener_target_stop(struct target *base, void (*stopped)(void *arg), void *arg)
{
    struct listener_target *t = (struct listener_target *)base;
    listener_stop(t->listener);
    t->listener = NULL;
    stopped(arg);
}

bool listener_target_is_ready(const struct target *base)
{
    return ((const struct listener_target *)base)->listener != NULL;
}

void listener_target_each_row(const struct target *base,
                              void (*row)(void *arg, const struct target_row *row), void *arg)
{
    const struct listener_target *t = (const struct listener_target *)base;
    if (t->listener != NULL)
        row(arg, &(struct target_row){NULL, t->labels, str_c(listener_text(t->listener)), true});
}
