/* JMESPath text into a tree: top-down operator precedence with go-jmespath's powers. */
#include "base/mem.h"
#include "base/vec.h"
#include "promtail/stages/jmespath_node.h"

#define STOPS_PROJECTION 10 /* tokens that bind weaker end the right side of a projection */

static const unsigned char powers[JMES_BAD + 1] = {
    [JMES_PIPE] = 1,      [JMES_OR] = 2,      [JMES_AND] = 3,  [JMES_EQ] = 5,   [JMES_LT] = 5,
    [JMES_LE] = 5,        [JMES_GT] = 5,      [JMES_GE] = 5,   [JMES_NE] = 5,   [JMES_FLATTEN] = 9,
    [JMES_STAR] = 20,     [JMES_FILTER] = 21, [JMES_DOT] = 40, [JMES_NOT] = 45, [JMES_LBRACE] = 50,
    [JMES_LBRACKET] = 55, [JMES_LPAREN] = 60,
};

struct parse {
    str text;
    struct arena *arena;
    struct jmes_lexeme now, next;
    size_t end; /* where the token behind `next` begins */
    unsigned depth;
    bool failed;
    struct error *err;
};

typedef const struct jmespath *node;

static const struct jmespath identity = {.kind = JMES_N_IDENTITY};

static void advance(struct parse *p)
{
    p->now = p->next;
    p->next = jmes_lex(p->text, p->end, p->arena, &p->end);
}

static node fail(struct parse *p, const char *why)
{
    if (!p->failed)
        error_set(p->err, E_PARSE, "SyntaxError: %s at %zu in %.*s", why, p->now.at,
                  STR_ARG(p->text));
    p->failed = true;
    return &identity;
}

static bool take(struct parse *p, enum jmes_token kind)
{
    if (p->now.kind != kind) {
        fail(p, p->now.kind == JMES_END ? "Incomplete expression" : "Unexpected token");
        return false;
    }
    advance(p);
    return true;
}

static struct jmespath *make(struct parse *p, enum jmes_kind kind, node left, node right)
{
    struct jmespath *n = ARENA_NEW(p->arena, struct jmespath);
    n->kind = kind;
    n->left = left;
    n->right = right;
    n->text = STR_EMPTY;
    return n;
}

static node parse_expression(struct parse *p, unsigned power);
static node parse_projection(struct parse *p, unsigned power);

/* --- brackets and braces --- */

/* The arguments of f(a, b) up to the closing one, which is taken.  go-jmespath does not mind a
 * comma that is missing, nor one too many at the end. */
static void parse_arguments(struct parse *p, struct jmespath *into)
{
    VEC(node) items = {0};
    while (!p->failed && p->now.kind != JMES_RPAREN) {
        VEC_PUSH_ARENA(p->arena, &items, parse_expression(p, 0));
        if (p->now.kind == JMES_COMMA)
            advance(p);
    }
    take(p, JMES_RPAREN);
    into->items = items.items;
    into->n = items.len;
}

static node parse_list(struct parse *p)
{
    struct jmespath *n = make(p, JMES_N_LIST, NULL, NULL);
    VEC(node) items = {0};
    while (!p->failed) {
        VEC_PUSH_ARENA(p->arena, &items, parse_expression(p, 0));
        if (p->now.kind != JMES_COMMA)
            break;
        advance(p);
    }
    take(p, JMES_RBRACKET);
    n->items = items.items;
    n->n = items.len;
    return n;
}

static node parse_hash(struct parse *p)
{
    struct jmespath *n = make(p, JMES_N_HASH, NULL, NULL);
    VEC(node) items = {0};
    VEC(str) keys = {0};
    while (!p->failed) {
        if (p->now.kind != JMES_NAME && p->now.kind != JMES_QUOTED)
            return fail(p, "Expected a key");
        VEC_PUSH_ARENA(p->arena, &keys, p->now.text);
        advance(p);
        take(p, JMES_COLON);
        VEC_PUSH_ARENA(p->arena, &items, parse_expression(p, 0));
        if (p->now.kind == JMES_RBRACE)
            break;
        if (p->now.kind == JMES_COMMA) /* as with arguments */
            advance(p);
    }
    take(p, JMES_RBRACE);
    n->items = items.items;
    n->keys = keys.items;
    n->n = items.len;
    return n;
}

/* Of two numbers in one place the second counts, and a third colon is not minded: so go-jmespath.
 * NULL if malformed; parsing stands where it is then. */
static node parse_slice(struct parse *p)
{
    struct jmespath *n = make(p, JMES_N_SLICE, NULL, NULL);
    for (int part = 0; p->now.kind != JMES_RBRACKET && part < 3; advance(p)) {
        if (p->now.kind == JMES_COLON)
            part++;
        else if (p->now.kind == JMES_NUMBER && str_to_i64(p->now.text, &n->slice.part[part]))
            n->slice.has[part] = true;
        else
            return NULL;
    }
    if (p->now.kind != JMES_RBRACKET)
        return NULL;
    advance(p);
    return n;
}

static node parse_index(struct parse *p)
{
    if (p->now.kind == JMES_COLON || p->next.kind == JMES_COLON)
        return parse_slice(p);
    struct jmespath *n = make(p, JMES_N_INDEX, NULL, NULL);
    if (!str_to_i64(p->now.text, &n->number))
        return NULL;
    advance(p);
    if (p->now.kind != JMES_RBRACKET)
        return NULL;
    advance(p);
    return n;
}

/* [0] or [0:2] behind `left`; a slice is a projection.  NULL if malformed. */
static node parse_subscript(struct parse *p, node left)
{
    node index = parse_index(p);
    if (index == NULL)
        return NULL;
    node whole = make(p, JMES_N_CHAIN, left, index);
    if (index->kind != JMES_N_SLICE)
        return whole;
    return make(p, JMES_N_PROJECT, whole, parse_projection(p, powers[JMES_STAR]));
}

static bool is_subscript(const struct parse *p)
{
    return p->now.kind == JMES_NUMBER || p->now.kind == JMES_COLON;
}

/* Behind [?. */
static node parse_filter(struct parse *p, node left)
{
    node condition = parse_expression(p, 0);
    take(p, JMES_RBRACKET);
    node right = p->now.kind == JMES_FLATTEN ? &identity : parse_projection(p, powers[JMES_FILTER]);
    struct jmespath *n = make(p, JMES_N_PROJECT_FILTER, left, right);
    n->third = condition;
    return n;
}

static node parse_flatten(struct parse *p, node left)
{
    node flat = make(p, JMES_N_FLATTEN, left, NULL);
    return make(p, JMES_N_PROJECT, flat, parse_projection(p, powers[JMES_FLATTEN]));
}

/* --- right sides --- */

static node parse_dotted(struct parse *p, unsigned power)
{
    switch (p->now.kind) {
    case JMES_NAME:
    case JMES_QUOTED:
    case JMES_STAR:
        return parse_expression(p, power);
    case JMES_LBRACKET:
        advance(p);
        return parse_list(p);
    case JMES_LBRACE:
        advance(p);
        return parse_hash(p);
    default:
        return fail(p, "Expected identifier, lbracket, or lbrace");
    }
}

static node parse_projection(struct parse *p, unsigned power)
{
    if (powers[p->now.kind] < STOPS_PROJECTION)
        return &identity;
    if (p->now.kind == JMES_LBRACKET || p->now.kind == JMES_FILTER)
        return parse_expression(p, power);
    if (!take(p, JMES_DOT))
        return &identity;
    return parse_dotted(p, power);
}

static node parse_call(struct parse *p, node name)
{
    struct jmespath *n = make(p, JMES_N_CALL, NULL, NULL);
    if (name->kind != JMES_N_FIELD)
        return fail(p, "Invalid function name");
    n->function = jmes_function_find(name->text);
    parse_arguments(p, n);
    return n;
}

static node parse_comparison(struct parse *p, node left, enum jmes_token token)
{
    struct jmespath *n = make(p, JMES_N_CMP, left, parse_expression(p, powers[token]));
    n->token = token;
    return n;
}

/* --- expressions --- */

static node parse_literal(struct parse *p, const struct jmes_lexeme *l)
{
    struct jmespath *n = make(p, JMES_N_LITERAL, NULL, NULL);
    if (l->kind == JMES_JSON) {
        n->literal = json_tree_read(l->text, p->arena);
        return n->literal != NULL ? n : fail(p, "Malformed literal");
    }
    struct json_tree *t = ARENA_NEW(p->arena, struct json_tree);
    t->type = JSON_VALUE_STRING;
    t->text = l->text;
    n->literal = t;
    return n;
}

static node parse_field(struct parse *p, const struct jmes_lexeme *l)
{
    struct jmespath *n = make(p, JMES_N_FIELD, NULL, NULL);
    n->text = l->text;
    if (l->kind == JMES_QUOTED && p->now.kind == JMES_LPAREN)
        return fail(p, "Can't have quoted identifier as function name");
    return n;
}

static node parse_star(struct parse *p)
{
    node right = p->now.kind == JMES_RBRACKET ? &identity : parse_projection(p, powers[JMES_STAR]);
    return make(p, JMES_N_PROJECT_VALUES, &identity, right);
}

/* [ at the start of an expression.  go-jmespath does not notice a malformed index there, and fails
 * when it gets to it. */
static node parse_bracket(struct parse *p)
{
    static const struct jmespath broken = {.kind = JMES_N_BROKEN};
    if (is_subscript(p)) {
        node subscript = parse_subscript(p, &identity);
        return subscript != NULL ? subscript : &broken;
    }
    if (p->now.kind == JMES_STAR && p->next.kind == JMES_RBRACKET) {
        advance(p);
        advance(p);
        return make(p, JMES_N_PROJECT, &identity, parse_projection(p, powers[JMES_STAR]));
    }
    return parse_list(p);
}

/* An expression by the token `l` it begins with, which is taken. */
static node parse_start(struct parse *p, const struct jmes_lexeme *l)
{
    switch (l->kind) {
    case JMES_JSON:
    case JMES_RAW:
        return parse_literal(p, l);
    case JMES_NAME:
    case JMES_QUOTED:
        return parse_field(p, l);
    case JMES_STAR:
        return parse_star(p);
    case JMES_FILTER:
        return parse_filter(p, &identity);
    case JMES_LBRACE:
        return parse_hash(p);
    case JMES_FLATTEN:
        return parse_flatten(p, &identity);
    case JMES_LBRACKET:
        return parse_bracket(p);
    case JMES_CURRENT:
        return &identity;
    case JMES_EXPREF:
        return make(p, JMES_N_EXPREF, parse_expression(p, powers[JMES_EXPREF]), NULL);
    case JMES_NOT:
        return make(p, JMES_N_NOT, parse_expression(p, powers[JMES_NOT]), NULL);
    case JMES_LPAREN: {
        node inner = parse_expression(p, 0);
        take(p, JMES_RPAREN);
        return inner;
    }
    case JMES_END:
        return fail(p, "Incomplete expression");
    case JMES_BAD:
        return fail(p, "Unknown char, or unclosed delimiter");
    default:
        return fail(p, "Invalid token");
    }
}

/* An expression that goes on with the token `kind`, which is taken. */
static node parse_rest(struct parse *p, node left, enum jmes_token kind)
{
    switch (kind) {
    case JMES_DOT:
        if (p->now.kind != JMES_STAR)
            return make(p, JMES_N_CHAIN, left, parse_dotted(p, powers[JMES_DOT]));
        advance(p);
        return make(p, JMES_N_PROJECT_VALUES, left, parse_projection(p, powers[JMES_DOT]));
    case JMES_PIPE:
        return make(p, JMES_N_CHAIN, left, parse_expression(p, powers[JMES_PIPE]));
    case JMES_OR:
        return make(p, JMES_N_OR, left, parse_expression(p, powers[JMES_OR]));
    case JMES_AND:
        return make(p, JMES_N_AND, left, parse_expression(p, powers[JMES_AND]));
    case JMES_LPAREN:
        return parse_call(p, left);
    case JMES_FILTER:
        return parse_filter(p, left);
    case JMES_FLATTEN:
        return parse_flatten(p, left);
    case JMES_EQ:
    case JMES_NE:
    case JMES_LT:
    case JMES_LE:
    case JMES_GT:
    case JMES_GE:
        return parse_comparison(p, left, kind);
    case JMES_LBRACKET:
        if (is_subscript(p)) {
            node subscript = parse_subscript(p, left);
            return subscript != NULL ? subscript : fail(p, "Malformed index or slice");
        }
        take(p, JMES_STAR);
        take(p, JMES_RBRACKET);
        return make(p, JMES_N_PROJECT, left, parse_projection(p, powers[JMES_STAR]));
    default:
        return fail(p, "Unexpected token");
    }
}

static node parse_expression(struct parse *p, unsigned power)
{
    if (p->depth >= JMESPATH_DEPTH_MAX)
        return fail(p, "Nested too deeply");
    p->depth++;
    struct jmes_lexeme first = p->now;
    advance(p);
    node left = parse_start(p, &first);
    for (unsigned n = 0; !p->failed && power < powers[p->now.kind]; n++) {
        enum jmes_token kind = p->now.kind;
        if (n >= JMESPATH_DEPTH_MAX) { /* the tree grows to the left */
            left = fail(p, "Nested too deeply");
            break;
        }
        advance(p);
        left = parse_rest(p, left, kind);
    }
    p->depth--;
    return left;
}

int jmespath_parse(str text, struct arena *a, const struct jmespath **ret, struct error *err)
{
    struct parse p = {.text = text, .arena = a, .err = err};
    advance(&p);
    advance(&p);
    node root = parse_expression(&p, 0);
    if (!p.failed && p.now.kind != JMES_END)
        fail(&p, p.now.kind == JMES_BAD ? "Unknown char, or unclosed delimiter"
                                        : "Unexpected token at the end of the expression");
    if (p.failed)
        return E_PARSE;
    *ret = root;
    return 0;
}

bool jmespath_is_path(const struct jmespath *e, str *steps, size_t max, size_t *ret_n)
{
    size_t n = 0;
    const struct jmespath *at = e;
    for (; at->kind == JMES_N_CHAIN; at = at->left)
        n++;
    if (at->kind != JMES_N_FIELD || n + 1 > max)
        return false;
    *ret_n = n + 1;
    for (at = e; at->kind == JMES_N_CHAIN; at = at->left) {
        if (at->right->kind != JMES_N_FIELD)
            return false;
        steps[n--] = at->right->text;
    }
    steps[0] = at->text;
    return true;
}
