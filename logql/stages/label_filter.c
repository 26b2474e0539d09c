/* logql/stages/label_filter.c - | level="error" and (size > 10KB or ip = ip("10.0.0.0/8")).
 *
 * A value that cannot be converted sets __error__ and lets the line pass; a label that is absent
 * lets it pass only where it is compared as a string.  Both sides of `and` are always looked at,
 * since either may set __error__. */
#include "base/bytesize.h"
#include "base/duration.h"
#include "base/gofmt.h"
#include "base/gotext.h"
#include "logql/stages/ip.h"
#include "logql/stages/line_filter.h"
#include "logql/stages/regex_shape.h"
#include "logql/stages/stage.h"

/* What a regex said of a value: values of labels come again and again. */
#define KNOWN_VALUES     64 /* a regex and run */
#define KNOWN_VALUE_SIZE 22 /* bytes; longer ones are asked anew */

struct known_value {
    uint8_t len_plus_1; /* 0: free */
    bool is_match;
    char bytes[KNOWN_VALUE_SIZE];
};

/* The tree as an array: what a run knows of a node stands in its local at the same place. */
struct filter_node {
    const struct label_filter *f;
    uint32_t left, right; /* AND, OR */
    str name;
    struct ip_filter ip;      /* IP */
    bool is_ip_malformed;     /* inside and, or: passes nothing */
    struct regex_shape shape; /* MATCHER with a regex */
    struct regex *re;         /* the same, unless the shape says it all */
};

struct filter_stage {
    struct filter_node *nodes;
    uint32_t n; /* the root is node 0 */
};

static uint32_t count_nodes(const struct label_filter *f)
{
    if (f->kind != LABEL_FILTER_AND && f->kind != LABEL_FILTER_OR)
        return 1;
    return 1 + count_nodes(f->pair.left) + count_nodes(f->pair.right);
}

static bool has_regex(const struct filter_node *node)
{
    return node->f->kind == LABEL_FILTER_MATCHER &&
           (node->f->matcher->op == MATCH_RE || node->f->matcher->op == MATCH_NRE);
}

/* Not the matcher's own regex: its dot matches a newline, that of a label filter does not. */
static int compile_regex(struct filter_node *node, struct arena *a, struct error *err)
{
    str re = node->f->matcher->value;
    regex_shape_parse(re, REGEX_SHAPE_LABEL, a, &node->shape);
    if (node->shape.kind != REGEX_SHAPE_NONE)
        return 0;
    return regex_compile(re, REGEX_ANCHORED, &node->re, err);
}

static int add_node(struct filter_stage *st, const struct label_filter *f, struct arena *a,
                    uint32_t *ret, struct error *err)
{
    uint32_t at = st->n++;
    struct filter_node *node = &st->nodes[at];
    int r = 0;
    node->f = f;
    switch (f->kind) {
    case LABEL_FILTER_AND:
    case LABEL_FILTER_OR:
        r = add_node(st, f->pair.left, a, &node->left, err);
        if (r == 0)
            r = add_node(st, f->pair.right, a, &node->right, err);
        break;
    case LABEL_FILTER_MATCHER:
        node->name = f->matcher->name;
        if (has_regex(node))
            r = compile_regex(node, a, err);
        break;
    case LABEL_FILTER_IP:
        node->name = f->ip.name;
        r = ip_filter_parse(f->ip.pattern, &node->ip, at == 0 ? err : NULL);
        if (r != 0 && at != 0) { /* Loki looks only at one that stands alone */
            node->is_ip_malformed = true;
            r = 0;
        }
        break;
    default:
        node->name = f->cmp.name;
    }
    *ret = at;
    return r;
}

static void filter_release(void *stage)
{
    struct filter_stage *st = stage;
    for (uint32_t i = 0; i < st->n; i++)
        regex_free(st->nodes[i].re);
}

/* The tree is at most LOGQL_DEPTH_MAX deep: the parser has seen to it. */
int filter_tree_compile(const struct label_filter *f, struct arena *a, void **ret,
                        struct error *err)
{
    struct filter_stage *st = ARENA_NEW(a, struct filter_stage);
    uint32_t root;
    st->nodes = ARENA_ARRAY(a, struct filter_node, count_nodes(f));
    int r = add_node(st, f, a, &root, err);
    if (r != 0)
        filter_release(st);
    *ret = st;
    return r;
}

str filter_tree_label(const void *stage)
{
    const struct filter_stage *st = stage;
    bool passes_all =
        st->nodes[0].shape.kind == REGEX_SHAPE_ANY && st->nodes[0].f->matcher->op == MATCH_RE;
    return st->n > 1 || passes_all ? STR_EMPTY : st->nodes[0].name;
}

static int filter_compile(const struct stage *s, struct arena *a, void **ret, struct error *err)
{
    return filter_tree_compile(s->filter, a, ret, err);
}

struct node_local {
    uint32_t id;               /* of the node's label */
    struct known_value *known; /* [KNOWN_VALUES] of a node with a regex, else NULL */
};

struct filter_local {
    uint32_t n;
    struct node_local nodes[];
};

static void *filter_local_new(const void *stage, struct labels_builder *b)
{
    const struct filter_stage *st = stage;
    struct filter_local *l = mem_zalloc(sizeof *l + st->n * sizeof *l->nodes);
    l->n = st->n;
    for (uint32_t i = 0; i < st->n; i++) {
        l->nodes[i].id = labels_builder_id(b, st->nodes[i].name);
        if (st->nodes[i].re != NULL)
            l->nodes[i].known = mem_array(KNOWN_VALUES, sizeof *l->nodes[i].known);
    }
    return l;
}

static void filter_local_free(void *local)
{
    struct filter_local *l = local;
    for (uint32_t i = 0; i < l->n; i++)
        mem_free(l->nodes[i].known);
    mem_free(l);
}

static bool order_passes(enum cmp_op op, bool is_less, bool is_equal, bool is_greater)
{
    switch (op) {
    case CMP_EQ:
        return is_equal;
    case CMP_NE:
        return !is_equal;
    case CMP_GT:
        return is_greater;
    case CMP_GE:
        return is_greater || is_equal;
    case CMP_LT:
        return is_less;
    case CMP_LE:
        return is_less || is_equal;
    }
    return false;
}

#define PASSES(op, x, y) order_passes(op, (x) < (y), (x) == (y), (x) > (y))

/* Converts the value; anything but 0 comes with a text in err. */
static int compare(const struct label_filter *f, str value, bool *ret_passes, struct error *err)
{
    int r;
    if (f->kind == LABEL_FILTER_DURATION) {
        int64_t ns = 0;
        r = duration_parse_go(value, &ns, err);
        *ret_passes = PASSES(f->cmp.op, ns, f->cmp.duration_ns);
    } else if (f->kind == LABEL_FILTER_BYTES) {
        uint64_t bytes = 0;
        r = bytesize_parse(value, &bytes, err);
        *ret_passes = PASSES(f->cmp.op, bytes, f->cmp.bytes);
    } else {
        double number = 0;
        r = goparse_float(value, &number);
        if (r != 0)
            goparse_error(err, "ParseFloat", value, r);
        *ret_passes = PASSES(f->cmp.op, number, f->cmp.number);
    }
    return r;
}

static bool compare_label(const struct label_filter *f, uint32_t id, struct stage_line *line)
{
    str value;
    bool passes;
    if (!labels_builder_get(line->labels, id, &value))
        return false;
    struct error err;
    err.code = 0;
    if (compare(f, value, &passes, &err) == 0)
        return passes;
    if (line->labels->error.len == 0) { /* an earlier error says more */
        line->labels->error = ERROR_LABEL_FILTER;
        line->labels->error_details = arena_str(line->arena, str_c(err.text));
    }
    return true;
}

/* What the regex says of a value, if need be by asking it. */
static bool match_regex(const struct filter_node *node, struct known_value *known, str value)
{
    if (value.len > KNOWN_VALUE_SIZE)
        return gotext_is_match(node->re, value);
    struct known_value *k = &known[names_hash(value) % KNOWN_VALUES];
    if (k->len_plus_1 == value.len + 1 && str_eq(str_make(k->bytes, value.len), value))
        return k->is_match;
    k->is_match = gotext_is_match(node->re, value);
    k->len_plus_1 = (uint8_t)(value.len + 1);
    if (value.len > 0)
        memcpy(k->bytes, value.ptr, value.len);
    return k->is_match;
}

static bool match_label(const struct filter_node *node, const struct node_local *l,
                        struct stage_line *line)
{
    const struct labels_builder *b = line->labels;
    const struct matcher *m = node->f->matcher;
    str value;
    if (l->id == b->id_error)
        value = b->error;
    else if (!labels_builder_get(b, l->id, &value))
        value = STR_EMPTY;
    if (!has_regex(node))
        return matcher_is_match(m, value);
    bool is_match = node->re != NULL ? match_regex(node, l->known, value)
                                     : regex_shape_is_match(&node->shape, value);
    return is_match == (m->op == MATCH_RE);
}

static bool match_ip(const struct filter_node *node, uint32_t id, struct stage_line *line)
{
    str value;
    if (line->labels->error.len > 0)
        return true;
    if (node->is_ip_malformed || !labels_builder_get(line->labels, id, &value))
        return false;
    return ip_filter_is_in(&node->ip, value) != node->f->ip.is_negated;
}

static bool passes_node(const struct filter_stage *st, const struct filter_local *l, uint32_t at,
                        struct stage_line *line)
{
    const struct filter_node *node = &st->nodes[at];
    uint32_t id = l->nodes[at].id;
    bool left;
    switch (node->f->kind) {
    case LABEL_FILTER_AND:
        left = passes_node(st, l, node->left, line);
        return passes_node(st, l, node->right, line) && left;
    case LABEL_FILTER_OR:
        return passes_node(st, l, node->left, line) || passes_node(st, l, node->right, line);
    case LABEL_FILTER_MATCHER:
        return match_label(node, &l->nodes[at], line);
    case LABEL_FILTER_IP:
        return match_ip(node, id, line);
    default:
        return compare_label(node->f, id, line);
    }
}

static bool filter_run(const void *stage, void *local, struct stage_line *line)
{
    return passes_node(stage, local, 0, line);
}

static void filter_reads(const void *stage, struct str_list *into)
{
    const struct filter_stage *st = stage;
    for (uint32_t i = 0; i < st->n; i++) {
        /* A regex that every value fits is taken away before anybody asks what it reads. */
        if (st->nodes[i].shape.kind != REGEX_SHAPE_ANY || st->nodes[i].f->matcher->op == MATCH_NRE)
            str_list_add(into, st->nodes[i].name);
    }
}

const struct stage_ops stage_label_filter = {
    .name = "label filter",
    .compile = filter_compile,
    .release = filter_release,
    .local_new = filter_local_new,
    .local_free = filter_local_free,
    .run = filter_run,
    .reads = filter_reads,
};
