/* file_sd_configs: groups from YAML and JSON files, read again when they change.
 *
 * A file that cannot be read or does not parse changes nothing; one that is gone takes its groups
 * with it.  Changes are seen at once by watching the folders, and at each refresh_interval. */
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "promtail/discovery/discovery.h"
#include "promtail/targets/file/glob.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/yaml.h"

#define COMPONENT      "file_sd"
#define FILE_BYTES_MAX (64u << 20)
#define CHECK_MS       1000 /* a stat of each file; cheap, and does not depend on inotify */
#define GROUPS_MAX     100000

struct seen_file {
    int64_t mtime_ns, size;
    uint64_t ino;
    size_t n_groups;
    unsigned round;
};

struct file_provider {
    struct provider base;
    const struct file_sd_config *config;
    struct loop_timer *timer;
    struct strmap files; /* path -> struct seen_file */
    unsigned round;
};

static void send_group(struct file_provider *p, str path, size_t index, struct target_group *group)
{
    char source[4200];
    snprintf(source, sizeof source, "%.*s:%zu", STR_ARG(path), index);
    group->source = str_c(source);
    p->base.sink.update(p->base.sink.arg, &p->base, group);
}

/* What the format takes for a text: YAML any plain value, JSON only strings. */
static bool is_text(const struct yaml_node *node, bool is_json)
{
    return node->kind == YAML_SCALAR ? node->is_quoted || !is_json : node->kind == YAML_NULL;
}

static bool read_labels(const struct yaml_node *node, bool is_json, struct arena *a,
                        struct label_list *ret)
{
    if (node == NULL || node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_MAP)
        return false;
    for (size_t i = 0; i < node->n; i++) {
        if (!is_text(node->items[i], is_json))
            return false;
        label_list_set(ret, a, node->keys[i]->text,
                       node->items[i]->kind == YAML_NULL ? STR_EMPTY : node->items[i]->text);
    }
    return true;
}

static bool read_targets(const struct yaml_node *node, bool is_json, struct arena *a,
                         struct target_group *ret)
{
    if (node == NULL || node->kind == YAML_NULL)
        return true;
    if (node->kind != YAML_LIST)
        return false;
    ret->targets = ARENA_ARRAY(a, struct label_list, MAX(node->n, 1));
    for (size_t i = 0; i < node->n; i++) {
        if (node->items[i]->kind != YAML_SCALAR || !is_text(node->items[i], is_json))
            return false;
        label_list_set(&ret->targets[ret->n_targets++], a, STR("__address__"),
                       node->items[i]->text);
    }
    return true;
}

static bool read_group(const struct yaml_node *node, bool is_json, str path, struct arena *a,
                       struct target_group *ret)
{
    *ret = (struct target_group){0};
    if (node->kind != YAML_MAP)
        return false;
    for (size_t i = 0; i < node->n; i++)
        if (!str_eq(node->keys[i]->text, STR("targets")) &&
            !str_eq(node->keys[i]->text, STR("labels")))
            return false;
    if (!read_targets(yaml_get(node, "targets"), is_json, a, ret) ||
        !read_labels(yaml_get(node, "labels"), is_json, a, &ret->labels))
        return false;
    label_list_set(&ret->labels, a, STR("__meta_filepath"), path);
    return true;
}

/* JSON is YAML, but not all YAML is JSON. */
static int check_json(str text, struct error *err)
{
    json_error_t why;
    json_t *root = json_loadb(text.ptr, text.len, 0, &why);
    bool is_good = root != NULL;
    json_decref(root);
    return is_good ? 0 : error_set(err, E_PARSE, "line %d: %s", why.line, why.text);
}

/* All groups of a file, or nothing: E_PARSE. */
static int read_groups(str path, struct arena *a, struct target_group **ret, size_t *ret_n,
                       struct error *err)
{
    struct buf text;
    struct yaml_node *root = NULL;
    bool is_json = str_has_suffix(path, STR(".json")) || str_has_suffix(path, STR(".JSON"));
    buf_init(&text, FILE_BYTES_MAX);
    int rc = file_read(arena_c(a, path), &text, err);
    if (rc == 0 && is_json)
        rc = check_json(buf_str(&text), err);
    if (rc == 0)
        rc = yaml_load(arena_str(a, buf_str(&text)), a, &root, err);
    buf_deinit(&text);
    if (rc != 0)
        return rc;
    if (root->kind == YAML_NULL) {
        *ret_n = 0;
        return 0;
    }
    if (root->kind != YAML_LIST || root->n > GROUPS_MAX)
        return error_set(err, E_PARSE, "not a list of target groups");
    *ret = ARENA_ARRAY(a, struct target_group, MAX(root->n, 1));
    for (size_t i = 0; i < root->n; i++)
        if (!read_group(root->items[i], is_json, path, a, &(*ret)[i]))
            return error_set(err, E_PARSE, "line %d: not a target group", root->items[i]->line);
    *ret_n = root->n;
    return 0;
}

static void drop_groups(struct file_provider *p, str path, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        send_group(p, path, i, &(struct target_group){0});
}

static void load_file(struct file_provider *p, str path, struct seen_file *f)
{
    struct arena a;
    struct target_group *groups = NULL;
    size_t n = 0;
    struct error err = {0};
    arena_init(&a, SIZE_MAX);
    if (read_groups(path, &a, &groups, &n, &err) == 0) {
        for (size_t i = 0; i < n; i++)
            send_group(p, path, i, &groups[i]);
        drop_groups(p, path, n, f->n_groups);
        f->n_groups = n;
    } else {
        log_error(COMPONENT, "error reading file", LOG_S("path", path), LOG_C("err", err.text));
    }
    arena_deinit(&a);
}

static void check_file(struct file_provider *p, str path)
{
    struct stat st;
    char name[4096];
    snprintf(name, sizeof name, "%.*s", STR_ARG(path));
    if (stat(name, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    struct seen_file *f = strmap_get(&p->files, path);
    struct seen_file now = {.mtime_ns =
                                st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
                            .size = st.st_size,
                            .ino = st.st_ino,
                            .round = p->round};
    bool is_new = f == NULL;
    if (is_new) {
        f = mem_zalloc(sizeof *f);
        strmap_put(&p->files, path, f);
    }
    f->round = p->round;
    if (!is_new && f->mtime_ns == now.mtime_ns && f->size == now.size && f->ino == now.ino)
        return;
    f->mtime_ns = now.mtime_ns;
    f->size = now.size;
    f->ino = now.ino;
    load_file(p, path, f);
}

static void drop_missing(struct file_provider *p)
{
    size_t at = 0;
    str path;
    void *item;
    while (strmap_next(&p->files, &at, &path, &item)) {
        struct seen_file *f = item;
        if (f->round != p->round && f->n_groups > 0) {
            drop_groups(p, path, 0, f->n_groups);
            f->n_groups = 0;
            f->mtime_ns = 0;
        }
    }
}

static void check_all(void *arg)
{
    struct file_provider *p = arg;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    struct glob_result found = {.arena = &a};
    for (size_t i = 0; i < p->config->files.n; i++)
        glob_expand(str_c(p->config->files.items[i]), &found);
    p->round++;
    for (size_t i = 0; i < found.paths.len; i++)
        check_file(p, found.paths.items[i]);
    drop_missing(p);
    arena_deinit(&a);
}

static int start(struct loop *l, const void *config, const struct discovery_sink *sink,
                 struct provider **ret, struct error *err)
{
    (void)err;
    struct file_provider *p = mem_zalloc(sizeof *p);
    p->base.ops = &provider_file;
    p->base.sink = *sink;
    p->config = config;
    strmap_init(&p->files);
    p->timer = loop_timer_new(l, check_all, p);
    *ret = &p->base;
    check_all(p);
    loop_timer_start(p->timer, CHECK_MS, CHECK_MS);
    return 0;
}

static void stop(struct provider *base)
{
    struct file_provider *p = (struct file_provider *)base;
    size_t at = 0;
    void *item;
    loop_timer_free(p->timer);
    while (strmap_next(&p->files, &at, NULL, &item))
        mem_free(item);
    strmap_deinit(&p->files);
    mem_free(p);
}

const struct provider_ops provider_file = {.name = "file", .start = start, .stop = stop};
