/* promtail/stages/inspect.h - what -inspect prints: how each stage changed a record. */
#pragma once
#include "base/buf.h"
#include "promtail/stages/stage.h"

/* process() with a block on stderr for what it changed. */
bool inspect_process(struct stage *s, struct record *r);
/* Appends the changes, each beginning with a newline; nothing if there are none. */
void inspect_changes(const struct record *before, const struct record *after, struct buf *out);
