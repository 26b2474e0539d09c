#include "logql/template/call.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/regex.h"

/* Patterns and zones are nearly always constants of the template; a template that makes them up as
 * it goes fills the cache, which is then emptied. */
#define CACHE_MAX 256

struct template_cache {
    struct strmap regexes; /* pattern -> struct regex */
    struct strmap zones;   /* name -> struct zone_slot */
};

/* A zone may be NULL, a value of a map may not. */
struct zone_slot {
    struct tzone *zone;
};

void template_ctx_init(struct template_ctx *ctx, size_t arena_bytes_max)
{
    *ctx = (struct template_ctx){0};
    arena_init(&ctx->arena, arena_bytes_max);
    ctx->cache = mem_zalloc(sizeof *ctx->cache);
    strmap_init(&ctx->cache->regexes);
    strmap_init(&ctx->cache->zones);
}

static void empty_regexes(struct template_cache *c)
{
    void *re;
    for (size_t at = 0; strmap_next(&c->regexes, &at, NULL, &re);)
        regex_free(re);
    strmap_deinit(&c->regexes);
    strmap_init(&c->regexes);
}

static void empty_zones(struct template_cache *c)
{
    void *slot;
    for (size_t at = 0; strmap_next(&c->zones, &at, NULL, &slot);) {
        tzone_free(((struct zone_slot *)slot)->zone);
        mem_free(slot);
    }
    strmap_deinit(&c->zones);
    strmap_init(&c->zones);
}

void template_ctx_deinit(struct template_ctx *ctx)
{
    if (ctx->cache != NULL) {
        empty_regexes(ctx->cache);
        empty_zones(ctx->cache);
        strmap_deinit(&ctx->cache->regexes);
        strmap_deinit(&ctx->cache->zones);
        mem_free(ctx->cache);
    }
    arena_deinit(&ctx->arena);
    ctx->cache = NULL;
}

void template_ctx_reset(struct template_ctx *ctx)
{
    ctx->root = NULL;
    arena_reset(&ctx->arena);
    if (ctx->cache->zones.len > CACHE_MAX) /* not sooner: values of the line may point to them */
        empty_zones(ctx->cache);
}

int template_call_regex(struct template_call *c, str pattern, const struct regex **ret)
{
    struct template_cache *cache = c->ctx->cache;
    struct regex *re = strmap_get(&cache->regexes, pattern);
    if (re == NULL) {
        struct error err = {0};
        if (regex_compile(pattern, 0, &re, &err) != 0)
            return template_call_fail_with(c, &err);
        if (cache->regexes.len >= CACHE_MAX)
            empty_regexes(cache);
        strmap_put(&cache->regexes, pattern, re);
    }
    *ret = re;
    return 0;
}

const struct tzone *template_call_zone(struct template_call *c, str name)
{
    struct template_cache *cache = c->ctx->cache;
    if (str_eq(name, STR("Local")))
        return c->ctx->local;
    struct zone_slot *slot = strmap_get(&cache->zones, name);
    if (slot == NULL) {
        if (cache->zones.len > 2 * CACHE_MAX)
            return NULL; /* one line that asks for hundreds of zones */
        slot = mem_zalloc(sizeof *slot);
        if (tzone_load(name, &slot->zone, NULL) != 0)
            slot->zone = NULL;
        strmap_put(&cache->zones, name, slot);
    }
    return slot->zone;
}

const struct template_func *template_func_find(const struct template_funcs *funcs, str name)
{
    for (size_t t = 0; t < TEMPLATE_TABLES_MAX && funcs->tables[t] != NULL; t++)
        for (size_t i = 0; i < funcs->tables[t]->len; i++)
            if (str_eq_c(name, funcs->tables[t]->items[i].name))
                return &funcs->tables[t]->items[i];
    if (str_eq(name, STR("and")) || str_eq(name, STR("or")))
        return name.len == 3 ? &template_func_and : &template_func_or;
    for (size_t i = 0; i < template_builtins.len; i++)
        if (str_eq_c(name, template_builtins.items[i].name))
            return &template_builtins.items[i];
    return NULL;
}

const char *template_param_type(char param)
{
    switch (param) {
    case 's':
        return "string";
    case 'i':
        return "int";
    case 'I':
        return "int64";
    case 'f':
        return "float64";
    case 'b':
        return "bool";
    case 't':
        return "time.Time";
    case 'd':
        return "time.Duration";
    case 'S':
        return TLIST_STRINGS;
    case 'l':
        return TLIST_ANY;
    case 'm':
        return TMAP_ANY;
    default:
        return "interface {}";
    }
}

int template_call_fail(struct template_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(&c->error, E_INVALID, fmt, ap);
    va_end(ap);
    return E_INVALID;
}

int template_call_fail_with(struct template_call *c, const struct error *err)
{
    return template_call_fail(c, "%s", err->text);
}

void *template_call_alloc(struct template_call *c, size_t bytes)
{
    void *p = arena_try_alloc(c->arena, bytes);
    if (p == NULL)
        error_set(&c->error, E_LIMIT, "out of memory");
    return p;
}

void template_call_buf(struct template_call *c, struct buf *b)
{
    size_t used = arena_used(c->arena);
    buf_init(b, c->arena->limit > used ? c->arena->limit - used : 0);
}

int template_call_take(struct template_call *c, struct buf *b, struct tval *ret)
{
    int rc = E_LIMIT;
    char *copy = b->failed ? NULL : template_call_alloc(c, b->len + 1);
    if (copy != NULL) {
        memcpy(copy, buf_c(b), b->len);
        *ret = tval_str(str_make(copy, b->len));
        rc = 0;
    }
    buf_deinit(b);
    return rc;
}

bool template_root_get(const struct template_ctx *ctx, str name, struct tval *ret)
{
    if (ctx->root == NULL)
        return ctx->source->get(ctx->user, name, ret);
    const struct tval *found = tmap_get(ctx->root, name);
    if (found != NULL)
        *ret = *found;
    return found != NULL;
}

int template_call_map(struct template_call *c, const struct tval *v, struct tmap **ret)
{
    struct tmap *known = v->type == TVAL_MAP ? v->map : v->type == TVAL_ROOT ? c->ctx->root : NULL;
    if (known != NULL) {
        *ret = known;
        return 0;
    }
    const char *type = c->ctx->missing_is_empty ? TMAP_STRINGS : TMAP_ANY;
    struct tmap *m = tmap_new(c->arena, type);
    if (m == NULL)
        return E_LIMIT;
    str name;
    struct tval value;
    for (size_t i = 0; v->type == TVAL_ROOT && c->ctx->source->at(c->ctx->user, i, &name, &value);
         i++)
        if (!tmap_put(m, c->arena, name, value))
            return E_LIMIT;
    *ret = m;
    return 0;
}
