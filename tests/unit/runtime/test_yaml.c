#include <criterion/criterion.h>

#include "runtime/yaml.h"

#define ARENA_BYTES_MAX (1u << 20)

static struct arena arena;
static struct error err;

static void set_up(void)
{
    arena_init(&arena, ARENA_BYTES_MAX);
    err = (struct error){0};
}

static void tear_down(void)
{
    arena_deinit(&arena);
}

TestSuite(runtime_yaml, .init = set_up, .fini = tear_down);

/* What yaml.v2 writes for a string that is not UTF-8. */
Test(runtime_yaml, binary_is_decoded_in_keys_and_values)
{
    struct yaml_node *root = NULL;
    str text = STR("!!binary L2NhZuk=: !!binary \"MTIz\"\n/b: !!binary |\n  AP8\n  =\n");
    cr_assert_eq(yaml_load(text, &arena, &root, &err), 0, "%s", err.text);
    cr_assert_eq(root->n, 2);
    cr_expect(str_eq(root->keys[0]->text, STR("/caf\xe9")));
    cr_expect(str_eq(root->items[0]->text, STR("123")));
    cr_expect(str_eq(root->items[1]->text, str_make("\0\xff", 2)));
    int64_t number;
    cr_expect_not(yaml_int(root->items[0], &number), "a text, not a number");
}

Test(runtime_yaml, binary_that_is_not_base64_is_an_error)
{
    struct yaml_node *root = NULL;
    cr_assert_eq(yaml_load(STR("a: 1\nb: !!binary x\n"), &arena, &root, &err), E_PARSE);
    cr_expect_str_eq(err.text, "yaml: line 2: !!binary value contains invalid base64 data");
    cr_expect_eq(err.line, 2);
}
