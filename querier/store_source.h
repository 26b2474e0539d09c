/* querier/store_source.h - a query source over the day tables of the store.
 *
 * A selection holds one read transaction per day it touches; blocks are decoded straight out of
 * the memory map.  Threads: as proto/query_source.h says. */
#pragma once
#include "proto/query_source.h"

struct store;

/* `store` is kept, and must outlive the source and its selections. */
struct query_source *store_source_new(struct store *store);
void store_source_free(struct query_source *q);
