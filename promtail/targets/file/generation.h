/* promtail/targets/file/generation.h - life of one generation; for this folder alone. */
#pragma once
#include "promtail/targets/file/tail.h"

/* Takes the descriptor and the reference to the source over. */
struct generation *generation_new(struct tail *t, struct source *s, int fd);
/* When the file was last written; 0 if it is closed. */
int64_t generation_written_ns(const struct generation *g);
void generation_free(struct generation *g);
/* positions.yaml speaks of the file under the path only. */
void generation_forget_yaml(struct generation *g);
/* Goes on at the same offset in a copy. */
void generation_replace_fd(struct generation *g, int fd);
/* Decompression as the job says, or of a .gz copy from plain offset g->offset on. */
bool generation_decompress(struct generation *g);
bool generation_read_as_gzip(struct generation *g);
/* A last line without newline that nobody will end any more; counts what cannot be read. */
void generation_put_rest(struct generation *g);
/* Bytes between what was read and the end as it was last seen; 0 for compressed files. */
int64_t generation_unread(const struct generation *g);
/* Counts them as lost. */
void generation_count_loss(const struct generation *g, str reason);
