#include "runtime/metrics_process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/metrics.h"

static void set_gauge(const char *name, enum metric_type type, const char *help, double v)
{
    metric_set(metric_single(metric_family(name, type, help, NULL, NULL)), v);
}

/* Reads a small file of /proc; the text is NUL-terminated. */
static bool read_small_file(const char *path, char *text, size_t cap)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    size_t n = fread(text, 1, cap - 1, f);
    text[n] = '\0';
    fclose(f);
    return n > 0;
}

/* Field `want` (from 1, as proc(5) counts) of /proc/self/stat.  The second field is the program's
 * name in parentheses and may hold blanks, so counting starts behind its last ')'. */
static bool stat_field(str text, int want, uint64_t *ret)
{
    size_t close = str_rfind_char(text, ')');
    if (close == STR_NPOS)
        return false;
    str rest = str_trim(str_from(text, close + 1));
    str field = STR_EMPTY;
    for (int i = 3; i <= want && rest.ptr != NULL; i++)
        field = str_split(&rest, ' ');
    return str_to_u64(field, ret);
}

static uint64_t boot_time_s(void)
{
    char text[16384];
    if (!read_small_file("/proc/stat", text, sizeof text))
        return 0;
    str s = str_c(text);
    size_t at = str_find(s, STR("\nbtime "));
    if (at == STR_NPOS)
        return 0;
    str rest = str_from(s, at + 7);
    str line = str_split(&rest, '\n');
    uint64_t v = 0;
    str_to_u64(line, &v);
    return v;
}

static void update_stat(void)
{
    char text[4096];
    uint64_t user, sys, start, virtual_bytes, resident_pages;
    if (!read_small_file("/proc/self/stat", text, sizeof text))
        return;
    str s = str_c(text);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    if (stat_field(s, 14, &user) && stat_field(s, 15, &sys))
        set_gauge("process_cpu_seconds_total", METRIC_COUNTER,
                  "Total user and system CPU time spent in seconds.", (double)(user + sys) / ticks);
    if (stat_field(s, 22, &start))
        set_gauge("process_start_time_seconds", METRIC_GAUGE,
                  "Start time of the process since unix epoch in seconds.",
                  (double)boot_time_s() + (double)start / ticks);
    if (stat_field(s, 23, &virtual_bytes))
        set_gauge("process_virtual_memory_bytes", METRIC_GAUGE, "Virtual memory size in bytes.",
                  (double)virtual_bytes);
    if (stat_field(s, 24, &resident_pages))
        set_gauge("process_resident_memory_bytes", METRIC_GAUGE, "Resident memory size in bytes.",
                  (double)resident_pages * (double)sysconf(_SC_PAGESIZE));
}

static void update_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir != NULL) {
        double n = -3; /* ".", ".." and the directory itself */
        while (readdir(dir) != NULL)
            n++;
        closedir(dir);
        set_gauge("process_open_fds", METRIC_GAUGE, "Number of open file descriptors.", n);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        set_gauge("process_max_fds", METRIC_GAUGE, "Maximum number of open file descriptors.",
                  (double)limit.rlim_cur);
}

void metrics_process_update(void)
{
    update_stat();
    update_fds();
}
