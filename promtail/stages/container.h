/* promtail/stages/container.h - what the docker and cri stages do with the parts of a line once
 * they are extracted. */
#pragma once
#include "promtail/stages/fudge.h"

struct container_keys {
    str stream, time, line; /* names of extracted values */
};

/* The stream becomes a label, the time (RFC 3339, or fudged) the record's, the line the line. */
void container_apply(struct fudge *f, struct record *r, const struct container_keys *keys);
