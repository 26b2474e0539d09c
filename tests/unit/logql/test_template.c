/* Templates: golden/gostyle/template_*.txt was printed by Go's text/template. */
#include "logql/template/template.h"
#include "tests/support/golden.h"

static const char *const names[] = {"a",    "b",     "level", "num", "dur",
                                    "size", "empty", "json",  "utf", "ts"};
static const char *const values[] = {
    "alpha beta",
    "b,c,a",
    "info",
    "42",
    "1m3.5s",
    "1.5KiB",
    "",
    "{\"k\":\"v\",\"arr\":[1,2.5,\"x\",null,true],\"o\":{\"p\":1}}",
    "h\xc3\xa9llo \xe6\x97\xa5",
    "2026-11-01T00:59:14Z",
};

static bool get(void *user, str name, struct tval *ret)
{
    (void)user;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_eq_c(name, names[i])) {
            *ret = tval_str(str_c(values[i]));
            return true;
        }
    }
    return false;
}

static bool at(void *user, size_t i, str *ret_name, struct tval *ret)
{
    (void)user;
    if (i >= sizeof names / sizeof names[0])
        return false;
    *ret_name = str_c(names[i]);
    *ret = tval_str(str_c(values[i]));
    return true;
}

static const struct template_source source = {get, at};

static void start(struct template_ctx *ctx, bool loki)
{
    template_ctx_init(ctx, 4 << 20);
    ctx->source = &source;
    ctx->missing_is_empty = loki;
    ctx->line = STR("level=info msg=\"the line\" n=5");
    ctx->ts_ns = INT64_C(1793494754475000000);
    ctx->now_ns = ctx->ts_ns + 1;
}

/* Result or error text of a template. */
static void run(struct template_ctx *ctx, const struct template_funcs *funcs, str text,
                struct buf *out)
{
    struct template *t;
    struct error err = {0};
    buf_reset(out);
    if (template_parse(STR("line"), text, funcs, &t, &err) != 0) {
        buf_append_c(out, err.text);
        return;
    }
    if (template_exec(t, ctx, out, &err) != 0) {
        buf_reset(out);
        buf_append_c(out, err.text);
    }
    template_free(t);
    template_ctx_reset(ctx);
}

static int check_golden(const char *file, bool loki)
{
    const struct template_funcs *funcs = loki ? &template_funcs_loki : &template_funcs_promtail;
    struct template_ctx ctx;
    struct golden g;
    struct buf out;
    int n = 0;
    start(&ctx, loki);
    buf_init(&out, 1 << 20);
    for (golden_open(&g, file); golden_next(&g) > 0; n++) {
        run(&ctx, funcs, buf_str(&g.words[0]), &out);
        cr_expect(str_eq(buf_str(&out), buf_str(&g.words[1])), "line %d: %s, want %s", g.number,
                  buf_c(&out), buf_c(&g.words[1]));
    }
    buf_deinit(&out);
    template_ctx_deinit(&ctx);
    return n;
}

Test(logql_template, lokis_templates_answer_as_gos)
{
    cr_expect_gt(check_golden("gostyle/template_loki.txt", true), 200);
}

Test(logql_template, promtails_templates_answer_as_gos)
{
    cr_expect_gt(check_golden("gostyle/template_promtail.txt", false), 30);
}

static void expect_fields(const char *text, bool known, size_t n, const char *first)
{
    struct template *t;
    const str *fields;
    size_t n_fields;
    cr_assert_eq(template_parse(STR("line"), str_c(text), &template_funcs_loki, &t, NULL), 0);
    cr_expect_eq(template_needed_fields(t, &fields, &n_fields), known, "%s", text);
    cr_expect_eq(n_fields, n, "%s: %zu", text, n_fields);
    if (n > 0)
        cr_expect(str_eq_c(fields[0], first));
    template_free(t);
}

Test(logql_template, tells_which_labels_it_reads)
{
    expect_fields("{{.a}} {{.b | lower}} {{if .a}}{{end}}", true, 2, "a");
    expect_fields("{{printf \"%s\" .x.y}}{{$.z}}", true, 2, "x");
    expect_fields("plain {{__line__}}", true, 0, NULL);
    expect_fields("{{range $k, $v := .}}{{end}}", false, 0, NULL);
    expect_fields("{{ index . \"a\" }}", false, 0, NULL);
    expect_fields("{{ define \"t\" }}{{.q}}{{ end }}{{ template \"t\" $ }}", false, 1, "q");
}

Test(logql_template, the_plain_case_takes_no_memory)
{
    struct template_ctx ctx;
    struct template *t;
    struct buf out;
    start(&ctx, true);
    buf_init(&out, 1 << 20);
    cr_assert_eq(template_parse(STR("line"), STR("{{.a}} {{.b}}"), &template_funcs_loki, &t, NULL),
                 0);
    size_t before = arena_used(&ctx.arena);
    cr_expect_eq(template_exec(t, &ctx, &out, NULL), 0);
    cr_expect_eq(arena_used(&ctx.arena), before);
    template_free(t);
    buf_deinit(&out);
    template_ctx_deinit(&ctx);
}

static int exec_rc(const char *text, size_t out_max)
{
    struct template_ctx ctx;
    struct template *t;
    struct buf out;
    struct error err = {0};
    start(&ctx, false);
    buf_init(&out, out_max);
    cr_assert_eq(template_parse(STR("line"), str_c(text), &template_funcs_promtail, &t, NULL), 0,
                 "%s", text);
    int rc = template_exec(t, &ctx, &out, &err);
    template_free(t);
    buf_deinit(&out);
    template_ctx_deinit(&ctx);
    return rc;
}

Test(logql_template, output_memory_steps_and_depth_have_limits)
{
    cr_expect_eq(exec_rc("{{.a}}{{.a}}", 15), E_LIMIT);
    cr_expect_eq(exec_rc("{{ repeat 100000000 .a }}", 1 << 20), E_LIMIT);
    cr_expect_eq(exec_rc("{{ until 900000000 }}", 1 << 20), E_LIMIT);
    cr_expect_eq(exec_rc("{{ printf \"%1000000000d\" 5 }}", 1 << 20), 0); /* width is ignored */
    cr_expect_eq(exec_rc("{{ range 100000000 }}{{ end }}", 1 << 20), E_LIMIT);
    cr_expect_eq(
        exec_rc("{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}", 100),
        E_INVALID);
}

Test(logql_template, deep_nesting_is_refused_when_parsed)
{
    struct buf b;
    struct template *t;
    struct error err = {0};
    buf_init(&b, 1 << 20);
    buf_append_c(&b, "{{ ");
    for (int i = 0; i < 5000; i++)
        buf_append_char(&b, '(');
    buf_append_c(&b, "1 }}");
    cr_expect_eq(template_parse(STR("line"), buf_str(&b), &template_funcs_loki, &t, &err), E_PARSE);
    cr_expect_str_eq(err.text, "template: line:1: max expression depth exceeded");
    buf_deinit(&b);
}
