/* runtime/metrics_process.h - process_* metrics of this process, from /proc; for metrics.c. */
#pragma once

/* Sets the process_* gauges to what holds now.  Any thread. */
void metrics_process_update(void);
