/* links: promtail logql proto runtime base */
/* The positions file.  The first byte says whether a file that is none is ignored, the rest is the
 * file.  What was read and written again is read the same. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "promtail/positions.h"
#include "runtime/log.h"
#include "tests/support/temp_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct positions *a, const struct positions *b)
{
    size_t at = 0;
    str name;
    void *value;
    ASSERT(a->values.len == b->values.len);
    while (strmap_next(&a->values, &at, &name, &value)) {
        str other = positions_get(b, name);
        ASSERT(other.ptr != NULL && str_eq_c(other, value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[TEMP_DIR_MAX], path[2 * TEMP_DIR_MAX];
    if (size == 0)
        return 0;
    log_set_level(LOG_ERROR + 1);
    ASSERT(temp_dir_make(dir));
    snprintf(path, sizeof path, "%s/positions.yaml", dir);
    FILE *f = fopen(path, "wb");
    ASSERT(f != NULL && fwrite(data + 1, 1, size - 1, f) == size - 1);
    fclose(f);
    struct positions_config config = {.filename = path, .ignore_invalid_yaml = data[0] & 1};
    struct positions p, again;
    struct error err = {0};
    int64_t offset;
    int rc = positions_load(&p, &config, &err);
    ASSERT(rc == 0 || err.text[0] != '\0');
    ASSERT(rc == 0 || !config.ignore_invalid_yaml);
    if (rc == 0) {
        positions_get_offset(&p, STR("/var/log/a"), &offset);
        positions_set_offset(&p, STR("/b: #c\n"), 7);
        ASSERT(positions_save(&p, &err) == 0);
        ASSERT(positions_load(&again, &config, &err) == 0);
        ASSERT(again.is_ours);
        check_same(&p, &again);
        positions_deinit(&again);
    }
    positions_deinit(&p);
    ASSERT(temp_dir_remove(dir));
    return 0;
}
