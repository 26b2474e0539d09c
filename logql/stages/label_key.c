#include "logql/stages/label_key.h"

#include "base/utf8.h"

static inline bool is_name_char(char c)
{
    unsigned letter = ((unsigned)(unsigned char)c | 0x20) - 'a', digit = (unsigned char)c - '0';
    return letter < 26 || digit < 10 || c == '_';
}

static bool is_name(str key)
{
    for (size_t i = 0; i < key.len; i++)
        if (!is_name_char(key.ptr[i]))
            return false;
    return key.len > 0;
}

void label_key_append(struct buf *b, str key, bool is_first)
{
    bool has_digit_first = is_first && key.len > 0 && key.ptr[0] >= '0' && key.ptr[0] <= '9';
    if (is_name(key) && !has_digit_first) { /* as nearly all are */
        buf_append_str(b, key);
        return;
    }
    key = utf8_trim_space(key);
    if (key.len == 0)
        return;
    if (is_first && key.ptr[0] >= '0' && key.ptr[0] <= '9')
        buf_append_char(b, '_');
    while (key.len > 0) {
        uint32_t rune;
        size_t n = utf8_decode(key, &rune); /* one '_' for a character, however long */
        buf_append_char(b, n == 1 && is_name_char(key.ptr[0]) ? key.ptr[0] : '_');
        key = str_from(key, n);
    }
}

struct key_cache *key_cache_new(void)
{
    struct key_cache *c = mem_zalloc(sizeof *c);
    buf_init(&c->scratch, BUF_NO_LIMIT);
    return c;
}

void key_cache_free(struct key_cache *c)
{
    if (c == NULL)
        return;
    buf_deinit(&c->scratch);
    mem_free(c);
}

uint32_t label_name_id(struct labels_builder *b, str name)
{
    /* What is wanted has a number already, with and without "_extracted" (pipeline_hints.c). */
    return b->n_required > 0 ? names_find(&b->names, name) : labels_builder_id(b, name);
}

static uint32_t look_up(struct key_cache *c, struct labels_builder *b, str key)
{
    buf_reset(&c->scratch);
    label_key_append(&c->scratch, key, true);
    return label_name_id(b, buf_str(&c->scratch));
}

static bool is_key(const struct key_slot *s, str key)
{
    return s->is_used && s->len == key.len && memcmp(s->key, key.ptr, key.len) == 0;
}

void key_cache_begin_line(struct key_cache *c)
{
    c->nth = 0;
}

uint32_t key_cache_id(struct key_cache *c, struct labels_builder *b, str key)
{
    if (key.len > KEY_CACHE_KEY)
        return look_up(c, b, key);
    /* Lines of a stream tend to have the same keys in the same order: look there first. */
    unsigned nth = c->nth++ % KEY_CACHE_ORDER;
    struct key_slot *s = &c->slots[c->order[nth]];
    if (is_key(s, key))
        return s->id;
    /* The slot of a key is fixed: a newcomer pushes the old one out. */
    c->order[nth] = (uint8_t)(names_hash(key) & (KEY_CACHE_SLOTS - 1));
    s = &c->slots[c->order[nth]];
    if (is_key(s, key))
        return s->id;
    uint32_t id = look_up(c, b, key);
    s->is_used = true;
    s->len = (uint8_t)key.len;
    memcpy(s->key, key.ptr, key.len);
    s->id = id;
    return id;
}

uint32_t label_key_target(struct labels_builder *b, uint32_t id)
{
    if (id == NAME_NONE)
        return NAME_NONE;
    if (labels_builder_is_base(b, id))
        id = labels_builder_suffixed(b, id);
    if (!labels_builder_is_wanted(b, id) || labels_builder_is_extracted(b, id))
        return NAME_NONE;
    return id;
}
