/* promtail/app.h - the whole program behind its flags: server, signals, reload, orderly end. */
#pragma once
#include "promtail/config/config.h"

/* Runs until it is told to stop or standard input ends.  `config` was loaded and its arena is
 * `arena`; argc and argv are there for reloads.  Returns the exit status. */
int promtail_run(int argc, char **argv, struct promtail_config *config, struct arena *arena);
