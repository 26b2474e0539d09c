#include "tests/unit/promtail/pipe.h"

#define T "2024-05-01T10:00:00.5Z"

Test(promtail_stage_cri, takes_time_stream_and_content)
{
    static const struct pipe_case cases[] = {
        {"- cri: {}", T " stdout F a line",
         "@1714557600500000000 {job=\"test\",stream=\"stdout\"} a line\n"},
        {"- cri:", T " stderr F ", "@1714557600500000000 {job=\"test\",stream=\"stderr\"} \n"},
        {"- cri: {}", T " stdout X tag",
         "@1714557600500000000 {job=\"test\",stream=\"stdout\"} tag\n"},
        {"- cri: {}", T " stdin F a\n" T "\tstdout F b\n" T " stdout F\nplain",
         "{job=\"test\"} " T " stdin F a\n{job=\"test\"} " T "\tstdout F b\n{job=\"test\"} " T
         " stdout F\n{job=\"test\"} plain\n"},
        {"- cri: {}\n- labels: {flags: , time: }\n- labeldrop: [stream]", T " stdout F x",
         "@1714557600500000000 {flags=\"F\",job=\"test\",time=\"" T "\"} x\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_cri, fudges_times_it_cannot_read)
{
    static const struct pipe_case cases[] = {
        {"- cri: {}", "yesterday stdout F a", "{job=\"test\",stream=\"stdout\"} a\n"},
        {"- cri: {}", T " stdout F a\nnow stdout F b\nnow stdout F c\nnow stderr F d",
         "@1714557600500000000 {job=\"test\",stream=\"stdout\"} a\n"
         "@1714557600500000001 {job=\"test\",stream=\"stdout\"} b\n"
         "@1714557600500000002 {job=\"test\",stream=\"stdout\"} c\n"
         "{job=\"test\",stream=\"stderr\"} d\n"},
    };
    PIPE_CHECK_ALL(cases);
}

Test(promtail_stage_cri, joins_parts_per_label_set)
{
    static const struct pipe_case cases[] = {
        {"- cri: {}\n- labeldrop: [stream]",
         T " stdout P a\n" T " stderr P x\n" T " stdout P b\n2024-05-01T10:00:01.5Z stdout F c\n" T
           " stderr F y",
         "@1714557601500000000 {job=\"test\"} abc\n@1714557600500000000 {job=\"test\"} xy\n"},
        {"- cri: {}", T " stdout P lost", ""},
        {"- cri: {max_partial_lines: 1}\n- labeldrop: [stream]",
         T " stdout P a\n2024-05-01T10:00:02.5Z stdout P b\n" T " stdout F c",
         "@1714557600500000000 {job=\"test\"} a\n@1714557600500000000 {job=\"test\"} bc\n"},
        {"- cri: {max_partial_line_size: 3, max_partial_line_size_truncate: true}\n"
         "- labeldrop: [stream]",
         T " stdout P ab\n" T " stdout P cd\n" T " stdout F ef\n" T " stdout F whole",
         "@1714557600500000000 {job=\"test\"} abc\n@1714557600500000000 {job=\"test\"} whole\n"},
        {"- cri: {max_partial_line_size: '3'}\n- labeldrop: [stream]",
         T " stdout P ab\n" T " stdout F cd", "@1714557600500000000 {job=\"test\"} abcd\n"},
    };
    PIPE_CHECK_ALL(cases);
}

/* What is handed on early has time and values of its newest part. */
Test(promtail_stage_cri, hands_on_the_newest_time_when_too_many_lines_are_pending)
{
    struct pipe p;
    pipe_open(&p, "- cri: {max_partial_lines: 2}");
    pipe_put_lines(&p, T " stdout P a\n2024-05-01T10:00:02.5Z stdout P b\n" T " stderr P x\n" T
                         " stderr P y");
    cr_assert(strstr(buf_c(&p.out), "@1714557602500000000 {job=\"test\",stream=\"stdout\"} ab\n"));
    cr_assert(strstr(buf_c(&p.out), "@1714557600500000000 {job=\"test\",stream=\"stderr\"} x\n"));
    pipe_close(&p);
}

Test(promtail_stage_docker, takes_what_the_json_file_driver_writes)
{
    static const struct pipe_case cases[] = {
        {"- docker: {}", "{\"log\":\"a\\n\",\"stream\":\"stderr\",\"time\":\"" T "\"}",
         "@1714557600500000000 {job=\"test\",stream=\"stderr\"} a\n\n"},
        {"- docker: {}", "{\"log\":\"a\"}", "{job=\"test\"} a\n"},
        {"- docker: {}", "{\"log\":12.50,\"stream\":null}", "{job=\"test\"} 12.5\n"},
        {"- docker: {}", "{\"log\":{\"b\": 1}}", "{job=\"test\"} {\"b\":1}\n"},
        {"- docker: {}", "not json", "{job=\"test\"} not json\n"},
        {"- docker: {}", "{\"log\":\"a\"} more", "{job=\"test\"} {\"log\":\"a\"} more\n"},
        {"- static_labels: {stream: s}\n- docker: {}", "x", "{job=\"test\",stream=\"s\"} x\n"},
    };
    PIPE_CHECK_ALL(cases);
}
