/* promtail/targets/listener_target.h - what targets that listen have in common: starting, stopping,
 * being ready, their row on the page.
 *
 * First member of such a target; the target itself is the listener's argument.  Loop thread only.
 */
#pragma once
#include "promtail/targets/listener.h"
#include "promtail/targets/target.h"

struct listener_target {
    struct target base;
    struct listener *listener;       /* NULL: not (any more) listening */
    const struct label_list *labels; /* of the configuration */
};

/* Listens and says so; the error says of which `kind` of target it is ("syslog"). */
int listener_target_start(struct listener_target *t, const struct target_env *env,
                          const struct listener_config *config, const struct listener_ops *ops,
                          const char *kind, struct error *err);
/* For struct listener_ops and struct target_ops. */
bool listener_target_is_full(void *arg);
void listener_target_stop(struct target *base, void (*stopped)(void *arg), void *arg);
bool listener_target_is_ready(const struct target *base);
void listener_target_each_row(const struct target *base,
                              void (*row)(void *arg, const struct target_row *row), void *arg);
