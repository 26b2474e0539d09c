/* Settings that stages refuse, with Promtail's words. */
#include "tests/unit/promtail/pipe.h"

Test(promtail_stage_conf, refuses_wrong_settings)
{
    static const struct {
        const char *stages, *want;
    } rows[] = {
        {"- nosuch: {}", "Unknown stage type: nosuch"},
        {"- docker: {}\n  cri: {}", "pipeline stage must contain only one key"},
        {"- docker", "must end with a `:`"},
        {"- 5: {}", "pipeline stage key must be a string"},
        {"- regex: x", "invalid regex stage config: '' expected a map, got 'string'"},
        {"- labels: [a]", "'' expected a map, got 'slice'"},
        {"- metrics: {m: 5}", "'[m]' expected a map, got 'int'"},
        {"- limit: {rate: x, burst: 1}",
         "cannot parse 'rate' as float: strconv.ParseFloat: parsing \"x\": invalid syntax"},
        {"- output:", "output source value is required if output is specified"},
        {"- regex: {expression: '\\C'}", "invalid escape sequence: `\\C`"},
        {"- regex: {expression: '(?P<\xc3\xa9>x)'}", "invalid named capture: `(?P<\xc3\xa9>`"},
        {"- regex: {expression: '('}",
         "invalid regex stage config: could not compile regular expression"},
        {"- regex: {expression: a, source: ''}", "empty source"},
        {"- regex: {expression: 5}", "expected type 'string'"},
        {"- logfmt: {}", "logfmt mapping is required"},
        {"- json: {}", "JMES expression is required"},
        {"- json: {expressions: {a: 'x['}}", "could not compile JMES expression: SyntaxError"},
        {"- replace: {replace: x}", "expression is required"},
        {"- replace: {expression: x, source: ''}", "empty source in replace stage"},
        {"- template: {template: x}", "template source value is required"},
        {"- template: {source: a, template: '{{ nosuch }}'}", "function \"nosuch\" not defined"},
        {"- match: {selector: '{a=\"b\"}'}", "match stage requires at least one additional stage"},
        {"- match: {stages: [{docker: }]}", "selector statement required"},
        {"- match: {selector: '{a=\"b\"}', action: x}",
         "match stage action should be 'keep' or 'drop'"},
        {"- match: {selector: '{}', action: drop}",
         "invalid selector syntax for match stage: parse error at line 1, col 2"},
        {"- match: {selector: '{a=\"b\",}', action: drop}", "unexpected }"},
        {"- match: {selector: '{a=\"b\"} /* c', action: drop}", "not terminated"},
        {"- match: {selector: '{a=\"b\"} c', action: drop}",
         "unexpected IDENTIFIER, expecting != or !~ or |~ or |="},
        {"- match: {selector: '{a=\"b\"} |~ \"(\"', action: drop}",
         "invalid match stage config: error parsing pipeline: error parsing regexp: missing "
         "closing "
         "): `(`"},
        {"- match: {selector: '{a=`b`}', action: drop}", "invalid selector syntax"},
        {"- match: {selector: '{a=\"b}', action: drop}", "literal not terminated"},
        {"- match: {selector: '{a=\"b\"} |= \"x\" or \"y\"', action: drop}",
         "invalid selector syntax"},
        {"- match: {selector: '{a=\"b\"}', stages: [{nope: }]}", "Unknown stage type: nope"},
        {"- drop: {}", "drop stage config must contain at least one of"},
        {"- drop: {longer_than: 1KiB}", "drop stage failed to parse longer_than to bytes"},
        {"- drop: {older_than: 1d}", "drop stage invalid duration, 1d"},
        {"- drop: {source: {a: b}}", "drop stage source invalid type"},
        {"- drop: {source: 5}", "drop stage source invalid type"},
        {"- limit: {rate: 0, burst: 1}", "limit stage failed to parse rate or burst"},
        {"- sampling: {rate: 2}", "Sampling Rate must be between 0.0 and 1.0, received 2.000000"},
        {"- multiline: {firstline: x, max_wait_time: 3}", "`max_wait_time` parse error"},
        {"- multiline: {firstline: x, max_lines: '-1'}",
         "cannot parse 'max_lines' as uint: strconv.ParseUint: parsing \"-1\": invalid syntax"},
        {"- cri: {max_partial_line_size: 5KB}",
         "cannot parse 'max_partial_line_size' as uint: strconv.ParseUint"},
        {"- labels: {'a-b': }", "invalid label name: a-b"},
        {"- static_labels: {port: 8080}", "'[port]' expected type 'string'"},
        {"- static_labels: {'': x}", "invalid label name: "},
        {"- labelallow:", "labelallow stage config cannot be empty"},
        {"- labeldrop: a", "source data must be an array or slice, got string"},
        {"- labelallow: {a: }", "source data must be an array or slice, got map"},
        {"- labeldrop: [5]", "expected type 'string', got unconvertible type 'int'"},
        {"- timestamp: {source: a, format: b, fallback_formats: c}",
         "'fallback_formats': source data must be an array or slice, got string"},
        {"- tenant: {label: a, value: b}", "mutually exclusive"},
        {"- timestamp: {source: a}", "timestamp format is required"},
        {"- timestamp: {source: a, format: b, action_on_failure: ''}",
         "invalid action on failure (supported values are [skip fudge])"},
        {"- timestamp: {source: a, format: b, location: Mars/Base}", "invalid location specified"},
        {"- eventlogmessage: {source: a b}", "invalid label name: a b"},
        {"- geoip: {source: ip, db_type: city}", "db path cannot be empty"},
        {"- geoip: {db: /nope.mmdb, source: ip, db_type: city}",
         "open /nope.mmdb: no such file or directory"},
        {"- geoip: {db: /nope.mmdb, source: ip}", "db type should be either city or asn"},
        {"- metrics: {m: {type: Summary}}", "invalid metric type 'summary'"},
        {"- metrics: {m: {type: Counter, config: {action: dec}}}", "action dec is not valid"},
        {"- metrics: {m: {type: Gauge, max_idle_duration: 1ms, config: {action: inc}}}",
         "less than 1s not allowed"},
        {"- metrics: {m: {type: Histogram, config: {buckets: [2, 1]}}}", "increasing order"},
        {"- metrics: {m: {type: Histogram, config: {buckets: 5}}}",
         "'buckets': source data must be an array or slice, got int"},
        {"- metrics: {m: {type: Counter, config: [inc]}}", "'' expected a map, got 'slice'"},
        {"- cri: {max_partial_lines: many}", "cannot parse 'max_partial_lines' as int"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        pipe_check_error(rows[i].stages, rows[i].want);
}

Test(promtail_stage_conf, refuses_match_stages_nested_too_deeply)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_append_char(&b, '[');
    for (int i = 0; i <= STAGES_NESTED_MAX; i++)
        buf_append_c(&b, "{match: {selector: '{a=\"b\"}', stages: [");
    buf_append_c(&b, "{docker: }");
    for (int i = 0; i <= STAGES_NESTED_MAX; i++)
        buf_append_c(&b, "]}}");
    buf_append_char(&b, ']');
    pipe_check_error(buf_c(&b), "nested too deeply");
    buf_deinit(&b);
}
