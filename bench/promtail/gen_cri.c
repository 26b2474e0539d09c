/* bench/promtail/gen_cri.c - writes a log file as container runtimes do: time, stream, tag, line.
 *
 * gen_cri LINES > file.  The same numbers give the same bytes.  1730000 lines are about 374 MB. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252u;

static uint32_t next(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

static const char *const levels[] = {"info", "info", "info", "debug", "warn", "error"};
static const char *const paths[] = {"/api/v1/orders", "/api/v1/users/profile", "/healthz",
                                    "/static/app.js", "/api/v2/search",        "/login"};
static const char *const words[] = {"cache", "miss",  "retry",   "upstream", "timeout", "queue",
                                    "flush", "batch", "session", "token",    "worker",  "commit"};

static void put_json(void)
{
    printf("{\"level\":\"%s\",\"msg\":\"request "
           "done\",\"method\":\"GET\",\"path\":\"%s\",\"status\":%u,"
           "\"duration_ms\":%u.%03u,\"user\":\"u%06u\",\"trace_id\":\"%08x%08x%08x%08x\"}",
           levels[next(6)], paths[next(6)], next(10) == 0 ? 500 : 200, next(900), next(1000),
           next(1000000), next(UINT32_MAX), next(UINT32_MAX), next(UINT32_MAX), next(UINT32_MAX));
}

static void put_logfmt(void)
{
    printf("level=%s component=%s msg=\"%s %s %s after %u ms\" shard=%u offset=%" PRIu64
           " addr=10.%u.%u.%u:%u",
           levels[next(6)], words[next(12)], words[next(12)], words[next(12)], words[next(12)],
           next(5000), next(64), (uint64_t)next(UINT32_MAX) * 7, next(256), next(256), next(256),
           next(65535));
}

static void put_access(void)
{
    printf(
        "10.%u.%u.%u - - [06/Oct/2023:00:17:%02u +0000] \"GET %s?id=%u HTTP/1.1\" %u %u \"-\" "
        "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0\" "
        "rid=%08x%08x rt=0.%03u",
        next(256), next(256), next(256), next(60), paths[next(6)], next(100000),
        next(10) == 0 ? 404 : 200, next(50000), next(UINT32_MAX), next(UINT32_MAX), next(1000));
}

int main(int argc, char **argv)
{
    uint64_t lines = argc > 1 ? strtoull(argv[1], NULL, 10) : 1730000;
    static char buffer[1 << 20];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    uint64_t ns = 0;
    for (uint64_t i = 0; i < lines; i++) {
        ns += next(4000000);
        uint64_t s = ns / 1000000000;
        printf("2023-10-06T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%09" PRIu64 "Z %s F ",
               s / 3600 % 24, s / 60 % 60, s % 60, ns % 1000000000,
               next(5) == 0 ? "stderr" : "stdout");
        switch (next(3)) {
        case 0:
            put_json();
            break;
        case 1:
            put_logfmt();
            break;
        default:
            put_access();
        }
        putchar('\n');
    }
    return 0;
}
