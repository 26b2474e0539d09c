/* promtail/pipeline.h - the stages of one scrape job, between its targets and the clients.
 *
 * Loop thread only.  One pipeline per job, shared by all its targets, as Promtail's.  The prefix is
 * job_pipeline_ because logql/, linked into the same program, has pipelines too. */
#pragma once
#include "base/status.h"
#include "promtail/record.h"
#include "promtail/source.h"
#include "promtail/stages/stage.h"

struct pipeline {
    struct record_sink sink; /* what targets put into; first member */
    struct stage_chain chain;
    struct record_sink *next;
    struct arena arena;
    char *job;
    bool is_inspecting;  /* -inspect prints what each stage changed */
    bool uses_extracted; /* some stage looks at extracted values; if none does they are not kept */
    int64_t paused_until_ns;
};

/* Compiles `stages` (NULL, YAML_NULL or a list); the nodes must outlive the pipeline. */
int job_pipeline_new(const char *job, const struct yaml_node *stages, struct record_sink *next,
                     struct pipeline **ret, struct error *err);
void job_pipeline_free(struct pipeline *p);
/* To be called about every 100 ms; is_final once before the stop, when no target reads any more. */
void job_pipeline_flush(struct pipeline *p, int64_t now_ns, bool is_final);

/* True if the extracted map has to be filled: a stage that only writes to it asks first. */
static inline bool job_pipeline_keeps_extracted(const struct pipeline *p)
{
    return p->uses_extracted || p->is_inspecting;
}

/* A stage that must slow the reading down (limit without drop): until then sink.is_full says yes.
 * The record at hand goes on. */
void job_pipeline_pause(struct pipeline *p, int64_t until_mono_ns);

/* Keeps bytes of a source from being counted as read while a stage keeps a record back; `owner` is
 * any pointer that stands for the kept record; one owner may hold several ranges.  Release only
 * after the record was emitted (or dropped).  No-ops for records without source. */
void job_pipeline_hold(const struct origin *o, const void *owner);
void job_pipeline_release(const struct origin *o, const void *owner);

/* logentry_dropped_lines_total{reason}: every line that ends here is counted. */
void job_pipeline_count_drop(str reason);
