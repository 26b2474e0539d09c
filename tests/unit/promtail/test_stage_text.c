/* regex, logfmt, replace, template, decolorize, pack, eventlogmessage */
#include "tests/unit/promtail/pipe.h"

#define SHOW(v) "\n- output: {source: " v "}\n- labeldrop: [job]"

Test(promtail_stage_regex, extracts_named_groups)
{
    static const struct pipe_case cases[] = {
        {"- regex: {expression: '(?P<v>\\w+) (\\w+)'}" SHOW("v"), "ab cd\nx", "{} ab\n{} x\n"},
        {"- regex: {expression: 'a(?P<v>b)?'}\n- labels: {v: }", "ac",
         "{job=\"test\",v=\"\"} ac\n"},
        {"- regex: {expression: '(?<v>b)|(?P<w>c)'}" SHOW("v"), "xb", "{} b\n"},
        {"- regex: {expression: '(?P<v>a)(?P<v>b)'}" SHOW("v"), "ab", "{} b\n"},
        {"- regex: {expression: '^\\w(?P<v>.)\\w$'}" SHOW("v"),
         "a\xff"
         "b",
         "{} \xff\n"},
        {"- regex: {expression: '(?P<v>st)$', source: job}" SHOW("v"), "x", "{} st\n"},
        {"- regex: {expression: '(?P<v>a)', source: nope}" SHOW("v"), "a", "{} a\n"},
        /* Alloy's setting, which Promtail does not know */
        {"- regex: {expression: '(?P<v>a)', labels_from_groups: true}", "a", "{job=\"test\"} a\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_logfmt, extracts_mapped_keys)
{
    static const struct pipe_case cases[] = {
        {"- logfmt: {mapping: {v: }}" SHOW("v"), "a=1 v=\"x \\\"y\"", "{} x \"y\n"},
        {"- logfmt: {mapping: {v: key}}" SHOW("v"), "key=1 key=2", "{} 2\n"},
        {"- logfmt: {mapping: {v: key}}\n- labels: {v: }", "key", "{job=\"test\",v=\"\"} key\n"},
        {"- logfmt: {mapping: {v: , w: }}\n- labels: {v: , w: }", "v=1 \"bad w=2",
         "{job=\"test\",v=\"1\"} v=1 \"bad w=2\n"},
        /* an escape forbids control characters around it */
        {"- logfmt: {mapping: {v: , w: , x: }}\n- labels: {v: , w: , x: }",
         "v=\"a\tb\" w=\"a\\\"\tb\" x=1",
         "{job=\"test\",v=\"a\tb\"} v=\"a\tb\" w=\"a\\\"\tb\" x=1\n"},
        /* a line break ends a value; what stands behind a fault is lost */
        {"- json: {expressions: {in: }}\n- logfmt: {mapping: {v: , w: }, source: in}\n"
         "- labels: {v: , w: }",
         "{\"in\":\"v=1\\nw=2\"}", "{job=\"test\",v=\"1\",w=\"2\"} {\"in\":\"v=1\\nw=2\"}\n"},
        {"- json: {expressions: {in: }}\n- logfmt: {mapping: {v: , w: }, source: in}\n"
         "- labels: {v: , w: }",
         "{\"in\":\"v=\\\"1\\n2\\\" w=2\"}", "{job=\"test\"} {\"in\":\"v=\\\"1\\n2\\\" w=2\"}\n"},
        {"- logfmt: {mapping: {v: }, source: job}\n- labels: {v: }", "v=1", "{job=\"test\"} v=1\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_replace, replaces_groups)
{
    static const struct pipe_case cases[] = {
        {"- replace: {expression: 'p=(\\S+)', replace: '***'}\n- labeldrop: [job]",
         "p=a q p=b\nnone", "{} p=*** q p=***\n{} none\n"},
        {"- replace: {expression: 'p', replace: x}\n- labeldrop: [job]", "p", "{} p\n"},
        {"- replace: {expression: '(\\w+)', replace: '{{ .Value | ToUpper }}'}\n- labeldrop: [job]",
         "a b", "{} A B\n"},
        {"- replace: {expression: '((a)b)', replace: x}\n- labeldrop: [job]", "zab", "{} zx\n"},
        {"- replace: {expression: '(a)(b)', replace: x}\n- labeldrop: [job]", "zab", "{} zxb\n"},
        {"- replace: {expression: '(a)', replace: '$1{{ .nope }}'}\n- labeldrop: [job]", "a",
         "{} $1<no value>\n"},
        {"- replace: {expression: '(a)', replace: '{{ bad'}\n- labeldrop: [job]", "a", "{} a\n"},
        {"- replace: {expression: '(a)', replace: '{{ div 1 0 }}'}\n- labeldrop: [job]", "a",
         "{} a\n"},
        {"- replace: {expression: '(?P<v>t)e', source: job, replace: T}\n- labels: {v: , j: job}",
         "l", "{j=\"Test\",job=\"test\",v=\"T\"} l\n"},
        {"- replace: {expression: '(b)', replace: ''}\n- labeldrop: [job]",
         "\xff"
         "b\xfe",
         "{} \xff\xfe\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_template, makes_values)
{
    static const struct pipe_case cases[] = {
        {"- template: {source: v, template: '{{ .job }}-{{ .Entry }}'}" SHOW("v"), "x",
         "{} test-x\n"},
        {"- template: {source: job, template: '{{ .Value | upper }}'}" SHOW("job"), "x",
         "{} TEST\n"},
        {"- template: {source: v, template: '{{ .Value }}'}" SHOW("v"), "x", "{} <no value>\n"},
        {"- template: {source: job, template: ''}" SHOW("job"), "x", "{} x\n"},
        {"- template: {source: v, template: '{{ toJson .Entry }} {{ toRawJson .Entry }}'}" SHOW(
             "v"),
         "<\b\f\x01", "{} \"\\u003c\\b\\f\\u0001\" \"<\\b\\f\\u0001\"\n"},
        {"- template: {source: job, template: '{{ div 1 0 }}'}" SHOW("job"), "x", "{} test\n"},
        {"- json: {expressions: {k: }}\n- template: {source: v, template: '{{ if eq .k \"1.5\" "
         "}}y{{ end }}'}" SHOW("v"),
         "{\"k\":1.50}", "{} y\n"},
        {"- template: {source: v, template: '{{ range $k, $x := . }}{{ $k }}={{ $x }};{{ end "
         "}}'}" SHOW("v"),
         "x", "{} Entry=x;job=test;\n"},
        {"- template: {source: v, template: '{{ list . }} {{ dict \"k\" . }} {{ quote . }} {{ "
         "toJson "
         "(dict \"k\" .) }}{{ define \"T\" }}{{ .k.job }}{{ end }} {{ template \"T\" (dict \"k\" "
         ".) "
         "}}'}" SHOW("v"),
         "x",
         "{} [map[Entry:x job:test]] map[k:map[Entry:x job:test]] \"map[Entry:x job:test]\" "
         "{\"k\":{\"Entry\":\"x\",\"job\":\"test\"}} test\n"},
        {"- template: {source: v, template: '{{ $_ := set . \"a\" .job }}{{ $_ := unset . \"job\" "
         "}}{{ "
         ".a }} {{ .job }} {{ index . \"a\" }} {{ len . }} {{ . }}'}" SHOW("v"),
         "x\ny",
         "{} test <no value> test 2 map[Entry:x a:test]\n"
         "{} test <no value> test 2 map[Entry:y a:test]\n"},
        {"- template: {source: v, template: '{{ semverCompare \"1.2 - 1.4\" .Entry }} {{ "
         "semverCompare "
         "\"2 - 3 || 1.4\" .Entry }}'}" SHOW("v"),
         "1.4.9\n1.5.0", "{} true true\n{} false false\n"},
        {"- template: {source: v, template: '{{ mergeOverwrite (dict \"a\" 1 \"b\" 2) (dict \"a\" "
         "\"\" "
         "\"b\" nil) }} {{ merge (dict) (dict \"a\" nil) }} {{ durationRound \"-2h\" }}'}" SHOW(
             "v"),
         "x", "{} map[a: b:<nil>] map[] 2h\n"},
        {"- template: {source: v, template: '{{ regexReplaceAll \"(x)\" .Entry "
         "\"$1\u2192$1\u00e9|\" }}'}" SHOW("v"),
         "x", "{} x\xe2\x86\x92|\n"},
        {"- template: {source: v, template: '{{ regexReplaceAll \"\\\\B\" .Entry \"-\" }}'}" SHOW(
             "v"),
         "x\xc3\xa9", "{} x\xc3\xa9-\n"}, /* not within a rune */
        {"- template: {source: v, template: '{{ printf \"%.\" 3 }} {{ printf \"%.d\" 3 }}'}" SHOW(
             "v"),
         "x", "{} %!.(int=3) 3\n"},
        {"- template: {source: v, template: '{{ semver .Entry }} {{ (semver .Entry).Minor }} "
         "{{ semverCompare \"^1.1 || ~3.0.1\" .Entry }} {{ semverCompare \">=1.2, <2\" .Entry "
         "}}'}" SHOW("v"),
         "v1.2\n3.0.2-rc.1+b\n3.0.2\nnone",
         "{} 1.2.0 2 true true\n{} 3.0.2-rc.1+b 0 false false\n{} 3.0.2 0 true false\n{} none\n"},
        {"- template: {source: v, template: '{{ randAlphaNum 7 | len }} {{ uuidv4 | len }} {{ "
         "randInt 3 4 }} {{ shuffle \"aa\" }}'}" SHOW("v"),
         "x", "{} 7 36 3 aa\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_decolorize, removes_escape_sequences)
{
    static const struct pipe_case cases[] = {
        {"- decolorize:", "\x1b[31mred\x1b[0m plain\n\x1b[1;32;40mx",
         "{job=\"test\"} red plain\n{job=\"test\"} x\n"},
        {"- decolorize: {}", "none\n\x1b", "{job=\"test\"} none\n{job=\"test\"} \x1b\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_pack, packs_labels_and_values)
{
    static const struct pipe_case cases[] = {
        {"- pack: {labels: [job, b], ingest_timestamp: false}", "a \"<\"",
         "{} {\"job\":\"test\",\"_entry\":\"a \\\"\\u003c\\\"\"}\n"},
        {"- static_labels: {z: s, a: t}\n- regex: {expression: '(?P<m>\\w)'}\n"
         "- pack: {labels: [m, job, a], ingest_timestamp: false}",
         "q", "{a=\"t\",z=\"s\"} {\"job\":\"test\",\"m\":\"q\",\"_entry\":\"q\"}\n"},
        {"- pack: {labels: [~, job], ingest_timestamp: ''}", "q",
         "{} {\"job\":\"test\",\"_entry\":\"q\"}\n"},
        {"- pack: {ingest_timestamp: false}", "q", "{job=\"test\"} {\"_entry\":\"q\"}\n"},
    };
    PIPE_CHECK_ALL(cases);
    struct pipe p;
    pipe_open(&p, "- pack: {labels: [job]}");
    pipe_put(&p, STR("x"));
    cr_assert(buf_c(&p.out)[0] == '@', "the time is that of packing: %s", buf_c(&p.out));
    pipe_close(&p);
}

Test(promtail_stage_eventlogmessage, extracts_its_lines)
{
#define EVENT "- json: {expressions: {message: }}\n- eventlogmessage: "
    static const struct pipe_case cases[] = {
        {EVENT "{}\n- labels: {a: , b_c: }\n- output: {source: a}",
         "{\"message\":\"a: x:y \\r\\nb c:2\\r\\nnone\"}",
         "{a=\"x:y\",b_c=\"2\",job=\"test\"} x:y\n"},
        {EVENT "{}\n- output: {source: job_extracted}", "{\"message\":\"job: b\"}",
         "{job=\"test\"} b\n"},
        {EVENT "{overwrite_existing: true}\n- output: {source: job}", "{\"message\":\"job: b\"}",
         "{job=\"test\"} b\n"},
        {EVENT "{drop_invalid_labels: true}\n- labels: {a_b: }\n- output: {source: c}",
         "{\"message\":\"a b: 1\\r\\nc: 2\"}", "{job=\"test\"} 2\n"},
        {EVENT "{source: job}\n- labels: {test: }", "{}", "{job=\"test\"} {}\n"},
        {EVENT "{}", "{\"message\":null}", ""},
    };
    PIPE_CHECK_ALL(cases);
}
