#include "runtime/metrics.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

#include "base/vec.h"

static struct buf scrape(void)
{
    struct buf out;
    buf_init(&out, 10 << 20);
    metrics_write(&out);
    return out;
}

static bool scraped(const char *text)
{
    struct buf out = scrape();
    bool found = str_contains(buf_str(&out), str_c(text));
    if (!found)
        cr_log_info("%s", buf_c(&out));
    buf_deinit(&out);
    return found;
}

Test(runtime_metrics, writes_counters_with_help_type_and_escaped_labels)
{
    struct metric_family *f =
        metric_family("loge_lines_total", METRIC_COUNTER, "Lines \\ received.\nSecond line.",
                      (const char *const[]){"tenant", "reason", NULL}, NULL);
    cr_assert_eq(f, metric_family("loge_lines_total", METRIC_COUNTER, "other", NULL, NULL));
    struct metric *m = metric_with2(f, STR("a\"b\\c\nd"), STR(""));
    cr_assert_eq(m, metric_with2(f, STR("a\"b\\c\nd"), STR("")));
    metric_inc(m);
    metric_add(m, 2);
    metric_add(m, 0.5);
    cr_assert_eq(metric_value(m), 3.5);
    cr_assert(scraped("# HELP loge_lines_total Lines \\\\ received.\\nSecond line.\n"
                      "# TYPE loge_lines_total counter\n"
                      "loge_lines_total{tenant=\"a\\\"b\\\\c\\nd\",reason=\"\"} 3.5\n"));
}

Test(runtime_metrics, writes_cells_and_families_in_order_and_hides_empty_families)
{
    const char *const labels[] = {"x", NULL};
    metric_family("loge_empty", METRIC_GAUGE, "Nothing.", labels, NULL);
    struct metric_family *b = metric_family("loge_b", METRIC_GAUGE, "B.", labels, NULL);
    struct metric *a = metric_single(metric_family("loge_a", METRIC_GAUGE, "A.", NULL, NULL));
    metric_set(metric_with1(b, STR("2")), 1e6);
    metric_set(metric_with1(b, STR("10")), -0.25);
    metric_set(a, 7);
    cr_assert(scraped("# HELP loge_a A.\n# TYPE loge_a gauge\nloge_a 7\n# HELP loge_b B.\n"
                      "# TYPE loge_b gauge\nloge_b{x=\"10\"} -0.25\nloge_b{x=\"2\"} 1e+06\n"));
    cr_assert_not(scraped("loge_empty"));
    metric_remove(b, (const str[]){STR("2")}, 1);
    cr_assert_not(scraped("loge_b{x=\"2\"}"));
}

Test(runtime_metrics, never_writes_malformed_text)
{
    struct metric_family *f = metric_family("loge_files", METRIC_GAUGE, "F.",
                                            (const char *const[]){"path", "kind", NULL}, NULL);
    metric_set(metric_with2(f, STR("/var/\xff\xff/x"), STR("\xff")), 1);
    cr_assert(scraped("loge_files{path=\"/var/\xef\xbf\xbd/x\",kind=\"\xef\xbf\xbd\"} 1\n"));
}

Test(runtime_metrics, histogram_buckets_are_cumulative)
{
    const double bounds[] = {0.1, 1, 10, 0};
    struct metric *m = metric_single(metric_family("loge_h", METRIC_HISTOGRAM, "H.", NULL, bounds));
    metric_observe(m, 0.1); /* a bound is inside its bucket */
    metric_observe(m, 0.5);
    metric_observe(m, 5);
    metric_observe(m, 50);
    cr_assert(scraped("loge_h_bucket{le=\"0.1\"} 1\nloge_h_bucket{le=\"1\"} 2\n"
                      "loge_h_bucket{le=\"10\"} 3\nloge_h_bucket{le=\"+Inf\"} 4\n"
                      "loge_h_sum 55.6\nloge_h_count 4\n"));
}

Test(runtime_metrics, shows_aliases_and_process_metrics)
{
    struct metric_family *f = metric_family("loge_x", METRIC_COUNTER, "X.", NULL, NULL);
    metric_alias(f, "loki_x");
    metric_add(metric_single(f), 3);
    cr_assert(scraped("# TYPE loki_x counter\nloki_x 3\n"));
    cr_assert(scraped("\nloge_x 3\n"));
    const char *const names[] = {
        "cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds",
        "max_fds",           "start_time_seconds"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "\nprocess_%s ", names[i]);
        cr_assert(scraped(text), "%s", text);
    }
}

static void set_on_scrape(void *arg)
{
    metric_set(arg, 42);
}

Test(runtime_metrics, calls_hooks_before_a_scrape)
{
    struct metric *m = metric_single(metric_family("loge_s", METRIC_GAUGE, "S.", NULL, NULL));
    metrics_on_scrape(set_on_scrape, m);
    cr_assert(scraped("loge_s 42\n"));
    metrics_off_scrape(set_on_scrape, m);
    metric_set(m, 1);
    cr_assert(scraped("loge_s 1\n"));
}

static void *add_many(void *arg)
{
    struct metric_family *f = arg;
    for (int i = 0; i < 10000; i++) {
        metric_inc(metric_single(f));
        metric_add(metric_single(f), 0.5);
    }
    return NULL;
}

Test(runtime_metrics, loses_no_addition_of_many_threads)
{
    struct metric_family *f = metric_family("loge_t", METRIC_COUNTER, "T.", NULL, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, add_many, f);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(metric_value(metric_single(f)), 60000);
}
