/* tests/support/fake_source.h - a query source in memory, filled by tests.
 *
 * Entries are added in any order; at the first select they are sorted (equal (time, line) pairs of
 * a stream kept once) and cut into blocks.  Blocks may be made to overlap or to come twice, as
 * replicas and late entries make them.  Not for several writers; reads may be concurrent. */
#pragma once
#include "proto/query_source.h"

struct fake_source;

enum fake_layout {
    FAKE_PLAIN,    /* blocks follow one another */
    FAKE_OVERLAP,  /* entries are dealt out to two rows of blocks that overlap */
    FAKE_REPLICAS, /* every block is there twice, under different ids */
    FAKE_LATE,     /* a block begins with a late entry and a repeated one of the block before */
};

struct fake_source_params {
    size_t block_entries; /* cut after so many; 0: 1000 */
    enum fake_layout layout;
    unsigned reads_fail_at; /* the n-th read gives E_CORRUPT; 0: none */
};

struct fake_source *fake_source_new(const struct fake_source_params *p);
void fake_source_free(struct fake_source *f);
struct query_source *fake_source_query_source(struct fake_source *f);
/* `labels` is {a="b"}; meta_json is {"a":"b"} or NULL.  Everything is copied. */
void fake_source_add(struct fake_source *f, const char *labels, int64_t ts_ns, const char *line,
                     const char *meta_json);
/* Lines {"labels":{..},"ts":"<ns>","line":"..","metadata":{..}}.  0 or a status. */
int fake_source_load(struct fake_source *f, const char *path);
/* How often read() was asked, and for how many columns of lines. */
size_t fake_source_reads(const struct fake_source *f);
size_t fake_source_line_reads(const struct fake_source *f);
