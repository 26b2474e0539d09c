#include "logql/stages/label_key.h"

#include "base/utf8.h"

/* Letters, digits and '_'. */
static const bool name_chars[256] = {
    ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true, ['4'] = true, ['5'] = true,
    ['6'] = true, ['7'] = true, ['8'] = true, ['9'] = true, ['_'] = true, ['A'] = true,
    ['B'] = true, ['C'] = true, ['D'] = true, ['E'] = true, ['F'] = true, ['G'] = true,
    ['H'] = true, ['I'] = true, ['J'] = true, ['K'] = true, ['L'] = true, ['M'] = true,
    ['N'] = true, ['O'] = true, ['P'] = true, ['Q'] = true, ['R'] = true, ['S'] = true,
    ['T'] = true, ['U'] = true, ['V'] = true, ['W'] = true, ['X'] = true, ['Y'] = true,
    ['Z'] = true, ['a'] = true, ['b'] = true, ['c'] = true, ['d'] = true, ['e'] = true,
    ['f'] = true, ['g'] = true, ['h'] = true, ['i'] = true, ['j'] = true, ['k'] = true,
    ['l'] = true, ['m'] = true, ['n'] = true, ['o'] = true, ['p'] = true, ['q'] = true,
    ['r'] = true, ['s'] = true, ['t'] = true, ['u'] = true, ['v'] = true, ['w'] = true,
    ['x'] = true, ['y'] = true, ['z'] = true,
};

static inline bool is_name_char(char c)
{
    return name_chars[(unsigned char)c];
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

void label_key_join(struct buf *prefix, str key)
{
    size_t before = prefix->len;
    if (before > 0)
        buf_append_char(prefix, '_');
    size_t joined = prefix->len;
    label_key_append(prefix, key, before == 0);
    if (prefix->len == joined)
        prefix->len = before;
}

void key_cache_begin_line(struct key_cache *c)
{
    c->nth = 0;
}

/* Fills all of a slot but the key itself. */
static void look_up(struct key_cache *c, struct key_slot *s, struct labels_builder *b,
                    uint32_t parent, str prefix, str key)
{
    buf_reset(&c->scratch);
    buf_append_str(&c->scratch, prefix);
    label_key_join(&c->scratch, key);
    if (++c->serial == 0) { /* all numbers used: whoever holds one may not be mistaken */
        memset(c->slots, 0, sizeof c->slots);
        c->serial = 1;
    }
    s->parent = parent;
    s->serial = c->serial;
    s->id = label_name_id(b, buf_str(&c->scratch));
    s->is_prefix_wanted = labels_builder_is_prefix_wanted(b, buf_str(&c->scratch));
}

static inline bool is_key(const struct key_slot *s, uint32_t parent, str key)
{
    return s->len == key.len && s->parent == parent && s->serial != 0 &&
           memcmp(s->key, key.ptr, key.len) == 0;
}

const struct key_slot *key_cache_find(struct key_cache *c, struct labels_builder *b,
                                      uint32_t parent, str prefix, str key)
{
    if (key.len > KEY_CACHE_KEY) {
        look_up(c, &c->spare, b, parent, prefix, key);
        return &c->spare;
    }
    /* Lines of a stream tend to have the same keys in the same order: look there first. */
    unsigned nth = c->nth++ % KEY_CACHE_ORDER;
    struct key_slot *s = &c->slots[c->order[nth]];
    if (is_key(s, parent, key))
        return s;
    /* The slot of a key is fixed: a newcomer pushes the old one out. */
    c->order[nth] = (uint8_t)((names_hash(key) + parent) & (KEY_CACHE_SLOTS - 1));
    s = &c->slots[c->order[nth]];
    if (is_key(s, parent, key))
        return s;
    look_up(c, s, b, parent, prefix, key);
    s->len = (uint8_t)key.len;
    memcpy(s->key, key.ptr, key.len);
    return s;
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
