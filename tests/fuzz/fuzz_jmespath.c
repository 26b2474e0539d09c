/* links: promtail logql runtime proto base */
/* A JMESPath expression, a newline, a document: whatever they are, the search ends, and what it
 * finds prints. */
#include "base/mem.h"
#include "promtail/stages/jmespath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FOUND_BYTES_MAX (1u << 20) /* trees share parts: what prints may be much bigger */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf out;
    struct error err = {0};
    const struct jmespath *e = NULL;
    str document = str_make((const char *)data, size), expression = str_split(&document, '\n');
    arena_init(&a, SIZE_MAX);
    buf_init(&out, FOUND_BYTES_MAX);
    int rc = jmespath_parse(expression, &a, &e, &err);
    ASSERT((rc == 0) == (err.text[0] == '\0'));
    const struct json_tree *tree = document.ptr != NULL ? json_tree_read(document, &a) : NULL;
    if (rc == 0 && tree != NULL) {
        const struct json_tree *found = jmespath_search(e, tree, &a);
        str steps[4];
        size_t n;
        if (found != NULL)
            json_tree_print(found, &out);
        if (jmespath_is_path(e, steps, ARRAY_LEN(steps), &n))
            ASSERT(n >= 1 && n <= ARRAY_LEN(steps));
    }
    buf_deinit(&out);
    arena_deinit(&a);
    return 0;
}
