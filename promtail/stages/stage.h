/* promtail/stages/stage.h - what a pipeline stage is, and how its settings are read.
 *
 * One file per stage: it holds the stage's settings, its compile and process functions and one
 * `const struct stage_ops stage_ops_<name>`, listed in stages/registry.c.  Loop thread only. */
#pragma once
#include "base/status.h"
#include "promtail/record.h"
#include "runtime/yaml.h"

struct pipeline;
struct stage;
struct stage_ops;

#define STAGES_NESTED_MAX 20 /* match in match in match ... */

/* What compile may use.  The arena lives as long as the pipeline, and so do the YAML nodes. */
struct stage_build {
    struct pipeline *pipeline;
    const char *job;
    struct arena *arena;
    int depth; /* of match stages around this one */
};

struct stage_ops {
    const char *name; /* the YAML key */
    /* Makes the stage from its YAML node (never NULL; may be YAML_NULL).  Errors carry Promtail's
     * text without "invalid <name> stage config: " unless Promtail prints it there. */
    int (*compile)(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err);
    /* Works on the record in place.  True: goes on to the next stage; false: dropped or kept back
     * (a copy).  May hand on other records first, by stage_emit(). */
    bool (*process)(struct stage *s, struct record *r);
    /* NULL if the stage never keeps anything back.  Hands on what is due at now_ns (is_final: all
     * that Promtail would send at the stop); called about every 100 ms. */
    void (*flush)(struct stage *s, int64_t now_ns, bool is_final);
    void (*free)(struct stage *s); /* frees the heap parts and s itself; NULL: mem_free(s) */
    bool takes_any;                /* settings of any kind; else they must be a map, or nothing */
    /* Never reads extracted values, or finds out itself that they are not kept. */
    bool ignores_extracted;
};

/* First member of each implementation. */
struct stage {
    const struct stage_ops *ops;
    struct stage_chain *chain;
    struct stage *next;
};

/* Stages in a row; a pipeline has one, each match stage another. */
struct stage_chain {
    struct stage *first;
    struct pipeline *pipeline;
    /* What comes after the last stage. */
    void (*done)(void *arg, struct record *r);
    void *arg;
};

extern const struct stage_ops *const stage_registry[]; /* NULL-terminated */

/* Compiles a list of {name: settings} into `chain`; `done` and `arg` are set by the caller. */
int stage_chain_compile(struct stage_build *b, const struct yaml_node *list,
                        struct stage_chain *chain, struct error *err);
void stage_chain_process(struct stage_chain *chain, struct record *r);
void stage_chain_flush(struct stage_chain *chain, int64_t now_ns, bool is_final);
void stage_chain_free(struct stage_chain *chain);

/* Runs r through the stages behind s, and on to the chain's end. */
void stage_emit(struct stage *s, struct record *r);
/* True if nothing ran before s: the labels have just been copied into the extracted map. */
bool stage_is_first(const struct stage *s);

/* Settings as mapstructure decodes them: unknown keys are ignored, a null leaves *ret as it is
 * (set the default first), scalars of the wrong type are errors.  Key names match in any case. */
const struct yaml_node *stage_conf_get(const struct yaml_node *map, const char *key);
/* What Go's YAML reader makes of a node: string, bool, int, float64, map, slice, nil. */
const char *stage_conf_type(const struct yaml_node *n);
/* A node that must be a string, or a number; `key` is for the error. */
int stage_conf_node_float(const struct yaml_node *n, const char *key, double *ret,
                          struct error *err);
int stage_conf_node_str(const struct yaml_node *n, const char *key, str *ret, struct error *err);
int stage_conf_str(const struct yaml_node *map, const char *key, str *ret, bool *ret_is_set,
                   struct error *err);
int stage_conf_bool(const struct yaml_node *map, const char *key, bool *ret, struct error *err);
int stage_conf_int(const struct yaml_node *map, const char *key, int64_t *ret, struct error *err);
int stage_conf_float(const struct yaml_node *map, const char *key, double *ret, struct error *err);
/* A list of strings, in the arena; a null among them is "". */
int stage_conf_node_strs(const struct yaml_node *n, const char *key, struct arena *a, str **ret,
                         size_t *ret_n, struct error *err);
int stage_conf_strs(const struct yaml_node *map, const char *key, struct arena *a, str **ret,
                    size_t *ret_n, struct error *err);
/* The same where Promtail decodes weakly: 100 stands for "100", "5" for 5, "true" for true; texts
 * that are spelled anew are in the arena; "" is 0, and a negative number as an unsigned one stands
 * for one beyond any count. */
int stage_weak_str(const struct yaml_node *map, const char *key, struct arena *a, str *ret,
                   bool *ret_is_set, struct error *err);
int stage_weak_bool(const struct yaml_node *map, const char *key, bool *ret, struct error *err);
int stage_weak_int(const struct yaml_node *map, const char *key, int64_t *ret, struct error *err);
int stage_weak_uint(const struct yaml_node *map, const char *key, int64_t *ret, struct error *err);
int stage_weak_float(const struct yaml_node *map, const char *key, double *ret, struct error *err);
int stage_weak_strs(const struct yaml_node *map, const char *key, struct arena *a, str **ret,
                    size_t *ret_n, struct error *err);
/* {name: source} maps: a null or empty value means the name itself.  The order of the text. */
struct stage_pair {
    str name, value;
    bool is_empty; /* null or "": value is the name */
};
int stage_conf_pairs(const struct yaml_node *map, struct arena *a, struct stage_pair **ret,
                     size_t *ret_n, struct error *err);
