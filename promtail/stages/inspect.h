/* promtail/stages/inspect.h - what -inspect prints: how each stage changed a record. */
#pragma once
#include "promtail/stages/stage.h"

/* process() with a block on stdout for what it changed. */
bool inspect_process(struct stage *s, struct record *r);
