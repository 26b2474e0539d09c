/* promtail/client/spool_format.h - what spool.c writes and spool_load.c reads; for these two. */
#pragma once
#include "promtail/client/spool.h"

#define SPOOL_VERSION     1
#define SPOOL_FRAME_BYTES 8
#define SPOOL_BOOT_ID_MAX 64

/* Flags of a mark. */
#define SPOOL_FINISHED 0x01
#define SPOOL_STARTED  0x02 /* not at 0: the position follows */

enum spool_kind { SPOOL_HEAD = 1, SPOOL_GROUP = 2, SPOOL_ACK = 3, SPOOL_CLOSE = 4 };

/* The kernel's boot id, "" if it has none. */
str spool_boot_id(char out[SPOOL_BOOT_ID_MAX]);
void spool_put_mark(struct buf *b, const struct source *source, const struct source_mark *mark);
void spool_new_id(struct spool *s);
void spool_set_seq(struct spool *s, str tenant, uint64_t next);
int spool_new_segment(struct spool *s, struct error *err);
int spool_load(struct spool *s, bool ignore_marks, struct group **ret_groups, struct error *err);
