/* promtail/loss.h - what was lost, whatever the reason: promtail_lost_bytes_total. */
#pragma once
#include "base/str.h"

#define LOSS_TRUNCATED  STR("truncated")  /* a file, before it was read, and no copy was found */
#define LOSS_GONE       STR("gone")       /* a file that was renamed or removed, not found again */
#define LOSS_UNREADABLE STR("unreadable") /* a file that cannot be read or decompressed */

/* Bytes of lines given up by the client of `host`, for a `reason` of promtail_dropped_bytes_total;
 * or of a file, not read, then `host` is empty. */
void loss_count(str host, str reason, size_t bytes);
/* A file that may not have been read to its end is gone, and nobody knows how long it was. */
void loss_count_file(void);
/* Of a client's journal so many bytes cannot be used: what they held is read again if it can be. */
void loss_count_damage(size_t bytes);
/* The metrics are there, 0, from the start. */
void loss_init(void);
