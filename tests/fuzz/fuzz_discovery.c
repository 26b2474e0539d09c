/* links: promtail */
/* What daemons answer: Docker's log streams and lists, Consul's instances, DNS messages, journal
 * fields.  The first byte chooses. */
#include <jansson.h>

#include "base/mem.h"
#include "promtail/discovery/consul_labels.h"
#include "promtail/discovery/dns_answer.h"
#include "promtail/discovery/docker_api.h"
#include "promtail/targets/docker_stream.h"
#include "promtail/targets/journal_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *arg, int stream, int64_t ts_ns, str line)
{
    (void)ts_ns;
    ASSERT(stream == 0 || stream == 1);
    *(size_t *)arg += line.len;
}

static void logs(str bytes, bool is_tty)
{
    size_t total = 0;
    struct docker_stream s;
    docker_stream_init(&s, is_tty, on_line, &total);
    for (str rest = bytes; rest.len > 0; rest = str_from(rest, 7))
        if (docker_stream_feed(&s, str_sub(rest, 0, 7)) != 0)
            break;
    ASSERT(total <= bytes.len);
    docker_stream_deinit(&s);
}

static void lists(str bytes, struct arena *a)
{
    static const struct docker_sd_config config = {.port = 80, .host_networking_host = "h"};
    struct target_group group;
    json_t *root = json_loadb(bytes.ptr, bytes.len, 0, NULL);
    docker_group(root, root, &config, a, &group);
    for (size_t i = 0; i < group.n_targets; i++)
        ASSERT(label_list_get(&group.targets[i], STR("__address__")).ptr != NULL);
    consul_group(root, &(struct consul_view){.tag_separator = ",", .datacenter = ""}, a, &group);
    struct consul_view of_agent = {",", "", root, "passing"};
    consul_group(root, &of_agent, a, &group);
    json_decref(root);
}

static void journal(str bytes, struct arena *a)
{
    struct journal_entry e = {0};
    struct label_list labels = {0};
    str line;
    for (str rest = bytes; rest.ptr != NULL;)
        journal_entry_add(&e, a, str_split(&rest, '\n'));
    journal_entry_labels(&e, a, &labels);
    journal_entry_line(&e, true, a, &line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct target_group group;
    if (size < 1)
        return 0;
    str bytes = str_make((const char *)data + 1, size - 1);
    arena_init(&a, SIZE_MAX);
    switch (data[0] % 5) {
    case 0:
        logs(bytes, false);
        break;
    case 1:
        logs(bytes, true);
        break;
    case 2:
        lists(bytes, &a);
        break;
    case 3:
        for (int type = DNS_SRV; type <= DNS_NS; type++)
            dns_group(bytes, "n", type, 1, &a, &group);
        break;
    default:
        journal(bytes, &a);
    }
    arena_deinit(&a);
    return 0;
}
