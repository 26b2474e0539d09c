/* tests/support/plain_runner.c - runs Criterion tests without Criterion's sandbox, for sanitizers.
 *
 * Criterion starts each test in a process image of its own making.  ThreadSanitizer cannot bear the
 * address it maps for that (the runner crashes before the first test), and a leak that
 * LeakSanitizer finds at the end of a test comes after Criterion has called it passed.  In
 * sanitizer builds this file is linked into every unit test program: it takes the place of
 * Criterion's main and of the functions behind its assertions, runs each test in a plain fork and
 * lets the exit status decide, which is what the sanitizers set.
 *
 * Usage: unit_x [--filter 'suite/pattern'] ; other options are ignored. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_TIMEOUT_S 300 /* sanitized code on a busy machine is slow */

/* Filled by the Test() and TestSuite() macros. */
extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

/* Of the test that this process runs. */
static const struct criterion_test *current;
static const struct criterion_test_extra_data *current_suite;
static void *current_param;
static int n_failed_asserts;

/* --- what the macros call --- */

static void call(void (*of_test)(void), void (*of_suite)(void))
{
    if (of_test != NULL)
        of_test();
    else if (of_suite != NULL)
        of_suite();
}

void criterion_internal_test_setup(void)
{
    call(current->data->init, current_suite ? current_suite->init : NULL);
}

void criterion_internal_test_main(void (*fn)(void))
{
    if (current->data->kind_ == CR_TEST_PARAMETERIZED)
        ((void (*)(void *))fn)(current_param);
    else
        fn();
}

void criterion_internal_test_teardown(void)
{
    call(current->data->fini, current_suite ? current_suite->fini : NULL);
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (stats->passed)
        return;
    n_failed_asserts++;
    fprintf(stderr, "[----] %s:%u: Assertion failed: %s\n", stats->file, stats->line,
            stats->message ? stats->message : "");
}

void criterion_abort_test(void)
{
    _exit(1);
}

void criterion_continue_test(void)
{
}

void criterion_skip_test(const char *format, ...)
{
    (void)format;
    _exit(current->data->exit_code);
}

void criterion_test_die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    _exit(1);
}

void cr_log(enum criterion_severity severity, const char *format, ...)
{
    if (severity == CR_LOG_INFO)
        return;
    va_list ap;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
}

void cri_asserts_passed_incr(void)
{
}

/* --- running --- */

static const struct criterion_test_extra_data *suite_data(const char *name)
{
    for (struct criterion_suite **s = __start_cr_sts; s != NULL && s < __stop_cr_sts; s++) {
        if (*s != NULL && strcmp((*s)->name, name) == 0)
            return (*s)->data;
    }
    return NULL;
}

static bool is_expected(const struct criterion_test *t, int status)
{
    int want_signal = t->data->signal;
    if (want_signal == 0 && current_suite != NULL)
        want_signal = current_suite->signal;
    if (want_signal != 0)
        return WIFSIGNALED(status) && WTERMSIG(status) == want_signal;
    return WIFEXITED(status) && WEXITSTATUS(status) == t->data->exit_code;
}

static bool run_once(const struct criterion_test *t, void *param)
{
    current = t;
    current_suite = suite_data(t->category);
    current_param = param;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(TEST_TIMEOUT_S);
        t->test();
        exit(n_failed_asserts > 0); /* exit, not _exit: sanitizers report at the end */
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (is_expected(t, status))
        return true;
    fprintf(stderr, "[FAIL] %s::%s: %s %d\n", t->category, t->name,
            WIFSIGNALED(status) ? "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}

static void run(const struct criterion_test *t, int *n_run, int *n_failed)
{
    if (t->data->kind_ != CR_TEST_PARAMETERIZED) {
        ++*n_run;
        *n_failed += !run_once(t, NULL);
        return;
    }
    struct criterion_test_params params = t->data->param_();
    for (size_t i = 0; i < params.length; i++) {
        ++*n_run;
        *n_failed += !run_once(t, (char *)params.params + i * params.size);
    }
    if (params.cleanup != NULL)
        params.cleanup(&params);
}

static bool is_wanted(const struct criterion_test *t, const char *filter)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", t->category, t->name);
    return !t->data->disabled && (filter == NULL || fnmatch(filter, name, FNM_EXTMATCH) == 0);
}

int main(int argc, char **argv)
{
    const char *filter = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
            filter = argv[++i];
        else if (strncmp(argv[i], "--filter=", 9) == 0)
            filter = argv[i] + 9;
    }
    int n_run = 0, n_failed = 0;
    for (struct criterion_test **t = __start_cr_tst; t < __stop_cr_tst; t++) {
        if (*t != NULL && is_wanted(*t, filter))
            run(*t, &n_run, &n_failed);
    }
    fprintf(stderr, "[====] Synthesis: Tested: %d | Passing: %d | Failing: %d\n", n_run,
            n_run - n_failed, n_failed);
    return n_failed > 0;
}
