#include <criterion/criterion.h>

#include "logql/parser.h"
#include "logql/visit.h"

struct counts {
    int exprs, logs, stages, filters, unwraps, matchers;
    int stages_max; /* ends the walk */
};

static bool count_expr(void *arg, const struct expr *e)
{
    (void)e;
    return ++((struct counts *)arg)->exprs > 0;
}

static bool count_log(void *arg, const struct log_expr *log)
{
    (void)log;
    return ++((struct counts *)arg)->logs > 0;
}

static bool count_stage(void *arg, const struct stage *s)
{
    (void)s;
    struct counts *c = arg;
    return ++c->stages != c->stages_max;
}

static bool count_filter(void *arg, const struct label_filter *f)
{
    (void)f;
    return ++((struct counts *)arg)->filters > 0;
}

static bool count_unwrap(void *arg, const struct unwrap *u)
{
    (void)u;
    return ++((struct counts *)arg)->unwraps > 0;
}

static bool count_matcher(void *arg, const struct matcher *m)
{
    (void)m;
    return ++((struct counts *)arg)->matchers > 0;
}

static bool walk(struct counts *c)
{
    str query = STR("sum(rate({a=\"b\",c=\"d\"} | json | x=\"y\" or z>1 | drop p=\"q\",r [1m])) / "
                    "label_replace(avg_over_time({e=\"f\"} | unwrap v | g=\"h\" [1m]),\"\",\"\","
                    "\"\",\"\")");
    struct arena arena;
    struct expr *e;
    arena_init(&arena, BUF_NO_LIMIT);
    cr_assert_eq(logql_parse(query, &arena, &e, NULL), 0);
    struct visitor v = {count_expr,    count_log, count_stage, count_filter, count_unwrap,
                        count_matcher, c};
    bool ok = visit_expr(e, &v);
    logql_release(e);
    arena_deinit(&arena);
    return ok;
}

Test(logql_visit, meets_every_node)
{
    struct counts c = {0};
    cr_expect(walk(&c));
    cr_expect_eq(c.exprs, 5);
    cr_expect_eq(c.logs, 2);
    cr_expect_eq(c.stages, 3);
    cr_expect_eq(c.filters, 4);
    cr_expect_eq(c.unwraps, 1);
    cr_expect_eq(c.matchers, 6);
}

Test(logql_visit, ends_when_told_to)
{
    struct counts c = {.stages_max = 2};
    cr_expect_not(walk(&c));
    cr_expect_eq(c.stages, 2);
    cr_expect_eq(c.logs, 1);
}
