/* links: base */
/* The first line is the layout, the second the value; the rest a TZif file. */
#include "base/gotime.h"
#include "base/rfc3339.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str rest = str_make((const char *)data, size);
    str layout = str_split(&rest, '\n');
    str value = rest.ptr != NULL ? str_split(&rest, '\n') : STR_EMPTY;
    struct tzone *zone = NULL;
    struct gotime t;
    struct buf b;
    struct error err = {0};
    int64_t ns;
    if (rest.ptr != NULL && rest.len > 0)
        tzone_parse(STR("fuzz"), rest, &zone, NULL);
    buf_init(&b, 1 << 16);
    if (gotime_parse(layout, value, zone, zone, &t, &err) == 0) {
        gotime_format(&b, layout, &t);
        gotime_append(&b, &t);
    }
    if (rfc3339_parse(value, &ns))
        rfc3339_append(&b, ns);
    buf_deinit(&b);
    tzone_free(zone);
    return 0;
}
