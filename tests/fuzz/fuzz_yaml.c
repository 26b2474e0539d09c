/* links: base runtime */
/* YAML as configuration files and rules bring it: no text crashes it, and memory is bounded. */
#include "base/mem.h"
#include "runtime/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf out;
    struct yaml_node *root = NULL;
    struct error err = {0};
    str text = str_make((const char *)data, size);
    arena_init(&a, 64u << 20);
    if (yaml_load(text, &a, &root, &err) == 0)
        ASSERT(root != NULL && root->line >= 0);
    else
        ASSERT(err.text[0] != '\0');
    buf_init(&out, 1u << 20);
    error_clear(&err);
    if (config_expand_env(text, &out, &err) != 0)
        ASSERT(err.text[0] != '\0');
    buf_deinit(&out);
    arena_deinit(&a);
    return 0;
}
