/* links: base proto logql */
/* Templates of any text, executed over labels cut from it. */
#include "logql/template/template.h"

static bool get(void *user, str name, struct tval *ret)
{
    const str *value = user;
    *ret = tval_str(*value);
    return name.len < 2;
}

static bool at(void *user, size_t i, str *ret_name, struct tval *ret)
{
    const str *value = user;
    *ret_name = STR("a");
    *ret = tval_str(*value);
    return i == 0;
}

static const struct template_source source = {get, at};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template *t;
    struct template_ctx ctx;
    struct buf out;
    struct error err = {0};
    str text = str_make((const char *)data, size), value = str_from(text, size / 2);
    bool loki = size % 2 == 0;
    if (size > 4096 ||
        template_parse(STR("line"), text, loki ? &template_funcs_loki : &template_funcs_promtail,
                       &t, &err) != 0)
        return 0;
    template_ctx_init(&ctx, 1 << 20);
    ctx.source = &source;
    ctx.user = &value;
    ctx.missing_is_empty = loki;
    ctx.line = value;
    ctx.now_ns = 1793494754475000000;
    buf_init(&out, 1 << 16);
    template_exec(t, &ctx, &out, &err);
    buf_deinit(&out);
    template_ctx_deinit(&ctx);
    template_free(t);
    return 0;
}
