/* The small ones: format_query, patterns, limits. */
#include "base/duration.h"
#include "base/mem.h"
#include "logql/parser.h"
#include "logql/printer.h"
#include "querier/internal.h"

int answer_format_query(struct call *c)
{
    struct expr *e;
    struct answer a;
    int code = logql_parse(params_str(&c->params, "query"), &c->arena, &e, &c->err);
    if (code != 0) {
        struct json_writer w;
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        jsonw_writer_init(&w, &b);
        jsonw_begin_object(&w);
        jsonw_key_c(&w, "status");
        jsonw_string(&w, STR("invalid-query"));
        jsonw_key_c(&w, "error");
        jsonw_string(&w, str_c(c->err.text));
        jsonw_end_object(&w);
        buf_append_char(&b, '\n');
        http_reply_take(c->r, 400, "application/json; charset=UTF-8", &b);
        buf_deinit(&b);
        return 0;
    }
    struct buf text;
    buf_init(&text, 16 << 20);
    logql_pretty(e, &text);
    answer_begin(&a, c);
    jsonw_begin_object(&a.w);
    jsonw_key_c(&a.w, "status");
    jsonw_string(&a.w, STR("success"));
    jsonw_key_c(&a.w, "data");
    jsonw_string(&a.w, buf_str(&text));
    jsonw_end_object(&a.w);
    buf_deinit(&text);
    logql_release(e);
    return answer_end(&a);
}

/* Log templates are not gathered yet: the question is checked, the list is empty. */
int answer_patterns(struct call *c)
{
    struct range_params in;
    struct expr *selector;
    struct answer a;
    int code = params_range(&c->params, &in, &c->err);
    if (code != 0 || (code = call_parse_selector(c, in.query, true, &selector)) != 0)
        return code;
    logql_release(selector);
    answer_begin(&a, c);
    jsonw_raw(&a.w, STR("{\"status\":\"success\",\"data\":[]}"));
    return answer_end(&a);
}

static void put_duration(struct json_writer *w, const char *name, int64_t ns)
{
    struct buf b;
    buf_init(&b, 64);
    duration_append_prom(&b, ns);
    jsonw_key(w, str_c(name));
    jsonw_string(w, buf_str(&b));
    buf_deinit(&b);
}

static void put_int(struct json_writer *w, const char *name, int64_t v)
{
    jsonw_key(w, str_c(name));
    jsonw_i64(w, v);
}

static void put_strings(struct json_writer *w, const char *name, const struct config_strings *s)
{
    jsonw_key(w, str_c(name));
    jsonw_begin_array(w);
    for (size_t i = 0; i < s->n; i++)
        jsonw_string(w, str_c(s->items[i]));
    jsonw_end_array(w);
}

/* What Grafana's Logs Drilldown wants to know of a tenant. */
int answer_drilldown_limits(struct call *c)
{
    const struct limits *l = c->limits;
    struct answer a;
    answer_begin(&a, c);
    struct json_writer *w = &a.w;
    jsonw_begin_object(w);
    jsonw_key_c(w, "limits");
    jsonw_begin_object(w);
    jsonw_key_c(w, "discover_log_levels");
    jsonw_bool(w, l->discover_log_levels);
    put_strings(w, "discover_service_name", &l->discover_service_name);
    put_strings(w, "log_level_fields", &l->log_level_fields);
    put_int(w, "max_entries_limit_per_query", l->max_entries_limit_per_query);
    put_int(w, "max_line_size_truncate", l->max_line_size_truncate);
    put_int(w, "max_query_bytes_read", (int64_t)l->max_query_bytes_read);
    put_duration(w, "max_query_length", l->max_query_length_ns);
    put_duration(w, "max_query_lookback", l->max_query_lookback_ns);
    put_duration(w, "max_query_range", l->max_query_range_ns);
    put_int(w, "max_query_series", l->max_query_series);
    put_duration(w, "query_timeout", l->query_timeout_ns);
    put_duration(w, "retention_period", l->retention_period_ns);
    jsonw_key_c(w, "volume_enabled");
    jsonw_bool(w, l->volume_enabled);
    put_int(w, "volume_max_series", l->volume_max_series);
    jsonw_end_object(w);
    jsonw_key_c(w, "pattern_ingester_enabled");
    jsonw_bool(w, false);
    jsonw_key_c(w, "version");
    jsonw_string(w, STR("3.6.0"));
    jsonw_end_object(w);
    return answer_end(&a);
}

int answer_tenant_limits(struct call *c)
{
    struct buf b;
    buf_init(&b, 4 << 20);
    limits_print(c->limits, &b);
    http_reply_take(c->r, 200, "text/plain; charset=utf-8", &b);
    buf_deinit(&b);
    return 0;
}

/* There are no rules yet: what Grafana asks for its alert list is answered with none. */
int answer_no_rules(struct call *c)
{
    struct answer a;
    answer_begin(&a, c);
    jsonw_raw(&a.w, STR("{\"status\":\"success\",\"data\":{\"groups\":[]},\"errorType\":\"\","
                        "\"error\":\"\"}"));
    return answer_end(&a);
}

int answer_no_alerts(struct call *c)
{
    struct answer a;
    answer_begin(&a, c);
    jsonw_raw(&a.w, STR("{\"status\":\"success\",\"data\":{\"alerts\":[]},\"errorType\":\"\","
                        "\"error\":\"\"}"));
    return answer_end(&a);
}
