/* The configuration: what is refused, with which words. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "promtail/config/check.h"
#include "promtail/config/targets.h"

static char path[] = "/tmp/loge-config-XXXXXX";
static struct arena arena;
static struct promtail_config config;
static struct error err;

static void init(void)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    arena_init(&arena, 16u << 20);
}

static void fini(void)
{
    promtail_config_free(&config);
    arena_deinit(&arena);
    unlink(path);
}

TestSuite(promtail_config, .init = init, .fini = fini);

/* Loads and checks a file of that text; `flag` may be NULL. */
static int load(const char *text, const char *flag)
{
    char file_flag[128], more[128];
    snprintf(file_flag, sizeof file_flag, "-config.file=%s", path);
    snprintf(more, sizeof more, "%s", flag != NULL ? flag : "");
    char *argv[] = {"promtail", file_flag, flag != NULL ? more : NULL, NULL};
    FILE *f = fopen(path, "we");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    err = (struct error){0};
    promtail_config_free(&config);
    int rc = promtail_config_load(flag != NULL ? 3 : 2, argv, &arena, &config, &err);
    return rc != 0 ? rc : promtail_config_check(&config, &err);
}

static void refused(const char *text, const char *why)
{
    cr_expect_neq(load(text, NULL), 0, "accepted: %s", text);
    cr_expect(strstr(err.text, why) != NULL, "%s\n said: %s\n want: %s", text, err.text, why);
}

static void accepted(const char *text)
{
    cr_expect_eq(load(text, NULL), 0, "%s\n said: %s", text, err.text);
}

#define JOB          "scrape_configs: [{job_name: j, static_configs: [{labels: {__path__: /x}}]}]\n"
#define CLIENT(more) "clients: [{url: 'http://h:1/x'" more "}]\n" JOB
#define RULE(rule)                                                                                 \
    "clients: [{url: 'http://h/x'}]\n"                                                             \
    "scrape_configs: [{job_name: j, static_configs: [{labels: {__path__: /x}}], "                  \
    "relabel_configs: [" rule "]}]\n"
#define SD(sd) "clients: [{url: 'http://h/x'}]\nscrape_configs: [{job_name: j, " sd "}]\n"

Test(promtail_config, one_way_to_authenticate_is_enough)
{
    accepted(CLIENT(", basic_auth: {username: u, password: p}"));
    refused(CLIENT(", bearer_token: a, bearer_token_file: b"),
            "at most one of bearer_token & bearer_token_file must be configured");
    refused(CLIENT(", basic_auth: {username: a}, bearer_token: b"),
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file");
    refused(CLIENT(", authorization: {credentials: a}, bearer_token: b"),
            "authorization is not compatible with bearer_token");
    refused(CLIENT(", basic_auth: {password: b, password_file: c}"),
            "at most one of basic_auth password, password_file & password_ref");
    refused(CLIENT(", authorization: {credentials: a, credentials_file: b}"),
            "at most one of authorization credentials & credentials_file");
    refused(CLIENT(", authorization: {type: Basic, credentials: a}"),
            "authorization type cannot be set to \"basic\"");
    refused(CLIENT(", authorization: {credentials: a}, basic_auth: {username: b}"),
            "at most one of basic_auth, oauth2 & authorization");
}

/* Who asks the API server is said in one place, and a role selects what it looks at. */
Test(promtail_config, kubernetes_settings_fit_together)
{
#define K8S(more) SD("kubernetes_sd_configs: [{" more "}]")
    accepted(K8S("role: pod, namespaces: {own_namespace: true, names: [a]}"));
    accepted(K8S("role: pod, kubeconfig_file: /k, follow_redirects: true"));
    accepted(K8S("role: pod, api_server: 'http://h', bearer_token: t"));
    accepted(K8S("role: endpoints, selectors: [{role: pod, label: a}, {role: service}, "
                 "{role: endpoints}]"));
    refused(K8S("kubeconfig_file: /k"), "role missing (one of: pod,");
    refused(K8S("role: pod, api_server: 'http://h', kubeconfig_file: /k"),
            "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    refused(K8S("role: pod, kubeconfig_file: /k, bearer_token: t"),
            "cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
    refused(K8S("role: pod, tls_config: {insecure_skip_verify: true}"),
            "to use custom HTTP client configuration please provide the 'api_server' URL");
    refused(K8S("role: pod, api_server: 'http://h', namespaces: {own_namespace: true}"),
            "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
    refused(K8S("role: pod, kubeconfig_file: /k, namespaces: {own_namespace: true}"),
            "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
    refused(K8S("role: pod, selectors: [{role: pod, label: a}, {role: pod, field: b=c}]"),
            "duplicated selector role: pod");
    refused(K8S("role: pod, selectors: [{role: service, label: a}]"),
            "pod role supports only pod selectors");
    refused(K8S("role: endpointslice, selectors: [{role: endpoints, label: a}]"),
            "endpointslice role supports only pod, service, endpointslice selectors");
#undef K8S
}

Test(promtail_config, half_of_an_oauth2_block_is_refused)
{
    accepted(CLIENT(", oauth2: {client_id: a, client_secret: b, token_url: 'http://t'}"));
    refused(CLIENT(", oauth2: {token_url: a}"), "oauth2 client_id must be configured");
    refused(CLIENT(", oauth2: {client_id: a}"), "oauth2 token_url must be configured");
    refused(CLIENT(", oauth2: {client_id: a, token_url: b, client_secret: c, "
                   "client_secret_file: d}"),
            "at most one of oauth2 client_secret");
}

Test(promtail_config, certificates_need_their_keys_and_must_be_there)
{
    refused(CLIENT(", tls_config: {ca: a, ca_file: b}"), "at most one of ca, ca_file & ca_ref");
    refused(CLIENT(", tls_config: {cert_file: a}"), "exactly one of key or key_file");
    refused(CLIENT(", tls_config: {key: a}"), "exactly one of cert or cert_file");
    refused(CLIENT(", tls_config: {min_version: TLS99}"), "unknown TLS version: TLS99");
    refused(CLIENT(", tls_config: {ca_file: /nowhere.pem}"),
            "unable to read CA cert: unable to read file /nowhere.pem");
    refused(CLIENT(", tls_config: {ca: text}"), "unable to use specified CA cert <inline>");
    refused(CLIENT(", tls_config: {cert: a, key: b}"), "unable to use specified client cert");
    refused(SD("syslog: {listen_address: ':1', tls_config: {cert_file: a}}"),
            "exactly one of key or key_file");
}

Test(promtail_config, urls_are_read_as_go_reads_them)
{
    accepted("clients: [{url: 'localhost:3100'}]\n" JOB);
    refused("clients: [{url: 'http://[::1'}]\n" JOB, "missing ']' in host");
    refused("client: {url: 'http://h:x'}\n" JOB, "invalid port \":x\" after host");
}

Test(promtail_config, two_clients_differ_in_their_names_or_settings)
{
    accepted("clients: [{url: 'http://a'}, {url: 'http://b'}]\n" JOB);
    accepted("clients: [{name: x, url: 'http://a'}, {url: 'http://a'}]\n" JOB);
    refused("clients: [{name: x, url: 'http://a'}, {name: x, url: 'http://b'}]\n" JOB,
            "duplicate client configs are not allowed, found duplicate for name: x");
    refused("clients: [{url: 'http://a'}, {url: 'http://a'}]\n" JOB,
            "duplicate client configs are not allowed");
    cr_expect_neq(load(JOB, "-dry-run"), 0, "a dry run asks for a client too");
}

Test(promtail_config, rules_take_what_prometheus_takes)
{
    accepted(RULE("{source_labels: ['a-b'], target_label: 'c-${1}d', replacement: x}"));
    refused(RULE("{source_labels: a, target_label: b}"), "into a list of label names");
    refused(RULE("{source_labels: [''], target_label: b}"), "\"\" is not a valid label name");
    refused(RULE("{target_label: 'a}b'}"), "\"a}b\" is invalid 'target_label' for replace action");
    refused(RULE("{target_label: 'a$'}"), "\"a$\" is invalid 'target_label' for replace action");
    refused(RULE("{regex: a, action: labelmap, replacement: '$'}"),
            "\"$\" is invalid 'replacement' for labelmap action");
    refused(RULE("{source_labels: [a], target_label: b, action: lowercase, replacement: x}"),
            "'replacement' can not be set for lowercase action");
}

Test(promtail_config, a_setting_without_value_is_empty_or_zero)
{
    accepted(
        CLIENT(", batchwait: , batchsize: , tenant_id: ") "limits_config: {readline_rate: }\n");
    cr_expect_eq(config.clients[0].batchwait_ns, 0);
    cr_expect_eq(config.clients[0].batchsize_bytes, 0);
    cr_expect_eq(config.limits.readline_rate, 0);
    accepted(CLIENT("") "target_config: \n");
    cr_expect_eq(config.target.sync_period_ns, 10000000000);
    accepted(RULE("{source_labels: [a, ~], separator: , regex: , target_label: b, replacement: }"));
    const struct relabel_rule *rule = &config.scrapes[0].relabel.items[0];
    cr_expect_eq(rule->separator.len, 0);
    cr_expect_eq(rule->replacement.len, 0);
    cr_expect_not(regex_is_match(rule->re, STR("x")));
    refused(RULE("{source_labels: [a], target_label: b, action: }"),
            "relabel action cannot be empty");
}

Test(promtail_config, rules_of_some_actions_have_nothing_else)
{
    refused(RULE("{action: keepequal, source_labels: [a], target_label: b, regex: '(.*)'}"),
            "keepequal action requires only 'source_labels' and `target_label`");
    refused(RULE("{action: labeldrop, regex: a, source_labels: []}"),
            "labeldrop action requires only 'regex', and no other fields");
}

Test(promtail_config, a_label_has_a_name)
{
    accepted(SD("static_configs: [{labels: {'a b': x, __path__: /x}}]"));
    refused(SD("static_configs: [{labels: {'': x}}]"), "\"\" is not a valid label name");
    refused(CLIENT(", external_labels: {'': x}"), "\"\" is not a valid label name");
    accepted(CLIENT(", headers: {'': x}"));
}

Test(promtail_config, errors_of_the_file_are_worded_as_by_promtail)
{
    char *argv[] = {"promtail", "-config.file=/no/such.yaml,/nor/this", NULL};
    err = (struct error){0};
    cr_expect_eq(promtail_config_load(2, argv, &arena, &config, &err), E_PARSE);
    cr_expect_str_eq(err.text, "/no/such.yaml,/nor/this does not exist, set config.file for custom "
                               "config path");
    refused("a: b", ". Use `-config.expand-env=true` flag if you want to expand environment "
                    "variables in your config file");
    cr_expect_neq(load("a: b", "-config.expand-env"), 0);
    cr_expect_null(strstr(err.text, "-config.expand-env=true"));
    refused(CLIENT(", proxy_url: '::x'"), "parse \"::x\": missing protocol scheme");
    cr_expect_eq(load(CLIENT(""), "-client.url=::x"), E_INVALID);
    cr_expect(strstr(err.text, "invalid value \"::x\" for flag -client.url: parse") != NULL, "%s",
              err.text);
}

Test(promtail_config, what_is_merged_follows_its_place)
{
#define BASE "clients: [&base {url: 'http://h/x', batchsize: 1}, "
    accepted(BASE "{<<: *base, batchsize: 2}]\n" JOB);
    cr_expect_eq(config.clients[1].batchsize_bytes, 2);
    accepted(BASE "{name: n, batchsize: 2, <<: *base}]\n" JOB);
    cr_expect_eq(config.clients[1].batchsize_bytes, 1);
    accepted(BASE "{<<: [{name: a}, {name: b}, *base]}]\n" JOB);
    cr_expect_str_eq(config.clients[1].name, "a");
    refused(BASE "{batchsize: 2, batchsize: 3}]\n" JOB, "key \"batchsize\" already set in map");
    refused(BASE "{<<: 5}]\n" JOB, "map merge requires map or sequence of maps as the value");
    accepted(SD("static_configs: [{labels: &l {a: b}}, {labels: {<<: *l, c: d}}]"));
    refused(SD("static_configs: [{labels: &l {a: b}}, {labels: {<<: *l, a: d}}]"),
            "key \"a\" already set in map");
    refused(SD("static_configs: [], pipeline_stages: [{labels: &l {a: b}}, {labels: {a: c, "
               "<<: *l}}]"),
            "key \"a\" already set in map");
}

Test(promtail_config, labels_of_the_flag_are_a_comma_list)
{
    static const struct {
        const char *flag, *labels, *why;
    } cases[] = {
        {"a=b,c=d", "{a=\"b\", c=\"d\"}", NULL},
        {"a=b,c", "{a=\"b,c\"}", NULL},
        {"\"a=b\"", "{a=\"b\"}", NULL},
        {"\"a=b,c\",d=\"", NULL, "quote"},
        {"\"a=b,\"\"c\",d=e=f", "{a=\"b,\\\"c\", d=\"e=f\"}", NULL},
        {"a=,b=", "{a=\"\", b=\"\"}", NULL},
        {"a", NULL, "a must be formatted as key=value"},
        {"a=b,c=d,e", NULL, "e must be formatted as key=value"},
        {"a=b,=d", NULL, "invalid name \"\""},
        {"a=b,\"c=d", NULL, "quote"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char flag[128];
        struct buf text;
        buf_init(&text, BUF_NO_LIMIT);
        snprintf(flag, sizeof flag, "-client.external-labels=%s", cases[i].flag);
        int rc = load("client: {url: 'http://h/x', external_labels: {old: x}}\n" JOB, flag);
        if (cases[i].why != NULL) {
            cr_expect_eq(rc, E_INVALID, "%s", cases[i].flag);
            cr_expect(strstr(err.text, cases[i].why) != NULL, "%s: %s", cases[i].flag, err.text);
        } else {
            const struct label_list *l = &config.clients[0].external_labels;
            cr_expect_eq(rc, 0, "%s: %s", cases[i].flag, err.text);
            labels_print(&(struct labels){l->items, l->n}, &text);
            cr_expect_str_eq(buf_c(&text), cases[i].labels);
        }
        buf_deinit(&text);
    }
}

Test(promtail_config, some_headers_are_the_clients_own)
{
    refused(CLIENT(", http_headers: {authorization: {values: [x]}}"),
            "setting header \"Authorization\" is not allowed");
    refused(CLIENT(", http_headers: {X-A: {files: [/no/such]}}"),
            "unable to read headers file /no/such: open /no/such: no such file or directory");
    refused(CLIENT(", http_headers: {X-A: {value: x}}"), "field value not found");
}

Test(promtail_config, lists_are_lists)
{
    refused(SD("static_configs: [{targets: a}]"), "into a list of strings");
    refused(SD("file_sd_configs: [{files: []}]"), "at least one path name");
    refused(SD("pipeline_stages: {json: {}}, static_configs: [{labels: {a: b}}]"),
            "into a list of stages");
    refused(SD("docker_sd_configs: [{}]"), "host missing");
}

Test(promtail_config, a_plain_number_is_a_duration_in_nanoseconds)
{
    accepted(CLIENT(", batchwait: 5"));
    cr_expect_eq(config.clients[0].batchwait_ns, 5);
    refused(CLIENT(", batchwait: '5'"), "not a valid duration");
}

Test(promtail_config, log_levels_have_four_names)
{
    refused("server: {log_level: loud}\n" JOB, "unrecognized log level \"loud\"");
    cr_expect_eq(load(CLIENT(""), "-log.level=loud"), E_INVALID);
    cr_expect(strstr(err.text, "for flag -log.level") != NULL, "%s", err.text);
}

Test(promtail_config, durations_are_gos_and_those_of_discovery_prometheus)
{
    accepted(CLIENT("") "target_config: {sync_period: 1.5s}");
    refused(CLIENT("") "target_config: {sync_period: 1d}", "not a valid duration");
    refused(CLIENT("") "target_config: {sync_period: ''}", "not a valid duration");
    accepted(SD("file_sd_configs: [{files: [a.yml], refresh_interval: 1d}]"));
    refused(SD("file_sd_configs: [{files: [a.yml], refresh_interval: 1.5s}]"),
            "not a valid duration");
    refused(SD("file_sd_configs: [{files: [a.yml], refresh_interval: 30}]"),
            "not a valid duration");
}

Test(promtail_config, files_of_discovery_have_stars_in_their_last_part_only)
{
    accepted(SD("file_sd_configs: [{files: [a.yml, 'd/*.json', 'd/a*b*.yaml', '*.YML']}]"));
    refused(SD("file_sd_configs: [{files: [a.txt]}]"), "is not valid for file discovery");
    refused(SD("file_sd_configs: [{files: ['*/a.yml']}]"), "is not valid for file discovery");
    refused(SD("file_sd_configs: [{files: ['d/*/b.json']}]"), "is not valid for file discovery");
    refused(SD("file_sd_configs: [{files: [a.Yml]}]"), "is not valid for file discovery");
}

Test(promtail_config, a_windows_job_is_taken_and_an_empty_list_is_a_target)
{
    accepted(SD("windows_events: {eventlog_name: System}"));
    accepted(SD("static_configs: []"));
    refused(SD("encoding: utf-8"), "no valid target scrape config defined");
}

static bool is_same(const char *a, const char *b)
{
    struct promtail_config x = {.text = str_c(a)}, y = {.text = str_c(b)};
    return promtail_config_is_same(&x, &y);
}

Test(promtail_config, what_is_not_supported_is_refused_by_name)
{
#define WITH(key)                                                                                  \
    "clients: [{url: 'http://h/x'}]\n"                                                             \
    "scrape_configs: [{job_name: j, static_configs: [{labels: {__path__: /x}}], " key "}]\n"
    refused(WITH("ec2_sd_configs: [{region: x}]"),
            "scrape_configs.ec2_sd_configs: this kind of target or discovery is not supported");
    refused(WITH("gcplog: {project_id: x}"), "scrape_configs.gcplog: this kind");
    refused(WITH("ecs_sd_configs: [{region: x}]"), "field ecs_sd_configs not found");
    accepted(WITH("ec2_sd_configs: []"));
    accepted(WITH("cloudflare: null"));
}

Test(promtail_config, comments_and_the_order_of_keys_change_nothing)
{
    cr_expect(is_same("a: 1\nb: [x, {c: 2, d: 3}]\n", "# c\nb:\n- x\n- d: 3\n  c: 2\na: 1"));
    cr_expect_not(is_same("a: [1, 2]", "a: [2, 1]"));
    cr_expect_not(is_same("a: 1", "a: 2"));
    cr_expect_not(is_same("a: {b: 1}", "a: {c: 1}"));
    cr_expect_not(is_same("a: 1", "a: ["));
}

Test(promtail_config, flags_without_effect_are_taken)
{
    cr_expect_eq(load(CLIENT(""), "-server.log-source-ips-enabled"), 0, "%s", err.text);
    cr_expect_eq(load(CLIENT(""), "-server.http-read-timeout=5s"), 0, "%s", err.text);
    cr_expect_eq(load(CLIENT(""), "-file-watch.min_poll_frequency=1s"), 0, "%s", err.text);
    cr_expect_eq(config.watch.min_poll_ns, 1000000000);
    cr_expect_eq(load(CLIENT(""), "-server.nosuch"), E_INVALID);
}

Test(promtail_config, jobs_have_names_of_their_own)
{
    refused("scrape_configs: [{static_configs: []}]", "job_name is empty");
    refused(
        "scrape_configs: [{job_name: a, static_configs: []}, {job_name: a, static_configs: []}]",
        "found multiple scrape configs with job name \"a\"");
    refused("server: {external_url: 'http://[::'}\n" CLIENT(""), "parse external URL");
}
