/* runtime/config.h - configuration tables: one row per key gives parsing from YAML and from the
 * command line, defaults, checks, -help and docs/configuration.md.
 *
 * A table describes one struct.  Strings are kept in the arena given to config_load. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "runtime/yaml.h"

enum config_type {
    CONFIG_BOOL,          /* bool */
    CONFIG_INT,           /* int64_t */
    CONFIG_UINT,          /* uint64_t */
    CONFIG_FLOAT,         /* double */
    CONFIG_STRING,        /* const char * (never NULL: "" if unset) */
    CONFIG_SECRET,        /* const char *, printed as <secret> */
    CONFIG_DURATION,      /* int64_t ns; Go's or Prometheus' spelling */
    CONFIG_DURATION_GO,   /* the same, Go's spelling alone: 1h30m, 1.5s; a plain number is ns */
    CONFIG_DURATION_PROM, /* the same, Prometheus' alone: 1d, 1h30m */
    CONFIG_BYTES,         /* uint64_t bytes; 256KB, 1MiB; 1024-based as Loki's flagext.ByteSize */
    CONFIG_ENUM,          /* int: index into `choices` */
    CONFIG_BLOCK,         /* a nested struct described by `table` */
    CONFIG_STRING_LIST,   /* struct config_strings; a comma list on the command line */
    CONFIG_CUSTOM,        /* `custom` reads the node: maps, lists of blocks */
    CONFIG_IGNORED,       /* known to Loki, of no meaning here: accepted, with a warning */
    CONFIG_UNSUPPORTED,   /* known to Loki, not (yet) done: an error, or a warning with
                             -config.lenient */
};

struct config_strings {
    const char **items;
    size_t n;
};

struct config_reader; /* errors, warnings, arena, file name during a load */

struct config_key {
    const char *name; /* YAML key; NULL ends the table */
    enum config_type type;
    size_t offset;    /* into the struct */
    const char *def;  /* default as text; NULL: zero value */
    const char *flag; /* command line name without the dash; NULL: none */
    const char *help;
    const char *min, *max;          /* as text; NULL: none */
    const char *const *choices;     /* CONFIG_ENUM, NULL-terminated */
    const struct config_key *table; /* CONFIG_BLOCK */
    int (*custom)(struct config_reader *r, const struct yaml_node *node, void *field);
    void (*print)(const void *field, struct buf *out, int indent); /* CONFIG_CUSTOM, for /config */
};

#define CONFIG_AT(type, member) offsetof(type, member)

/* Fills `into` (zeroed by the caller) with the table's defaults. */
void config_defaults(const struct config_key *table, void *into, struct arena *a);

struct config_source {
    const char *file;  /* for messages */
    bool lenient;      /* CONFIG_UNSUPPORTED keys warn */
    bool expand_env;   /* ${VAR}, ${VAR:-default}, ... before parsing */
    bool go_texts;     /* name unknown keys as Go's YAML reader: field x not found */
    bool null_is_zero; /* "key:" alone is "", 0 or false, as to yaml.v2; else the default stays */
    void (*warn)(void *arg, const char *text);
    void *arg;
};

/* Reads YAML text over the defaults.  Unknown keys, wrong types and values out of bounds are errors
 * that name file, line and key: "loge.yaml:12: server.http_listen_port: ...".  All errors of a file
 * are reported, one a line, up to 20. */
int config_load(const struct config_key *table, void *into, str text,
                const struct config_source *source, struct arena *a, struct error *err);

/* For custom readers. */
int config_fail(struct config_reader *r, const struct yaml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void config_warn(struct config_reader *r, const struct yaml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int config_read_block(struct config_reader *r, const struct config_key *table,
                      const struct yaml_node *node, void *into); /* defaults first, then the node */
/* Reads a node over what the field holds, as the key of a table would. */
int config_read_into(struct config_reader *r, const struct config_key *key,
                     const struct yaml_node *node, void *field);
int config_read_value(struct config_reader *r, enum config_type type, const struct yaml_node *node,
                      void *field);
struct arena *config_arena(struct config_reader *r);

/* Command line: -name=value, --name=value, -name value, -bool.  Unknown flags are an error.
 * Positional arguments are left in *ret_rest (points into argv). */
int config_flags(const struct config_key *table, void *into, int argc, char **argv, struct arena *a,
                 int *ret_rest, struct error *err);
/* Value of one flag looked up before the full parse (-config.file); NULL if absent. */
const char *config_flag_early(int argc, char **argv, const char *name);

void config_help(const struct config_key *table, struct buf *out); /* for -help */
void config_markdown(const struct config_key *table,
                     struct buf *out); /* for docs/configuration.md */
void config_print(const struct config_key *table, const void *from,
                  struct buf *out); /* YAML; /config */
/* ${VAR}, ${VAR:-default}, ${VAR:+x}, ${VAR:?err}, $$ and the other forms Go's envsubst library
 * knows (drone/envsubst, as Loki and Promtail use). */
int config_expand_env(str text, struct buf *out, struct error *err);
