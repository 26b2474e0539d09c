/* promtail/targets/enrich.h - the labels of a record that came by a network: the job's, what the
 * message says, relabelled. */
#pragma once
#include "promtail/record.h"
#include "promtail/relabel.h"

/* Relabels `labels` in place (new strings in `a`), takes out what begins with "__" and sorts.  A
 * rule that drops leaves no label at all; false then, and where relabelling leaves none. */
bool enrich_labels(const struct relabel_rules *rules, struct label_list *labels, struct arena *a);
/* Sets a label; an empty or absent value takes it away. */
void enrich_set(struct label_list *labels, struct arena *a, str name, str value);
