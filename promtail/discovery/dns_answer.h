/* promtail/discovery/dns_answer.h - the answer of a name server as a target group. */
#pragma once
#include "promtail/config/targets.h"
#include "promtail/discovery/discovery.h"

/* Reads a whole DNS message.  E_PARSE if it is malformed; records of other types are passed over.
 */
int dns_group(str message, const char *name, int type, int64_t port, struct arena *a,
              struct target_group *ret);
