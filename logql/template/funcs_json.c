/* fromJson and toJson. */
#include "base/gofmt.h"
#include "base/mem.h"
#include "logql/template/funcs.h"
#include "logql/template/json.h"

static int f_from_json(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    *ret = tval_nil(); /* nonsense is nil */
    int rc = tjson_parse(args[0].s, c->arena, ret, NULL);
    return rc == E_LIMIT ? rc : 0;
}

static int f_must_from_json(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct error err = {0};
    int rc = tjson_parse(args[0].s, c->arena, ret, &err);
    return rc == 0 || rc == E_LIMIT ? rc : template_call_fail_with(c, &err);
}

static int to_json(struct template_call *c, struct tval *args, struct tval *ret,
                   enum tjson_style style)
{
    struct buf b;
    if (args[0].type == TVAL_ROOT) {
        struct tmap *m;
        int rc = template_call_map(c, &args[0], &m);
        if (rc != 0)
            return rc;
        args[0] = (struct tval){.type = TVAL_MAP, .map = m};
    }
    template_call_buf(c, &b);
    tjson_append(&b, &args[0], style);
    return template_call_take(c, &b, ret);
}

static int f_to_json(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return to_json(c, args, ret, TJSON_PLAIN);
}

static int f_to_pretty_json(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return to_json(c, args, ret, TJSON_PRETTY);
}

static int f_to_raw_json(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    return to_json(c, args, ret, TJSON_RAW);
}

static const struct template_func funcs[] = {
    {"fromJson", "s", f_from_json},
};

static const struct template_func more[] = {
    {"mustFromJson", "s", f_must_from_json},
    {"toJson", "v", f_to_json},
    {"mustToJson", "v", f_to_json},
    {"toPrettyJson", "v", f_to_pretty_json},
    {"mustToPrettyJson", "v", f_to_pretty_json},
    {"toRawJson", "v", f_to_raw_json},
    {"mustToRawJson", "v", f_to_raw_json},
};

const struct template_func_table template_funcs_json = TEMPLATE_TABLE(funcs);
const struct template_func_table template_funcs_json_more = TEMPLATE_TABLE(more);
