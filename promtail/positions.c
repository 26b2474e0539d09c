#include "promtail/positions.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/gofmt.h"
#include "base/goquote.h"
#include "base/hash.h"
#include "base/mem.h"
#include "promtail/source.h"
#include "runtime/log.h"
#include "runtime/yaml.h"

#define COMPONENT            "positions"
#define FILE_BYTES_MAX       (256u << 20)
#define FILE_MODE            0600
#define CHECKSUM_COMMENT     "# promtail of loge: "
#define PATH_BYTES           4096
#define YAML_ARENA_BYTES_MAX (1u << 30)
/* YAML's keys before a bare colon end within 1024 characters; an escape takes four for a byte. */
#define SHORT_KEY_BYTES_MAX 250

void positions_deinit(struct positions *p)
{
    strmap_free_values(&p->values);
}

/* --- reading --- */

/* The last line holds the checksum of the text above. */
static bool is_own_text(str text)
{
    str whole = str_trim(text);
    size_t at = str_rfind_char(whole, '\n') + 1; /* 0 if there is one line */
    str last = str_from(whole, at);
    at += (size_t)(whole.ptr - text.ptr);
    char want[24];
    snprintf(want, sizeof want, "%016llx", (unsigned long long)hash_xxh64(str_sub(text, 0, at), 0));
    return str_has_prefix(last, STR(CHECKSUM_COMMENT)) &&
           str_eq_c(str_from(last, sizeof CHECKSUM_COMMENT - 1), want);
}

static int parse(struct positions *p, str text, struct error *err)
{
    struct arena a;
    struct yaml_node *root = NULL;
    arena_init(&a, YAML_ARENA_BYTES_MAX);
    int rc = yaml_load(text, &a, &root, err);
    if (rc == 0 && root->kind != YAML_MAP && root->kind != YAML_NULL)
        rc = error_set(err, E_PARSE, "yaml: unmarshal errors:\n  line %d: not a map", root->line);
    for (size_t i = 0; rc == 0 && i < root->n; i++) {
        const struct yaml_node *list = root->items[i];
        if (!str_eq(root->keys[i]->text, STR("positions")))
            rc = error_set(err, E_PARSE, "field %.*s not found in type positions.File",
                           STR_ARG(root->keys[i]->text));
        else if (list->kind != YAML_MAP && list->kind != YAML_NULL)
            rc = error_set(err, E_PARSE, "line %d: positions is not a map", list->line);
        for (size_t j = 0; rc == 0 && j < list->n; j++) {
            const struct yaml_node *value = list->items[j];
            if (value->kind == YAML_SCALAR)
                positions_set(p, list->keys[j]->text, value->text);
            else if (value->kind == YAML_NULL) /* no position, but no fault of the file */
                positions_set(p, list->keys[j]->text, STR_EMPTY);
            else
                rc = error_set(err, E_PARSE, "line %d: not a string", value->line);
        }
    }
    arena_deinit(&a);
    return rc;
}

/* What a power cut leaves: nothing, or zeros. */
static bool is_damaged(str text)
{
    return text.len == 0 || memchr(text.ptr, '\0', text.len) != NULL;
}

static void set_aside(const char *path)
{
    char broken[PATH_BYTES];
    snprintf(broken, sizeof broken, "%s.broken", path);
    if (rename(path, broken) != 0)
        broken[0] = '\0';
    log_warn(COMPONENT, "the positions file is damaged and was set aside", LOG_C("file", path),
             LOG_C("kept_as", broken));
}

int positions_load(struct positions *p, const struct positions_config *config, struct error *err)
{
    *p = (struct positions){.config = config};
    strmap_init(&p->values);
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    struct error why = {0};
    int rc = file_read(config->filename, &text, &why);
    if (rc == E_NOT_FOUND) {
        rc = 0;
        goto out;
    }
    struct stat st;
    if (rc != 0) {
        bool is_dir = stat(config->filename, &st) == 0 && S_ISDIR(st.st_mode);
        error_set(err, rc, is_dir ? "read %s: is a directory" : "%s: %s", config->filename,
                  why.text);
        goto out;
    }
    if (is_damaged(buf_str(&text))) {
        if (text.len > 0)
            set_aside(config->filename);
        p->is_ours = true; /* the journal knows better */
        goto out;
    }
    p->is_ours = is_own_text(buf_str(&text));
    rc = parse(p, buf_str(&text), &why);
    if (rc != 0 && config->ignore_invalid_yaml) {
        set_aside(config->filename);
        strmap_free_values(&p->values);
        strmap_init(&p->values);
        rc = 0;
    } else if (rc != 0) {
        error_set(err, rc, "invalid yaml positions file [%s]: %s", config->filename, why.text);
    }
out:
    buf_deinit(&text);
    p->is_dirty = false;
    return rc;
}

/* --- values --- */

str positions_get(const struct positions *p, str name)
{
    const char *value = strmap_get(&p->values, name);
    return value != NULL ? str_c(value) : (str){NULL, 0};
}

bool positions_get_offset(const struct positions *p, str name, int64_t *ret)
{
    str value = positions_get(p, name);
    return value.ptr != NULL && goparse_int(value, 10, 64, ret) == 0;
}

void positions_set(struct positions *p, str name, str value)
{
    str old = positions_get(p, name);
    if (old.ptr != NULL && str_eq(old, value))
        return;
    mem_free(strmap_put(&p->values, name, str_dup_c(value)));
    p->is_dirty = true;
}

void positions_set_offset(struct positions *p, str name, int64_t offset)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)offset);
    positions_set(p, name, str_make(text, (size_t)n));
}

void positions_remove(struct positions *p, str name)
{
    char *old = strmap_remove(&p->values, name);
    p->is_dirty |= old != NULL;
    mem_free(old);
}

static bool is_cursor(str name)
{
    return str_has_prefix(name, STR("cursor-")) || str_has_prefix(name, STR("journal-"));
}

static bool is_there(str path)
{
    char c[PATH_BYTES];
    snprintf(c, sizeof c, "%.*s", STR_ARG(path));
    return access(c, F_OK) == 0;
}

static void drop_gone(struct positions *p)
{
    VEC(str) gone = {0};
    size_t at = 0;
    str name;
    while (strmap_next(&p->values, &at, &name, NULL))
        if (!is_cursor(name) && !is_there(name))
            VEC_PUSH(&gone, name);
    for (size_t i = 0; i < gone.len; i++)
        positions_remove(p, gone.items[i]);
    VEC_FREE(&gone);
}

void positions_update(struct positions *p, const struct source_registry *sources)
{
    struct strmap lowest; /* two jobs may read one file: the one behind counts */
    strmap_init(&lowest);
    size_t at = 0;
    str name;
    void *item;
    while (strmap_next(&sources->by_key, &at, NULL, &item)) {
        struct source *s = item;
        struct source *other = s->yaml_key ? strmap_get(&lowest, str_c(s->yaml_key)) : NULL;
        if (s->is_left && s->yaml_key != NULL && !is_there(str_c(s->yaml_key)))
            s->is_finished = true; /* its target will not come back to it */
        if (s->yaml_key != NULL &&
            (other == NULL || source_acked(sources, s) < source_acked(sources, other)))
            strmap_put(&lowest, str_c(s->yaml_key), s);
    }
    at = 0;
    while (strmap_next(&lowest, &at, &name, &item))
        positions_set_offset(p, name, source_acked(sources, item));
    strmap_deinit(&lowest);
    drop_gone(p);
}

/* --- writing --- */

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

/* Go's quoted strings are YAML's, but for bytes that are not UTF-8: those go as Go's yaml.v2 writes
 * them. */
static void quote(struct buf *out, str s)
{
    if (str_is_utf8(s)) {
        goquote(out, s);
        return;
    }
    buf_append_c(out, "!!binary \"");
    base64_encode(out, s);
    buf_append_char(out, '"');
}

/* Whether YAML reads the bare text as itself, if nothing in it needs an escape. */
static bool is_plain(str s)
{
    if (s.len == 0 || (s.ptr[0] != '/' && !is_cursor(s)))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool is_end = i + 1 == s.len || s.ptr[i + 1] == ' ' || s.ptr[i + 1] == '#';
        if (s.ptr[i] == '#' || s.ptr[i] == ':' || (s.ptr[i] == ' ' && is_end))
            return false;
    }
    return true;
}

static void put_name(struct buf *out, str s)
{
    size_t at = out->len;
    quote(out, s);
    if (out->len - at == s.len + 2 && is_plain(s)) { /* quotes are all it took */
        out->len = at;
        buf_append_str(out, s);
    }
}

static void format(const struct positions *p, struct buf *out)
{
    VEC(str) names = {0};
    size_t at = 0;
    str name;
    while (strmap_next(&p->values, &at, &name, NULL))
        VEC_PUSH(&names, name);
    if (names.len > 0)
        qsort(names.items, names.len, sizeof *names.items, by_name);
    buf_append_c(out, names.len > 0 ? "positions:\n" : "positions: {}\n");
    for (size_t i = 0; i < names.len; i++) {
        bool is_long = names.items[i].len > SHORT_KEY_BYTES_MAX;
        buf_append_c(out, is_long ? "  ? " : "  ");
        put_name(out, names.items[i]);
        buf_append_c(out, is_long ? "\n  : " : ": ");
        quote(out, positions_get(p, names.items[i]));
        buf_append_char(out, '\n');
    }
    VEC_FREE(&names);
    uint64_t sum = hash_xxh64(buf_str(out), 0);
    buf_printf(out, CHECKSUM_COMMENT "%016llx\n", (unsigned long long)sum);
}

int positions_save_now(struct positions *p, struct error *err)
{
    struct buf out;
    buf_init(&out, FILE_BYTES_MAX);
    format(p, &out);
    int rc = file_write_atomic(p->config->filename, buf_str(&out), FILE_MODE, err);
    buf_deinit(&out);
    p->is_dirty = rc != 0;
    return rc;
}

int positions_save(struct positions *p, struct error *err)
{
    return p->is_dirty ? positions_save_now(p, err) : 0;
}
