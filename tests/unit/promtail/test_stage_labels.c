/* labels, static_labels, structured_metadata, labeldrop, labelallow, tenant, output, timestamp */
#include "tests/unit/promtail/pipe.h"

Test(promtail_stage_labels, change_the_label_set)
{
    static const struct pipe_case cases[] = {
        {"- regex: {expression: '(?P<a>\\w)'}\n- labels: {a: , b: a, c: nope}", "x",
         "{a=\"x\",b=\"x\",job=\"test\"} x\n"},
        {"- labels:\n- static_labels: {a: b, c: }", "x", "{a=\"b\",job=\"test\"} x\n"},
        {"- static_labels: {a: b}\n- labeldrop: [job, nope]", "x", "{a=\"b\"} x\n"},
        {"- static_labels: {a: b}\n- labelallow: [job, nope]", "x", "{job=\"test\"} x\n"},
        {"- tenant: {value: t}", "x", "{__tenant_id__=\"t\",job=\"test\"} x\n"},
        {"- tenant: {source: job}", "x", "{__tenant_id__=\"test\",job=\"test\"} x\n"},
        {"- tenant: {source: nope}", "x", "{job=\"test\"} x\n"},
        {"- static_labels: {a: b}\n- tenant: {label: a}", "x",
         "{__tenant_id__=\"b\",a=\"b\",job=\"test\"} x\n"},
        {"- output: {source: job}", "x", "{job=\"test\"} test\n"},
        {"- output: {source: nope}", "x", "{job=\"test\"} x\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_structured_metadata, takes_extracted_values_and_labels)
{
    static const struct pipe_case cases[] = {
        {"- regex: {expression: '(?P<a>\\w)'}\n- structured_metadata: {a: , z: a}", "x",
         "{job=\"test\"} x + a=x + z=x\n"},
        {"- structured_metadata: {job: }", "x", "{} x + job=test + job=test\n"},
        {"- static_labels: {s: v}\n- non_indexed_labels: {m: s}", "x", "{job=\"test\"} x + m=v\n"},
        {"- structured_metadata:", "x", "{job=\"test\"} x\n"},
    };
    PIPE_CHECK_ALL(cases);
}

#define TIME(format)                                                                               \
    "- regex: {expression: '(?P<t>.*)'}\n- timestamp: {source: t, format: " format "}"

Test(promtail_stage_timestamp, reads_all_formats)
{
    static const struct pipe_case cases[] = {
        {TIME("RFC3339"), "2024-05-01T12:00:00.5+02:00",
         "@1714557600500000000 {job=\"test\"} 2024-05-01T12:00:00.5+02:00\n"},
        {TIME("Unix"), "1714557600.25", "@1714557600250000000 {job=\"test\"} 1714557600.25\n"},
        {TIME("UnixMs"), "1714557600001", "@1714557600001000000 {job=\"test\"} 1714557600001\n"},
        {TIME("UnixUs"), "1714557600000001",
         "@1714557600000001000 {job=\"test\"} 1714557600000001\n"},
        {TIME("UnixNs"), "1714557600000000001",
         "@1714557600000000001 {job=\"test\"} 1714557600000000001\n"},
        {TIME("ANSIC"), "Wed May  1 10:00:00 2024",
         "@1714557600000000000 {job=\"test\"} Wed May  1 10:00:00 2024\n"},
        {TIME("'2006-01-02 15:04', location: Europe/Berlin"), "2024-05-01 12:00",
         "@1714557600000000000 {job=\"test\"} 2024-05-01 12:00\n"},
        {TIME("RFC3339, fallback_formats: [UnixMs, Unix]"), "1714557600000",
         "@1714557600000000000 {job=\"test\"} 1714557600000\n"},
        {TIME("RFC3339"), "1714557600", "{job=\"test\"} 1714557600\n"},
        {TIME("Unix, action_on_failure: skip"), "1714557600\nx",
         "@1714557600000000000 {job=\"test\"} 1714557600\n{job=\"test\"} x\n"},
        {TIME("Unix"), "1714557600.999999999999999999", /* rounds */
         "@1714557601000000000 {job=\"test\"} 1714557600.999999999999999999\n"},
        {TIME("Unix"), "1714557600.1234567891",
         "@1714557600123456789 {job=\"test\"} 1714557600.1234567891\n"},
        {TIME("Unix"), "1714557600.12345678901234567890", /* beyond an int64 */
         "{job=\"test\"} 1714557600.12345678901234567890\n"},
        {TIME("Unix"), "1714557600.-5", "@1714557599950000000 {job=\"test\"} 1714557600.-5\n"},
        {TIME("'2006-01-02T15:04:05Z07:00'"), "0001-01-01T00:00:00Z", /* beyond nanoseconds */
         "{job=\"test\"} 0001-01-01T00:00:00Z\n"},
        {TIME("Unix"), "1714557600\nx",
         "@1714557600000000000 {job=\"test\"} 1714557600\n@1714557600000000001 {job=\"test\"} x\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_timestamp, knows_the_abbreviations_of_this_machines_zone)
{
    static const struct pipe_case cases[] = {
        {TIME("'2006-01-02 15:04 MST'"), "2024-05-01 12:00 CEST",
         "@1714557600000000000 {job=\"test\"} 2024-05-01 12:00 CEST\n"},
        {TIME("RFC822"), "01 May 24 12:00 CEST",
         "@1714557600000000000 {job=\"test\"} 01 May 24 12:00 CEST\n"},
        {TIME("RFC822, location: UTC"), "01 May 24 12:00 CEST", /* not for named formats */
         "@1714557600000000000 {job=\"test\"} 01 May 24 12:00 CEST\n"},
        {TIME("'2006-01-02 15:04 MST', location: UTC"), "2024-05-01 10:00 CEST",
         "@1714557600000000000 {job=\"test\"} 2024-05-01 10:00 CEST\n"},
        {TIME("'2006-01-02 15:04'"), "2024-05-01 10:00", /* but a time without one is UTC */
         "@1714557600000000000 {job=\"test\"} 2024-05-01 10:00\n"},
    };
    setenv("TZ", "Europe/Berlin", 1);
    PIPE_CHECK_ALL(cases);
}
