/* promtail - follows logs and pushes them: reads flags and configuration, then runs. */
#include <stdio.h>

#include "base/mem.h"
#include "promtail/app.h"
#include "runtime/log.h"

#define CONFIG_ARENA_BYTES (256u << 20)

static void print_help(void) /* to stdout, as Promtail: to be paged and searched */
{
    struct buf out;
    buf_init(&out, 1u << 20);
    promtail_config_help(&out);
    fputs(buf_c(&out), stdout);
    buf_deinit(&out);
}

static void print_config(const struct promtail_config *config)
{
    struct buf out;
    buf_init(&out, 64u << 20);
    promtail_config_print(config, &out);
    if (config->flags.print_config_stderr)
        fputs(buf_c(&out), stderr);
    str rest = buf_str(&out);
    while (config->flags.log_config_reverse_order && rest.len > 0) { /* last line first */
        size_t nl = str_rfind_char(str_sub(rest, 0, rest.len - 1), '\n');
        size_t from = nl == STR_NPOS ? 0 : nl + 1;
        log_info("config", "config", LOG_S("line", str_trim(str_from(rest, from))));
        rest = str_sub(rest, 0, from);
    }
    buf_deinit(&out);
}

static void set_up_log(const struct promtail_config *config)
{
    enum log_level level;
    if (log_level_parse(str_c(config->server.log_level), &level))
        log_set_level(level);
    log_set_json(strcmp(config->server.log_format, "json") == 0);
}

/* -check-syntax looks at the file only as far as it can be read. */
static int check_syntax(const struct promtail_config *config)
{
    bool has_file = config->flags.config_file[0] != '\0';
    puts(has_file ? "Valid config file! No syntax issues found" : "Invalid config file");
    return has_file ? 0 : 1;
}

static int run(int argc, char **argv, struct promtail_config *config, struct arena *arena)
{
    struct error err = {0};
    set_up_log(config);
    print_config(config);
    if (promtail_config_check(config, &err) != 0) {
        fprintf(stderr, "error creating promtail: %s\n", err.text);
        return 1;
    }
    return promtail_run(argc, argv, config, arena);
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct promtail_config config;
    struct error err = {0};
    int status = 0;
    arena_init(&arena, CONFIG_ARENA_BYTES);
    int rc = promtail_config_load(argc, argv, &arena, &config, &err);
    if (rc == E_INVALID) {
        fprintf(stderr, "%s\nRun with -help to get list of available parameters\n", err.text);
        status = 2;
    } else if (rc != 0) {
        printf("Unable to parse config: %s\n", err.text);
        status = 1;
    } else if (config.flags.help) {
        print_help();
        status = 2;
    } else if (config.flags.version) {
        puts("promtail, version " LOGE_VERSION " (loge)");
    } else if (config.flags.check_syntax) {
        status = check_syntax(&config);
    } else {
        status = run(argc, argv, &config, &arena);
    }
    promtail_config_free(&config);
    arena_deinit(&arena);
    return status;
}
