/* Docker's log stream, and the labels that Docker, Consul, DNS and the journal give. */
#include <criterion/criterion.h>
#include <jansson.h>

#include "base/mem.h"
#include "promtail/config/config.h"
#include "promtail/discovery/consul_labels.h"
#include "promtail/discovery/discovery.h"
#include "promtail/discovery/dns_answer.h"
#include "promtail/discovery/docker_api.h"
#include "promtail/targets/docker_stream.h"
#include "promtail/targets/journal_entry.h"

static json_t *from_quoted(const char *quoted)
{
    char *text = str_dup_c(str_c(quoted));
    for (char *p = text; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    json_error_t err;
    json_t *root = json_loads(text, 0, &err);
    cr_assert_not_null(root, "%s", err.text);
    mem_free(text);
    return root;
}

static void has(const struct label_list *l, const char *name, const char *value)
{
    str got = label_list_get(l, str_c(name));
    cr_assert(str_eq_c(got, value), "%s is %.*s, not %s", name, STR_ARG(got), value);
}

/* --- static --- */

static void check_localhost(void *arg, struct provider *p, const struct target_group *group)
{
    (void)p;
    cr_assert_eq(group->n_targets, 1);
    has(&group->targets[0], "__address__", "localhost");
    *(bool *)arg = true;
}

Test(promtail_discovery, a_static_group_without_targets_is_localhost)
{
    struct static_config c = {0};
    struct provider *p;
    bool is_seen = false;
    struct discovery_sink sink = {.update = check_localhost, .arg = &is_seen};
    cr_assert_eq(provider_static.start(NULL, &c, &sink, &p, NULL), 0);
    cr_assert(is_seen);
    provider_static.stop(p);
}

/* --- docker --- */

static void on_line(void *arg, int stream, int64_t ts_ns, str line)
{
    buf_printf(arg, "%d %lld %.*s|", stream, (long long)ts_ns, STR_ARG(line));
}

/* The lines of `bytes` fed in pieces; "!" if the stream is refused. */
static void expect_lines(bool is_tty, str bytes, const char *want)
{
    for (size_t piece = 1; piece <= bytes.len; piece++) {
        struct docker_stream s;
        struct buf got;
        buf_init(&got, 65536);
        docker_stream_init(&s, is_tty, on_line, &got);
        for (str rest = bytes; rest.len > 0; rest = str_from(rest, piece))
            if (docker_stream_feed(&s, str_sub(rest, 0, piece)) != 0) {
                buf_append_char(&got, '!');
                break;
            }
        docker_stream_deinit(&s);
        cr_assert_str_eq(buf_c(&got), want, "pieces of %zu", piece);
        buf_deinit(&got);
    }
}

Test(promtail_docker, frames_of_both_streams_are_cut_into_lines)
{
    expect_lines(false,
                 STR("\x01\0\0\0\0\0\0\x17"
                     "1970-01-01T00:00:01Z a\n"
                     "\x02\0\0\0\0\0\0\x16"
                     "1970-01-01T00:00:02Z e"
                     "\x01\0\0\0\0\0\0\x17"
                     "1970-01-01T00:00:03Z b\n"
                     "\x02\0\0\0\0\0\0\x01\n"),
                 "0 1000000000 a|0 3000000000 b|1 2000000000 e|");
}

Test(promtail_docker, the_times_of_a_lines_further_parts_are_no_text)
{
    expect_lines(false,
                 STR("\x01\0\0\0\0\0\0\x16"
                     "1970-01-01T00:00:01Z a"
                     "\x02\0\0\0\0\0\0\x17"
                     "1970-01-01T00:00:02Z e\n"
                     "\x01\0\0\0\0\0\0\x17"
                     "1970-01-01T00:00:01Z  b"
                     "\x01\0\0\0\0\0\0\x17"
                     "1970-01-01T00:00:01Z c\n"
                     "\x01\0\0\0\0\0\0\x17"
                     "1970-01-01T00:00:03Z d\n"),
                 "1 2000000000 e|0 1000000000 a bc|0 3000000000 d|");
}

Test(promtail_docker, a_terminals_long_line_is_joined_too)
{
    static const char time[] = "1970-01-01T00:00:01Z ";
    struct buf in, want;
    buf_init(&in, 1u << 20);
    buf_init(&want, 1u << 20);
    buf_append_c(&want, "0 1000000000 ");
    for (size_t part = 0; part < 3; part++) {
        buf_append_c(&in, time);
        for (size_t i = 0; i < 16 * 1024; i++) {
            buf_append_char(&in, (char)('a' + part));
            buf_append_char(&want, (char)('a' + part));
        }
    }
    buf_append_c(&in, "1970-01-01T00:00:01Z end\r\n1970-01-01T00:00:02Z next\r\n");
    buf_append_c(&want, "end|0 2000000000 next|");
    const size_t pieces[] = {in.len, 16384, 7000, 1};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct docker_stream s;
        struct buf got;
        buf_init(&got, 1u << 20);
        docker_stream_init(&s, true, on_line, &got);
        for (str rest = buf_str(&in); rest.len > 0; rest = str_from(rest, pieces[i]))
            docker_stream_feed(&s, str_sub(rest, 0, pieces[i]));
        docker_stream_deinit(&s);
        cr_assert(str_eq(buf_str(&got), buf_str(&want)), "pieces of %zu", pieces[i]);
        buf_deinit(&got);
    }
    buf_deinit(&in);
    buf_deinit(&want);
}

Test(promtail_docker, a_terminal_has_no_frames)
{
    expect_lines(true, STR("1970-01-01T00:00:01Z a b\r\n1970-01-01T00:00:02Z \n"),
                 "0 1000000000 a b|0 2000000000 |");
}

Test(promtail_docker, what_is_no_frame_is_refused)
{
    expect_lines(false, STR("\x07\0\0\0\0\0\0\x01x"), "!");
    expect_lines(false, STR("GET / HTTP/1.1"), "!");
}

Test(promtail_docker, a_container_is_a_target_for_each_tcp_port)
{
    struct arena a;
    struct target_group g;
    struct docker_sd_config c = {.port = 80, .match_first_network = true};
    json_t *containers = from_quoted(
        "[{'Id': 'c1', 'Names': ['/web'], 'Labels': {'com.x/y': 'z'}, 'Ports': [{'PrivatePort': "
        "81, 'PublicPort': 8081, 'IP': '0.0.0.0', 'Type': 'tcp'}, {'PrivatePort': 53, 'Type': "
        "'udp'}], 'HostConfig': {'NetworkMode': 'b'}, 'NetworkSettings': {'Networks': {'z': "
        "{'IPAddress': '9.9.9.9'}, 'b': {'NetworkID': 'n', 'IPAddress': '1.2.3.4'}}}},"
        "{'Id': 'c2', 'Names': ['/side'], 'HostConfig': {'NetworkMode': 'container:c1'}},"
        "{'Id': 'c3', 'Names': []}]");
    json_t *networks = from_quoted("[{'Id': 'n', 'Name': 'net', 'Internal': true}]");
    arena_init(&a, SIZE_MAX);
    docker_group(containers, networks, &c, &a, &g);
    cr_assert_eq(g.n_targets, 2);
    has(&g.targets[0], "__address__", "1.2.3.4:81");
    has(&g.targets[0], "__meta_docker_container_name", "/web");
    has(&g.targets[0], "__meta_docker_container_label_com_x_y", "z");
    has(&g.targets[0], "__meta_docker_network_name", "net");
    has(&g.targets[0], "__meta_docker_network_internal", "true");
    has(&g.targets[0], "__meta_docker_port_public", "8081");
    has(&g.targets[1], "__address__", "1.2.3.4:80");
    json_decref(containers);
    json_decref(networks);
    arena_deinit(&a);
}

Test(promtail_docker, reads_the_address_of_the_daemon)
{
    struct docker_host h;
    cr_assert_eq(docker_host_parse("unix:///run/d.sock", &h, NULL), 0);
    cr_assert_str_eq(h.socket_path, "/run/d.sock");
    cr_assert_eq(docker_host_parse("tcp://h:2375", &h, NULL), 0);
    cr_assert_str_eq(h.url, "http://h:2375");
    cr_assert_eq(docker_host_parse("npipe://x", &h, NULL), E_INVALID);
}

/* --- consul --- */

Test(promtail_consul, an_instance_has_labels_of_node_and_service)
{
    struct arena a;
    struct target_group g;
    json_t *root = from_quoted(
        "[{'Node': {'Node': 'n1', 'Address': '10.0.0.1', 'Datacenter': 'dc', 'Meta': {'a-b': 'c'}, "
        "'TaggedAddresses': {'lan': '10.0.0.2'}}, 'Service': {'ID': 'web-1', 'Service': 'web', "
        "'Tags': ['x', 'y'], 'Port': 80, 'Meta': {'m': '1'}}, 'Checks': [{'CheckID': 'c', "
        "'Status': 'passing'}, {'CheckID': 'd', 'Status': 'critical'}]},"
        "{'Service': {'Service': 'web', 'Address': 'fd00::1', 'Port': 81}}]");
    arena_init(&a, SIZE_MAX);
    consul_group(root, &(struct consul_view){.tag_separator = ",", .datacenter = "here"}, &a, &g);
    cr_assert_eq(g.n_targets, 2);
    has(&g.targets[0], "__address__", "10.0.0.1:80");
    has(&g.targets[0], "__meta_consul_tags", ",x,y,");
    has(&g.targets[0], "__meta_consul_health", "critical");
    has(&g.targets[0], "__meta_consul_metadata_a_b", "c");
    has(&g.targets[0], "__meta_consul_tagged_address_lan", "10.0.0.2");
    has(&g.targets[1], "__address__", "[fd00::1]:81");
    has(&g.targets[1], "__meta_consul_dc", "here");
    has(&g.targets[1], "__meta_consul_tags", ",,");
    json_decref(root);
    arena_deinit(&a);
}

Test(promtail_consul, an_agent_tells_its_node_apart)
{
    struct arena a;
    struct target_group g;
    json_t *self =
        from_quoted("{'Config': {'NodeName': 'n1', 'Datacenter': 'dc'}, 'Member': {'Addr': "
                    "'10.0.0.1'}, 'Meta': {'a-b': 'c'}}");
    json_t *root = from_quoted(
        "[{'AggregatedStatus': 'passing', 'Service': {'ID': 'web-1', 'Service': 'web', 'Tags': [], "
        "'Port': 80, 'TaggedAddresses': {'wan': {'Address': '1.2.3.4', 'Port': 8080}}}}]");
    arena_init(&a, SIZE_MAX);
    consul_group(root, &(struct consul_view){",", "", self, "warning"}, &a, &g);
    cr_assert_eq(g.n_targets, 1);
    has(&g.targets[0], "__address__", "10.0.0.1:80");
    has(&g.targets[0], "__meta_consulagent_address", "10.0.0.1");
    has(&g.targets[0], "__meta_consulagent_node", "n1");
    has(&g.targets[0], "__meta_consulagent_dc", "dc");
    has(&g.targets[0], "__meta_consulagent_health", "warning"); /* of the whole service */
    has(&g.targets[0], "__meta_consulagent_metadata_a_b", "c");
    has(&g.targets[0], "__meta_consulagent_tagged_address_wan", "1.2.3.4:8080");
    json_decref(self);
    json_decref(root);
    arena_deinit(&a);
}

/* --- dns --- */

/* An answer to "a.b": one SRV record (2 3 8080 host.a.b) and one A record 10.0.0.7. */
static const char answer[] =
    "\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0"
    "\x01"
    "a\x01"
    "b\0\0\x21\0\x01"
    "\xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x0d\0\x02\0\x03\x1f\x90\x04host\xc0\x0c"
    "\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x07";

Test(promtail_dns, reads_srv_and_address_records)
{
    struct arena a;
    struct target_group g;
    str message = str_make(answer, sizeof answer - 1);
    arena_init(&a, SIZE_MAX);
    cr_assert_eq(dns_group(message, "a.b", DNS_SRV, 0, &a, &g), 0);
    cr_assert_eq(g.n_targets, 1);
    has(&g.targets[0], "__address__", "host.a.b:8080");
    has(&g.targets[0], "__meta_dns_srv_record_target", "host.a.b.");
    has(&g.targets[0], "__meta_dns_srv_record_port", "8080");
    cr_assert_eq(dns_group(message, "a.b", DNS_A, 99, &a, &g), 0);
    cr_assert_eq(g.n_targets, 1);
    has(&g.targets[0], "__address__", "10.0.0.7:99");
    has(&g.targets[0], "__meta_dns_name", "a.b");
    arena_deinit(&a);
}

Test(promtail_dns, a_cut_answer_is_refused)
{
    for (size_t n = 0; n < sizeof answer - 1; n++) {
        struct arena a;
        struct target_group g;
        arena_init(&a, SIZE_MAX);
        cr_assert_eq(dns_group(str_make(answer, n), "a.b", DNS_A, 1, &a, &g), E_PARSE, "%zu", n);
        arena_deinit(&a);
    }
}

/* --- journal --- */

Test(promtail_journal, fields_become_labels_and_a_line)
{
    struct arena a;
    struct journal_entry e = {0};
    struct label_list l = {0};
    str line;
    arena_init(&a, SIZE_MAX);
    cr_assert(!journal_entry_line(&e, false, &a, &line));
    journal_entry_add(&e, &a, STR("_SYSTEMD_UNIT=x.service"));
    journal_entry_add(&e, &a, STR("MESSAGE=a=<b>"));
    journal_entry_add(&e, &a, STR("PRIORITY=3"));
    journal_entry_add(&e, &a, STR("PRIORITY=4"));
    journal_entry_add(&e, &a, STR("no field"));
    cr_assert(journal_entry_line(&e, false, &a, &line));
    cr_assert(str_eq_c(line, "a=<b>"));
    journal_entry_labels(&e, &a, &l);
    has(&l, "__journal__systemd_unit", "x.service");
    has(&l, "__journal_priority", "4");
    has(&l, "__journal_priority_keyword", "warning");
    cr_assert(journal_entry_line(&e, true, &a, &line));
    cr_assert(str_eq_c(line, "{\"MESSAGE\":\"a=\\u003cb\\u003e\",\"PRIORITY\":\"4\","
                             "\"_SYSTEMD_UNIT\":\"x.service\"}"));
    arena_deinit(&a);
}
