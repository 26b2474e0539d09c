/* A database made by hand: 0.0.0.0/1 is in Paris, nothing else is known. */
#include "tests/unit/promtail/pipe.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cursor.h"

enum { MMDB_STRING = 2, MMDB_DOUBLE = 3, MMDB_UINT16 = 5, MMDB_UINT32 = 6, MMDB_MAP = 7 };
enum { MMDB_UINT64 = 9, MMDB_ARRAY = 11 };

/* Sizes from 29 on have a byte of their own. */
static void put_control(struct buf *b, int type, size_t size)
{
    size_t short_size = MIN(size, (size_t)29);
    buf_put_u8(b, (uint8_t)((type > MMDB_MAP ? 0 : type << 5) | (int)short_size));
    if (type > MMDB_MAP)
        buf_put_u8(b, (uint8_t)(type - MMDB_MAP));
    if (size >= 29)
        buf_put_u8(b, (uint8_t)(size - 29));
}

static void put_text(struct buf *b, const char *s)
{
    put_control(b, MMDB_STRING, strlen(s));
    buf_append_c(b, s);
}

static void put_number(struct buf *b, const char *key, int type, size_t size, uint64_t v)
{
    put_text(b, key);
    put_control(b, type, size);
    for (size_t i = size; i-- > 0;)
        buf_put_u8(b, (uint8_t)(v >> (8 * i)));
}

static void put_double(struct buf *b, const char *key, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_text(b, key);
    put_control(b, MMDB_DOUBLE, 8);
    buf_put_u64_be(b, bits);
}

/* key: {names: {en: name}, code_key: code} */
static void put_place(struct buf *b, const char *key, const char *name, const char *code_key,
                      const char *code)
{
    if (key != NULL)
        put_text(b, key);
    put_control(b, MMDB_MAP, 2);
    put_text(b, "names");
    put_control(b, MMDB_MAP, 1);
    put_text(b, "en");
    put_text(b, name);
    put_text(b, code_key);
    put_text(b, code);
}

static void put_data(struct buf *b)
{
    put_control(b, MMDB_MAP, 8);
    put_place(b, "city", "Paris", "x", "");
    put_place(b, "country", "France", "iso_code", "FR");
    put_place(b, "continent", "Europe", "code", "EU");
    put_text(b, "location");
    put_control(b, MMDB_MAP, 3);
    put_double(b, "latitude", 48.8566);
    put_double(b, "longitude", -2.5);
    put_text(b, "time_zone");
    put_text(b, "Europe/Paris");
    put_text(b, "postal");
    put_control(b, MMDB_MAP, 1);
    put_text(b, "code");
    put_text(b, "75001");
    put_text(b, "subdivisions");
    put_control(b, MMDB_ARRAY, 2);
    put_place(b, NULL, "Wide", "iso_code", "W");
    put_place(b, NULL, "Narrow", "iso_code", "N");
    put_number(b, "autonomous_system_number", MMDB_UINT32, 4, 64500);
    put_text(b, "autonomous_system_organization");
    put_control(b, MMDB_STRING, 3);
    buf_append_c(b, "Org");
}

static void put_metadata(struct buf *b)
{
    buf_append_c(b, "\xab\xcd\xefMaxMind.com");
    put_control(b, MMDB_MAP, 9);
    put_number(b, "node_count", MMDB_UINT32, 4, 1);
    put_number(b, "record_size", MMDB_UINT16, 2, 24);
    put_number(b, "ip_version", MMDB_UINT16, 2, 4);
    put_text(b, "database_type");
    put_text(b, "GeoLite2-City");
    put_text(b, "languages");
    put_control(b, MMDB_ARRAY, 1);
    put_text(b, "en");
    put_number(b, "binary_format_major_version", MMDB_UINT16, 2, 2);
    put_number(b, "binary_format_minor_version", MMDB_UINT16, 1, 0);
    put_number(b, "build_epoch", MMDB_UINT64, 8, 1700000000);
    put_text(b, "description");
    put_control(b, MMDB_MAP, 1);
    put_text(b, "en");
    put_text(b, "made by hand");
}

static void write_db(char path[32])
{
    /* One node: below 128.0.0.0 the data at 0, above nothing. */
    static const unsigned char tree[6 + 16] = {0, 0, 1 + 16, 0, 0, 1};
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_append(&b, tree, sizeof tree);
    put_data(&b);
    put_metadata(&b);
    snprintf(path, 32, "/tmp/geoip_test_XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, b.ptr, b.len), (ssize_t)b.len);
    close(fd);
    buf_deinit(&b);
}

static void check(const char *path, const char *type, const char *line, const char *want)
{
    char stages[256];
    struct pipe_case c = {stages, line, want};
    snprintf(stages, sizeof stages,
             "- regex: {expression: '(?P<ip>.*)'}\n- geoip: {db: %s, source: ip, db_type: %s}\n"
             "- labeldrop: [job]",
             path, type);
    pipe_check(&c);
}

Test(promtail_stage_geoip, sets_labels_of_known_addresses)
{
    char path[32];
    write_db(path);
    check(path, "city", "10.1.2.3",
          "{geoip_city_name=\"Paris\",geoip_continent_code=\"EU\",geoip_continent_name=\"Europe\","
          "geoip_country_name=\"France\",geoip_location_latitude=\"48.8566\","
          "geoip_location_longitude=\"-2.5\",geoip_postal_code=\"75001\","
          "geoip_subdivision_code=\"N\",geoip_subdivision_name=\"Narrow\","
          "geoip_timezone=\"Europe/Paris\"} 10.1.2.3\n");
    check(path, "country", "10.1.2.3",
          "{geoip_continent_code=\"EU\",geoip_continent_name=\"Europe\",geoip_country_code=\"FR\","
          "geoip_country_name=\"France\"} 10.1.2.3\n");
    check(path, "asn", "10.1.2.3",
          "{geoip_autonomous_system_number=\"64500\",geoip_autonomous_system_organization=\"Org\"} "
          "10.1.2.3\n");
    check(path, "city", "200.1.2.3\nnot an address\n::1",
          "{} 200.1.2.3\n{} not an address\n{} ::1\n");
    check(path, "nosuch", "10.1.2.3", "{} 10.1.2.3\n");
    unlink(path);
}

Test(promtail_stage_geoip, refuses_what_is_no_database)
{
    char path[] = "/tmp/geoip_test_XXXXXX", stages[128];
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    snprintf(stages, sizeof stages, "- geoip: {db: %s, source: ip, db_type: city}", path);
    pipe_check_error(stages, "invalid geoip stage config");
    unlink(path);
}
