/* promtail/targets/syslog_parse.h - one syslog message: RFC 5424, or the older RFC 3164.
 *
 * What passes and what does not follows the parser Promtail uses: a message fits the grammar as a
 * whole or is refused.  Pure functions, any thread; results are views of a copy in the arena. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

struct syslog_param {
    str id, name, value; /* of an element without parameters only the id: name.ptr is NULL */
};

/* Absent parts have ptr NULL. */
struct syslog_message {
    int priority; /* facility * 8 + severity */
    int version;  /* 0: RFC 3164 */
    bool has_time;
    int64_t ts_ns;
    str time; /* as written; RFC 5424 only */
    str hostname, app_name, proc_id, msg_id;
    struct syslog_param *params;
    size_t n_params;
    str text;
};

#define SYSLOG_PARAMS_MAX 1024 /* of one message: more is refused */

/* E_PARSE with a text. */
int syslog_parse_5424(str message, struct arena *a, struct syslog_message *ret, struct error *err);
/* The year, which the format lacks, is chosen so that the time is not more than a day after
 * now_ns. */
int syslog_parse_3164(str message, int64_t now_ns, struct arena *a, struct syslog_message *ret,
                      struct error *err);

const char *syslog_severity_name(const struct syslog_message *m); /* "notice" */
const char *syslog_facility_name(const struct syslog_message *m); /* "local4" */
/* Prints the message anew, structured data sorted (use_rfc5424_message). */
void syslog_print_5424(const struct syslog_message *m, struct buf *out);
