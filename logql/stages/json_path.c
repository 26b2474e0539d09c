#include "logql/stages/json_path.h"

struct path_walk {
    str text;
    const struct json_path *paths;
    size_t n, n_found;
    bool *is_found;   /* [n] */
    bool *is_in_here; /* [n] the path goes through the array at hand */
    str *trail;       /* [longest path] keys above the place, by level */
    size_t longest;
    int level; /* brackets open; below 0 in nonsense */
    struct arena *arena;
    json_path_found *fn;
    void *arg;
};

/* A string that may be a key: leaves *at on what follows it.  False: the text ends. */
static bool read_key(str text, size_t *at, struct arena *a, str *ret_key)
{
    bool has_escape;
    size_t from = *at + 1, end = json_lax_string_end(text, from, &has_escape);
    if (end == STR_NPOS)
        return false;
    *at = json_lax_token(text, end);
    if (*at == STR_NPOS)
        return false;
    *ret_key = str_sub(text, from, end - 1);
    if (has_escape && text.ptr[*at] == ':') {
        *ret_key = json_lax_unescape(*ret_key, a);
        return ret_key->ptr != NULL;
    }
    return true;
}

struct element_search {
    int64_t index;
    str array;
    size_t from, to; /* the element with its quotes; to 0: not found */
};

static void pick_element(void *arg, size_t index, const struct json_lax_value *v, size_t offset)
{
    struct element_search *s = arg;
    if ((int64_t)index != s->index)
        return;
    s->from = v->kind == LAX_STRING ? offset - 2 : offset;
    s->to = v->end;
}

/* Offset of the value at the end of a path, from `text`; STR_NPOS if it leads nowhere. */
static size_t search(str text, const struct json_path_part *parts, size_t n, struct arena *a)
{
    int level = 0, matched = 0;
    bool is_last_matched = true;
    if (n == 0)
        return 0;
    for (size_t at = 0; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '"') {
            str key;
            if (!read_key(text, &at, a, &key))
                return STR_NPOS;
            if (text.ptr[at] != ':') {
                at--;
                continue;
            }
            if (level < 1 || (size_t)level > n)
                return STR_NPOS;
            is_last_matched = str_eq(key, parts[level - 1].text);
            if (is_last_matched && matched == level - 1 && (size_t)++matched == n)
                return at + 1;
        } else if (c == '{' && is_last_matched) {
            level++;
        } else if (c == '}') {
            if (--level == matched)
                matched--;
        } else if (c == '[' && matched == level && level >= 0 && parts[level].is_index) {
            struct element_search s = {.index = parts[level].index};
            json_lax_array(str_from(text, at), pick_element, &s);
            if (s.to == 0)
                return STR_NPOS;
            str element = str_sub(text, at + s.from, at + s.to);
            size_t sub = search(element, parts + level + 1, n - (size_t)level - 1, a);
            return sub == STR_NPOS ? STR_NPOS : at + s.from + sub;
        } else if (c == '[' || c == '{') {
            size_t end = json_lax_block_end(text, at);
            if (end == STR_NPOS)
                return STR_NPOS;
            at = end - 1;
        } else if (c == ':') {
            return STR_NPOS;
        }
    }
    return STR_NPOS;
}

/* The keys above agree with the path, as far as both go. */
static bool is_on_trail(const struct path_walk *w, const struct json_path *p)
{
    for (size_t i = 0; i < p->n && i < (size_t)w->level; i++)
        if (!str_eq(w->trail[i], p->parts[i].text))
            return false;
    return true;
}

/* A key was read and `at` is its colon: gives the values of the paths that end here.  False: all
 * are found, or the text is nonsense. */
static bool visit_key(struct path_walk *w, size_t at, str key)
{
    if (w->level > (int)w->longest)
        return true;
    if (w->level < 1) {
        w->fn(w->arg, STR_NPOS, NULL, json_lax_bad_json);
        return false;
    }
    w->trail[w->level - 1] = key;
    for (size_t i = 0; i < w->n && w->n_found < w->n; i++) {
        const struct json_path *p = &w->paths[i];
        if (p->n != (size_t)w->level || w->is_found[i] || !is_on_trail(w, p))
            continue;
        w->is_found[i] = true;
        w->n_found++;
        struct json_lax_value v;
        json_lax_error error = json_lax_read(w->text, at + 1, NULL, &v);
        w->fn(w->arg, i, &v, error);
    }
    return w->n_found < w->n;
}

/* An element of the array at hand, whose index some path may name. */
static void visit_element(void *arg, size_t index, const struct json_lax_value *v, size_t offset)
{
    (void)offset;
    struct path_walk *w = arg;
    for (size_t i = 0; i < w->n; i++) {
        const struct json_path *p = &w->paths[i];
        if (!w->is_in_here[i] || p->parts[w->level - 1].index != (int64_t)index)
            continue;
        w->is_found[i] = true;
        w->n_found++;
        size_t at = search(v->text, p->parts + w->level, p->n - (size_t)w->level, w->arena);
        if (at == STR_NPOS)
            continue;
        struct json_lax_value inner = *v;
        json_lax_error error = NULL;
        if (v->kind == LAX_STRING)
            inner.text = str_from(v->text, at);
        else
            error = json_lax_read(v->text, at, NULL, &inner);
        w->fn(w->arg, i, &inner, error);
    }
}

/* `*at` is a '[': goes to where the walk goes on.  False: it does not. */
static bool visit_array(struct path_walk *w, size_t *at)
{
    if (w->level < 0) {
        w->fn(w->arg, STR_NPOS, NULL, json_lax_bad_json);
        return false;
    }
    bool is_any = false;
    for (size_t i = 0; i < w->n; i++) {
        const struct json_path *p = &w->paths[i];
        w->is_in_here[i] = p->n > (size_t)w->level && !w->is_found[i] &&
                           p->parts[w->level].is_index && is_on_trail(w, p);
        is_any |= w->is_in_here[i];
    }
    if (!is_any) {
        size_t end = json_lax_block_end(w->text, *at);
        *at = end - 1;
        return end != STR_NPOS;
    }
    w->level++; /* the ']' takes it back */
    size_t end = json_lax_array(str_from(w->text, *at), visit_element, w);
    *at += end - 1;
    return w->n_found < w->n;
}

static void walk(struct path_walk *w)
{
    for (size_t at = 0; at < w->text.len; at++) {
        switch (w->text.ptr[at]) {
        case '"': {
            str key;
            if (!read_key(w->text, &at, w->arena, &key))
                return;
            if (w->text.ptr[at] != ':')
                at--;
            else if (!visit_key(w, at, key))
                return;
            break;
        }
        case '{':
            w->level++;
            break;
        case '}':
        case ']':
            w->level--;
            break;
        case '[':
            if (!visit_array(w, &at))
                return;
            break;
        }
    }
}

void json_path_find(str text, const struct json_path *paths, size_t n, struct arena *a,
                    json_path_found *fn, void *arg)
{
    struct path_walk w = {.text = text, .paths = paths, .n = n, .arena = a, .fn = fn, .arg = arg};
    for (size_t i = 0; i < n; i++)
        w.longest = paths[i].n > w.longest ? paths[i].n : w.longest;
    w.is_found = ARENA_ARRAY(a, bool, n);
    w.is_in_here = ARENA_ARRAY(a, bool, n);
    w.trail = ARENA_ARRAY(a, str, w.longest);
    walk(&w);
}
