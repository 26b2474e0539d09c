/* logql/template/funcs.h - the tables of functions; funcs_loki.c and funcs_promtail.c choose. */
#pragma once
#include "logql/template/call.h"

/* sprig functions that Loki offers too; `_more` are those that only Promtail has. */
extern const struct template_func_table template_funcs_math, template_funcs_math_more;
extern const struct template_func_table template_funcs_text, template_funcs_text_more;
extern const struct template_func_table template_funcs_time, template_funcs_time_more,
    template_funcs_time_loki;
extern const struct template_func_table template_funcs_json, template_funcs_json_more;
/* Go's own names, of Loki and Promtail: ToLower, Replace, regexReplaceAll, ... */
extern const struct template_func_table template_funcs_go;
/* Promtail only */
extern const struct template_func_table template_funcs_regex, template_funcs_list,
    template_funcs_dict, template_funcs_digest, template_funcs_reflect, template_funcs_semver,
    template_funcs_chance, template_funcs_url, template_funcs_cipher;
