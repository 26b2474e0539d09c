/* The functions of Promtail's template stage: sprig and a few of Go. */
#include "logql/template/funcs.h"

const struct template_funcs template_funcs_promtail = {{
    &template_funcs_go,
    &template_funcs_text,
    &template_funcs_text_more,
    &template_funcs_math,
    &template_funcs_math_more,
    &template_funcs_json,
    &template_funcs_json_more,
    &template_funcs_time,
    &template_funcs_time_more,
    &template_funcs_regex,
    &template_funcs_list,
    &template_funcs_dict,
    &template_funcs_digest,
    &template_funcs_reflect,
    &template_funcs_semver,
    &template_funcs_chance,
    &template_funcs_url,
    &template_funcs_cipher,
}};
