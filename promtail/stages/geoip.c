/* geoip: where the address in an extracted value is, from a MaxMind database, as labels. */
#include <arpa/inet.h>
#include <errno.h>
#include <maxminddb.h>
#include <string.h>

#include "base/gofmt.h"
#include "base/mem.h"
#include "promtail/stages/all.h"
#include "promtail/stages/input.h"

#define PATH_PARTS_MAX 6
#define ADDRESS_MAX    64

struct geo_field {
    const char *label;
    const char *path[PATH_PARTS_MAX]; /* NULL-terminated */
};

struct geoip_stage {
    struct stage base;
    struct stage_input input;
    MMDB_s db;
    const struct geo_field *fields; /* ended by one without label; NULL: unknown type, no labels */
};

static const struct geo_field city_fields[] = {
    {"geoip_city_name", {"city", "names", "en"}},
    {"geoip_country_name", {"country", "names", "en"}},
    {"geoip_continent_name", {"continent", "names", "en"}},
    {"geoip_continent_code", {"continent", "code"}},
    {"geoip_location_latitude", {"location", "latitude"}},
    {"geoip_location_longitude", {"location", "longitude"}},
    {"geoip_postal_code", {"postal", "code"}},
    {"geoip_timezone", {"location", "time_zone"}},
    {"geoip_subdivision_name", {"subdivisions", "-1", "names", "en"}}, /* the most specific one */
    {"geoip_subdivision_code", {"subdivisions", "-1", "iso_code"}},
    {NULL, {NULL}},
};

static const struct geo_field country_fields[] = {
    {"geoip_country_name", {"country", "names", "en"}},
    {"geoip_country_code", {"country", "iso_code"}},
    {"geoip_continent_name", {"continent", "names", "en"}},
    {"geoip_continent_code", {"continent", "code"}},
    {NULL, {NULL}},
};

static const struct geo_field asn_fields[] = {
    {"geoip_autonomous_system_number", {"autonomous_system_number"}},
    {"geoip_autonomous_system_organization", {"autonomous_system_organization"}},
    {NULL, {NULL}},
};

static const struct geo_field *fields_of(str type)
{
    if (str_eq(type, STR("city")))
        return city_fields;
    if (str_eq(type, STR("country")))
        return country_fields;
    return str_eq(type, STR("asn")) ? asn_fields : NULL;
}

static int open_db(const char *path, MMDB_s *db, struct error *err)
{
    int rc = MMDB_open(path, MMDB_MODE_MMAP, db);
    if (rc == MMDB_SUCCESS)
        return 0;
    if (rc == MMDB_FILE_OPEN_ERROR)
        return error_set(err, E_PARSE, "open %s: %s", path, status_errno_text(errno));
    return error_set(err, E_PARSE, "error opening database: %s", MMDB_strerror(rc));
}

static int compile(struct stage_build *b, const struct yaml_node *config, struct stage **ret,
                   struct error *err)
{
    str db = STR_EMPTY, type = STR_EMPTY;
    struct stage_input input;
    int rc = stage_conf_str(config, "db", &db, NULL, err);
    if (rc == 0)
        rc = stage_input_conf(config, &input, err);
    if (rc == 0)
        rc = stage_conf_str(config, "db_type", &type, NULL, err);
    if (rc == 0 && db.len == 0)
        rc = error_set(err, E_PARSE, "db path cannot be empty");
    if (rc == 0)
        rc = stage_input_check(&input, "source cannot be empty", err);
    if (rc == 0 && type.len == 0)
        rc = error_set(err, E_PARSE, "db type should be either city or asn");
    if (rc != 0)
        return rc;
    struct geoip_stage *s = mem_zalloc(sizeof *s);
    s->input = input;
    s->fields = fields_of(type);
    rc = open_db(arena_c(b->arena, db), &s->db, err);
    if (rc != 0)
        mem_free(s);
    else
        *ret = &s->base;
    return rc;
}

/* A value as Go's fmt.Sprint shows it; false for what is none of the kinds we ask for. */
static bool text_of(const MMDB_entry_data_s *d, struct arena *a, str *ret)
{
    struct buf b;
    switch (d->type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
        *ret = arena_str(a, str_make(d->utf8_string, d->data_size));
        return d->data_size > 0;
    case MMDB_DATA_TYPE_UINT16:
        *ret = arena_printf(a, "%u", d->uint16);
        return d->uint16 != 0;
    case MMDB_DATA_TYPE_UINT32:
        *ret = arena_printf(a, "%u", d->uint32);
        return d->uint32 != 0;
    case MMDB_DATA_TYPE_DOUBLE:
        buf_init(&b, ADDRESS_MAX);
        gofmt_float(&b, d->double_value, 'g', -1);
        *ret = arena_str(a, buf_str(&b));
        buf_deinit(&b);
        return true;
    default:
        return false;
    }
}

static void set_labels(const struct geoip_stage *s, MMDB_entry_s *entry, struct record *r)
{
    for (const struct geo_field *f = s->fields; f->label != NULL; f++) {
        MMDB_entry_data_s data;
        str text;
        if (MMDB_aget_value(entry, &data, f->path) == MMDB_SUCCESS && data.has_data &&
            text_of(&data, r->arena, &text))
            label_list_set(&r->labels, r->arena, str_c(f->label), text);
    }
}

static bool parse_address(str text, struct sockaddr_storage *ret)
{
    char c[ADDRESS_MAX];
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    if (text.len >= sizeof c || memchr(text.ptr, '\0', text.len) != NULL)
        return false;
    memcpy(c, text.ptr, text.len);
    c[text.len] = '\0';
    *ret = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, c, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        return true;
    }
    v6->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, c, &v6->sin6_addr) == 1;
}

static bool process(struct stage *base, struct record *r)
{
    struct geoip_stage *s = (struct geoip_stage *)base;
    struct sockaddr_storage address;
    str text;
    int rc;
    if (s->fields == NULL || !s->input.has_source || !stage_input_text(&s->input, r, &text) ||
        !parse_address(text, &address))
        return true;
    MMDB_lookup_result_s found =
        MMDB_lookup_sockaddr(&s->db, (const struct sockaddr *)&address, &rc);
    if (rc == MMDB_SUCCESS && found.found_entry)
        set_labels(s, &found.entry, r);
    return true;
}

static void free_stage(struct stage *base)
{
    MMDB_close(&((struct geoip_stage *)base)->db);
    mem_free(base);
}

const struct stage_ops stage_ops_geoip = {
    .name = "geoip", .compile = compile, .process = process, .free = free_stage};
