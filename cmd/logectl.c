/* logectl - Loge's command line: logcli's commands and flags, and some of our own. */
#include "cmd/logectl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define CTL_ARENA_BYTES (64u << 20)
#define AT(member)      CONFIG_AT(struct ctl, member)

static const char *const outputs[] = {"default", "raw", "jsonl", NULL};
static const char *const colors[] = {"auto", "always", "never", NULL};

static const struct config_key options[] = {
    {"addr", CONFIG_STRING, AT(addr), "", "addr",
     "server address; LOKI_ADDR; default http://localhost:3100"},
    {"org-id", CONFIG_STRING, AT(org_id), "", "org-id", "tenant; LOKI_ORG_ID"},
    {"username", CONFIG_STRING, AT(username), "", "username", "for basic auth; LOKI_USERNAME"},
    {"password", CONFIG_SECRET, AT(password), "", "password", "for basic auth; LOKI_PASSWORD"},
    {"bearer-token", CONFIG_SECRET, AT(bearer_token), "", "bearer-token", "LOKI_BEARER_TOKEN"},
    {"bearer-token-file", CONFIG_STRING, AT(bearer_token_file), "", "bearer-token-file",
     "its file"},
    {"ca-cert", CONFIG_STRING, AT(ca_cert), "", "ca-cert", "authority of the server's certificate"},
    {"tls-skip-verify", CONFIG_BOOL, AT(tls_skip_verify), "", "tls-skip-verify",
     "do not check the server's certificate"},
    {"header", CONFIG_STRING_LIST, AT(headers), "", "header", "more request headers, Name: value"},
    {"quiet", CONFIG_BOOL, AT(quiet), "", "quiet", "nothing on stderr but errors"},
    {"q", CONFIG_BOOL, AT(quiet), "", "q", "the same"},
    {"stats", CONFIG_BOOL, AT(stats), "", "stats", "print the statistics of the query"},
    {"output", CONFIG_ENUM, AT(output), "default", "output",
     "default: time, labels, line; raw: the line; jsonl: an object a line", NULL, NULL, outputs},
    {"o", CONFIG_ENUM, AT(output), "default", "o", "the same", NULL, NULL, outputs},
    {"color", CONFIG_ENUM, AT(color), "auto", "color", "auto, always or never", NULL, NULL, colors},
    {"timezone", CONFIG_STRING, AT(timezone), "Local", "timezone", "Local, UTC or a zone's name"},
    {"z", CONFIG_STRING, AT(timezone), "Local", "z", "the same"},
    {"limit", CONFIG_INT, AT(limit), "30", "limit", "entries to print; 0: all", "0"},
    {"batch", CONFIG_INT, AT(batch), "1000", "batch", "entries asked for at once", "1", "5000"},
    {"since", CONFIG_DURATION, AT(since_ns), "0s", "since", "how far back; default 1h"},
    {"from", CONFIG_STRING, AT(from), "", "from", "start, RFC 3339 or unix time (inclusive)"},
    {"to", CONFIG_STRING, AT(to), "", "to", "end (exclusive)"},
    {"now", CONFIG_STRING, AT(now), "", "now", "time of an instant query"},
    {"step", CONFIG_DURATION, AT(step_ns), "0s", "step", "of a metric query"},
    {"interval", CONFIG_DURATION, AT(interval_ns), "0s", "interval",
     "at most one entry in this time"},
    {"forward", CONFIG_BOOL, AT(forward), "", "forward", "oldest first"},
    {"tail", CONFIG_BOOL, AT(tail), "", "tail", "go on with new entries"},
    {"t", CONFIG_BOOL, AT(tail), "", "t", "the same"},
    {"f", CONFIG_BOOL, AT(tail), "", "f", "the same"},
    {"delay-for", CONFIG_INT, AT(delay_for_s), "0", "delay-for",
     "seconds a tail waits for late entries", "0", "5"},
    {"no-labels", CONFIG_BOOL, AT(no_labels), "", "no-labels", "print no labels"},
    {"include-label", CONFIG_STRING_LIST, AT(include_labels), "", "include-label",
     "only these labels"},
    {"exclude-label", CONFIG_STRING_LIST, AT(exclude_labels), "", "exclude-label",
     "not these labels"},
    {"labels-length", CONFIG_INT, AT(labels_length), "0", "labels-length",
     "pad labels to this width"},
    {"label", CONFIG_STRING_LIST, AT(labels), "", "label",
     "push: labels of the stream, name=value"},
    {"analyze-labels", CONFIG_BOOL, AT(analyze_labels), "", "analyze-labels",
     "series: how many values each label has"},
    {"targetLabels", CONFIG_STRING_LIST, AT(target_labels), "", "targetLabels", "volume: by these"},
    {"push-batch", CONFIG_INT, AT(push_batch), "1000", "push-batch", "push: lines in a request",
     "1"},
    {"help", CONFIG_BOOL, AT(help), "", "help", "print this"},
    {"h", CONFIG_BOOL, AT(help), "", "h", "the same"},
    {"version", CONFIG_BOOL, AT(version), "", "version", "print the version"},
    {0},
};

static const struct {
    const char *name, *arguments, *help;
    ctl_command *run;
    size_t min_words, max_words; /* after the name */
} commands[] = {
    {"query", "QUERY", "run a LogQL query over a time range", ctl_query, 1, 1},
    {"instant-query", "QUERY", "run a metric query at one time", ctl_instant_query, 1, 1},
    {"tail", "QUERY", "print new entries as they come", ctl_tail, 1, 1},
    {"labels", "[NAME]", "names of labels, or values of one", ctl_labels, 0, 1},
    {"series", "SELECTOR", "streams that match", ctl_series, 1, 1},
    {"stats", "SELECTOR", "streams, chunks, entries and bytes that match", ctl_stats, 1, 1},
    {"volume", "SELECTOR", "bytes by stream", ctl_volume, 1, 1},
    {"volume_range", "SELECTOR", "bytes by stream over time", ctl_volume_range, 1, 1},
    {"detected-fields", "QUERY", "fields found in the lines", ctl_detected_fields, 1, 1},
    {"explain", "QUERY", "how a query would be run, and what each step cost", ctl_explain, 1, 1},
    {"fmt", "[QUERY]", "format a query (from standard input if none is given)", ctl_fmt, 0, 1},
    {"push", "", "push lines of standard input as one stream (--label name=value,...)", ctl_push, 0,
     0},
    {"ready", "", "is the server ready?", ctl_ready, 0, 0},
};

static void usage(FILE *to)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_append_c(&out, "Usage: logectl [flags] COMMAND [arguments and flags]\n\nCommands:\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        buf_printf(&out, "  %-16s %-9s %s\n", commands[i].name, commands[i].arguments,
                   commands[i].help);
    buf_append_c(&out, "\nFlags:\n");
    config_help(options, &out);
    buf_append_c(&out, "\nExit status: 0, 1 if the request failed, 2 for wrong usage.\n");
    fwrite(out.ptr, 1, out.len, to);
    buf_deinit(&out);
}

int ctl_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("logectl: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return 1;
}

/* Flags and words in any order; the words are collected. */
static int parse(struct ctl *c, int argc, char **argv, struct error *err)
{
    c->words = ARENA_ARRAY(&c->arena, const char *, argc);
    for (int at = 0; at < argc;) {
        int rest = 0;
        int rc = config_flags(options, c, argc - at, argv + at, &c->arena, &rest, err);
        if (rc != 0)
            return rc;
        at += rest;
        if (at < argc)
            c->words[c->n_words++] = argv[at];
    }
    return 0;
}

static void from_env(const char **field, const char *name, const char *fallback)
{
    const char *value = getenv(name);
    if ((*field)[0] == '\0')
        *field = value != NULL ? value : fallback;
}

static int run_command(struct ctl *c)
{
    const char *name = c->words[0];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        size_t n = c->n_words - 1;
        if (n < commands[i].min_words || n > commands[i].max_words) {
            fprintf(stderr, "Usage: logectl %s %s\n       %s\n", name, commands[i].arguments,
                    commands[i].help);
            return 2;
        }
        return commands[i].run(c);
    }
    ctl_fail("no command \"%s\" (see logectl --help)", name);
    return 2;
}

int main(int argc, char **argv)
{
    struct ctl c = {0};
    struct error err = {0};
    arena_init(&c.arena, CTL_ARENA_BYTES);
    config_defaults(options, &c, &c.arena);
    int status = 2;
    if (parse(&c, argc, argv, &err) != 0) {
        ctl_fail("%s", err.text);
    } else if (c.version) {
        printf("logectl, version %s\n", LOGE_VERSION);
        status = 0;
    } else if (c.help || c.n_words == 0) {
        usage(c.help ? stdout : stderr);
        status = c.help ? 0 : 2;
    } else {
        from_env(&c.addr, "LOKI_ADDR", "http://localhost:3100");
        from_env(&c.org_id, "LOKI_ORG_ID", "");
        from_env(&c.username, "LOKI_USERNAME", "");
        from_env(&c.password, "LOKI_PASSWORD", "");
        from_env(&c.bearer_token, "LOKI_BEARER_TOKEN", "");
        c.is_color = c.color == 1 || (c.color == 0 && isatty(STDOUT_FILENO));
        if (tzone_load(str_c(c.timezone), &c.zone, &err) != 0)
            ctl_fail("--timezone: %s", err.text);
        else
            status = run_command(&c);
        tzone_free(c.zone);
    }
    if (fflush(stdout) != 0)
        status = ctl_fail("cannot write to standard output");
    arena_deinit(&c.arena);
    return status;
}
