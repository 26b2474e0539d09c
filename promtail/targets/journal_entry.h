/* promtail/targets/journal_entry.h - the fields of a journal entry as line and labels. */
#pragma once
#include "promtail/record.h"

struct journal_entry {
    struct label *fields; /* name, value; in an arena */
    size_t n;
};

/* Adds "NAME=value"; of equal names the last counts.  Copies. */
void journal_entry_add(struct journal_entry *e, struct arena *a, str field);
/* MESSAGE, or with `json` all fields as an object, keys sorted.  False if there is no MESSAGE. */
bool journal_entry_line(struct journal_entry *e, bool json, struct arena *a, str *ret);
/* __journal_<name in small letters> of each field, and __journal_priority_keyword. */
void journal_entry_labels(const struct journal_entry *e, struct arena *a, struct label_list *ret);
