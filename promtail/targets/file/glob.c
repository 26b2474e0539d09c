#include "promtail/targets/file/glob.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"

#define PATH_BYTES 4096

bool glob_has_meta(str pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (memchr("*?[{\\", pattern.ptr[i], 5) != NULL)
            return true;
    return false;
}

/* --- braces --- */

typedef VEC(str) str_vec;

/* The first { with its matching }, at one level; false if there is none. */
static bool find_braces(str s, size_t *ret_open, size_t *ret_close)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '{' && depth++ == 0)
            *ret_open = i;
        else if (s.ptr[i] == '}' && depth > 0 && --depth == 0) {
            *ret_close = i;
            return true;
        }
    }
    return false;
}

/* Replaces the first braces of each pattern by their alternatives until none are left. */
static void expand_braces(str pattern, struct arena *a, str_vec *out)
{
    VEC_PUSH_ARENA(a, out, pattern);
    for (size_t i = 0; i < out->len;) {
        str s = out->items[i];
        size_t open = 0, close = 0;
        if (!find_braces(s, &open, &close) || out->len > GLOB_ALTERNATIVES_MAX) {
            i++;
            continue;
        }
        size_t from = open + 1, depth = 0;
        bool is_first = true;
        for (size_t at = open + 1; at <= close; at++) {
            char c = s.ptr[at];
            if (c == '\\') {
                at++;
            } else if (c == '{') {
                depth++;
            } else if ((c == ',' && depth == 0) || at == close) {
                str one = arena_printf(a, "%.*s%.*s%.*s", (int)open, s.ptr, (int)(at - from),
                                       s.ptr + from, STR_ARG(str_from(s, close + 1)));
                if (is_first)
                    out->items[i] = one;
                else
                    VEC_PUSH_ARENA(a, out, one);
                is_first = false;
                from = at + 1;
            } else if (c == '}') {
                depth--;
            }
        }
    }
}

/* --- one component --- */

/* [abc], [a-z], [!a], [^a] at the front of *p against a rune; moves *p behind it. */
static bool match_class(str *p, uint32_t rune)
{
    str s = str_from(*p, 1);
    bool negated = s.len > 0 && (s.ptr[0] == '!' || s.ptr[0] == '^');
    bool hit = false, is_first = true;
    if (negated)
        s = str_from(s, 1);
    while (s.len > 0 && (is_first || s.ptr[0] != ']')) {
        uint32_t lo, hi;
        if (s.ptr[0] == '\\' && s.len > 1)
            s = str_from(s, 1);
        s = str_from(s, utf8_decode(s, &lo));
        hi = lo;
        if (s.len > 1 && s.ptr[0] == '-' && s.ptr[1] != ']') {
            s = str_from(s, 1);
            if (s.ptr[0] == '\\' && s.len > 1)
                s = str_from(s, 1);
            s = str_from(s, utf8_decode(s, &hi));
        }
        hit |= rune >= lo && rune <= hi;
        is_first = false;
    }
    *p = str_from(s, 1);
    return hit != negated;
}

/* One step of the pattern against one rune of the name. */
static bool match_step(str *p, str *name)
{
    uint32_t rune, literal;
    size_t width = utf8_decode(*name, &rune);
    if (width == 0 || p->len == 0)
        return false;
    bool hit;
    if (p->ptr[0] == '?') {
        *p = str_from(*p, 1);
        hit = true;
    } else if (p->ptr[0] == '[') {
        hit = match_class(p, rune);
    } else {
        if (p->ptr[0] == '\\' && p->len > 1)
            *p = str_from(*p, 1);
        size_t n = utf8_decode(*p, &literal);
        hit = n == width && memcmp(p->ptr, name->ptr, n) == 0;
        *p = str_from(*p, n);
    }
    *name = str_from(*name, width);
    return hit;
}

/* The usual walk that goes back to the last star only. */
static bool match_component(str p, str name)
{
    str star_p = {NULL, 0}, star_name = {NULL, 0};
    for (;;) {
        if (p.len > 0 && p.ptr[0] == '*') {
            while (p.len > 0 && p.ptr[0] == '*')
                p = str_from(p, 1);
            star_p = p;
            star_name = name;
            continue;
        }
        if (p.len == 0 && name.len == 0)
            return true;
        if (match_step(&p, &name))
            continue;
        if (star_p.ptr == NULL || star_name.len == 0)
            return false;
        star_name = str_from(star_name, 1);
        p = star_p;
        name = star_name;
    }
}

/* --- whole paths --- */

static bool is_double_star(str component)
{
    return str_eq(component, STR("**"));
}

static str first_component(str path, str *ret_rest)
{
    str rest = path, first = str_split(&rest, '/');
    *ret_rest = rest;
    return first;
}

/* As match_component, with ** as the star and components as the letters. */
static bool match_path(str p, str path)
{
    str star_p = {NULL, 0}, star_path = {NULL, 0}, rest, path_rest;
    for (;;) {
        if (p.ptr != NULL && is_double_star(first_component(p, &rest))) {
            p = star_p = rest;
            star_path = path;
            if (p.ptr == NULL)
                return true; /* a final ** takes all that is left */
            continue;
        }
        if (p.ptr == NULL && path.ptr == NULL)
            return true;
        bool hit = p.ptr != NULL && path.ptr != NULL &&
                   match_component(first_component(p, &rest), first_component(path, &path_rest));
        if (hit) {
            p = rest;
            path = path_rest;
            continue;
        }
        if (star_p.ptr == NULL || star_path.ptr == NULL)
            return false;
        first_component(star_path, &star_path);
        p = star_p;
        path = star_path;
    }
}

bool glob_match(str pattern, str path)
{
    struct arena a;
    str_vec all = {0};
    arena_init(&a, SIZE_MAX);
    expand_braces(pattern, &a, &all);
    bool hit = false;
    for (size_t i = 0; i < all.len && !hit; i++)
        hit = match_path(all.items[i], path);
    arena_deinit(&a);
    return hit;
}

/* Moves *at, on a [, to its ]; false if there is none. */
static bool skip_class(str s, size_t *at)
{
    size_t i = *at + 1;
    if (i < s.len && (s.ptr[i] == '!' || s.ptr[i] == '^'))
        i++;
    for (size_t first = i; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == ']' && i > first) {
            *at = i;
            return true;
        }
    }
    return false;
}

bool glob_is_valid(str pattern)
{
    size_t depth = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];
        if (c == '\\' && ++i == pattern.len)
            return false;
        if (c == '[' && !skip_class(pattern, &i))
            return false;
        if (c == '{')
            depth++;
        else if (c == '}' && depth > 0)
            depth--;
    }
    return depth == 0;
}

bool glob_excludes(str exclude, str path)
{
    return exclude.len > 0 && (!glob_is_valid(exclude) || glob_match(exclude, path));
}

/* --- the file system --- */

/* The folders on the way down, so that links that go round are seen. */
struct on_way {
    dev_t dev;
    ino_t ino;
    const struct on_way *above;
};

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A folder, by a link too, that is not on the way already. */
static bool is_below(const char *path, struct on_way *ret)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return false;
    for (const struct on_way *w = ret->above; w != NULL; w = w->above)
        if (w->dev == st.st_dev && w->ino == st.st_ino)
            return false;
    ret->dev = st.st_dev;
    ret->ino = st.st_ino;
    return true;
}

static void add_path(struct glob_result *ret, str path)
{
    if (ret->paths.len < GLOB_PATHS_MAX)
        VEC_PUSH_ARENA(ret->arena, &ret->paths, arena_str(ret->arena, path));
}

static bool join(char out[PATH_BYTES], str dir, str name)
{
    const char *slash = dir.len == 0 || dir.ptr[dir.len - 1] == '/' ? "" : "/";
    int n = snprintf(out, PATH_BYTES, "%.*s%s%.*s", STR_ARG(dir), slash, STR_ARG(name));
    return n > 0 && n < PATH_BYTES;
}

static void walk(str dir, str pattern, int depth, struct glob_result *ret);

/* What `dir` holds that matches one component; goes on below it with the rest. */
static void walk_wild(str dir, str component, str rest, int depth, const struct on_way *above,
                      struct glob_result *ret)
{
    char name_c[PATH_BYTES];
    snprintf(name_c, sizeof name_c, "%.*s", dir.len > 0 ? (int)dir.len : 1,
             dir.len > 0 ? dir.ptr : ".");
    DIR *d = opendir(name_c);
    if (d == NULL)
        return;
    if (ret->on_dir != NULL)
        ret->on_dir(ret->arg, str_c(name_c));
    bool double_star = is_double_star(component);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        str name = str_c(e->d_name);
        char path[PATH_BYTES];
        if (str_eq(name, STR(".")) || str_eq(name, STR("..")) || !join(path, dir, name))
            continue;
        if (double_star) {
            if (rest.ptr == NULL)
                add_path(ret, str_c(path));
            struct on_way here = {.above = above};
            if (depth < GLOB_DEPTH_MAX && is_below(path, &here))
                walk_wild(str_c(path), component, rest, depth + 1, &here, ret);
        } else if (match_component(component, name)) {
            if (rest.ptr == NULL)
                add_path(ret, str_c(path));
            else if (is_dir(path))
                walk(str_c(path), rest, depth + 1, ret);
        }
    }
    closedir(d);
    if (double_star && rest.ptr != NULL && depth < GLOB_DEPTH_MAX)
        walk(dir, rest, depth + 1, ret);
}

static void walk(str dir, str pattern, int depth, struct glob_result *ret)
{
    str rest, component = first_component(pattern, &rest);
    char path[PATH_BYTES], start[PATH_BYTES];
    if (depth >= GLOB_DEPTH_MAX)
        return;
    snprintf(start, sizeof start, "%.*s", STR_ARG(dir));
    if (glob_has_meta(component)) {
        struct on_way top = {0};
        if (is_below(dir.len > 0 ? start : ".", &top))
            walk_wild(dir, component, rest, depth, &top, ret);
        return;
    }
    if (!join(path, dir, component))
        return;
    if (rest.ptr != NULL) {
        if (is_dir(path))
            walk(str_c(path), rest, depth + 1, ret);
    } else if (access(path, F_OK) == 0) {
        if (ret->on_dir != NULL)
            ret->on_dir(ret->arg, dir);
        add_path(ret, str_c(path));
    } else if (ret->on_dir != NULL) {
        ret->on_dir(ret->arg, dir); /* it may come yet */
    }
}

void glob_expand(str pattern, struct glob_result *ret)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%.*s", STR_ARG(pattern));
    if (n <= 0 || (size_t)n >= sizeof path)
        return;
    if (glob_has_meta(pattern) && access(path, F_OK) == 0) {
        add_path(ret, pattern);
        return;
    }
    if (!glob_is_valid(pattern))
        return;
    str_vec all = {0};
    expand_braces(pattern, ret->arena, &all);
    for (size_t i = 0; i < all.len; i++) {
        str one = all.items[i];
        if (one.len > 0 && one.ptr[0] == '/')
            walk(STR("/"), str_from(one, 1), 0, ret);
        else
            walk(STR_EMPTY, one, 0, ret);
    }
}
