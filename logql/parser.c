#include "logql/parser.h"

#include "logql/builder.h"
#include "logql/check.h"
#include "logql/grammar.h"
#include "logql/grammar_io.h"
#include "logql/visit.h"

int logql_yylex(LOGQL_YYSTYPE *value, struct source_pos *pos, struct parse *p)
{
    value->token = (struct lexer_value){0};
    int token = lexer_next(&p->lexer, &value->token);
    *pos = p->lexer.token;
    return token;
}

void logql_yyerror(const struct source_pos *pos, struct parse *p, const char *message)
{
    (void)pos;
    error_set(&p->fatal, E_LIMIT, "parse error : %s", message);
}

void logql_release(struct expr *root)
{
    if (root == NULL || root->owned == NULL) {
        return;
    }
    for (size_t i = 0; i < root->owned->matchers.len; i++) {
        matcher_deinit(root->owned->matchers.items[i]);
    }
    VEC_FREE(&root->owned->matchers);
    root->owned = NULL;
}

/* Text into a tree that has not been checked. */
static int parse_text(str query, struct arena *a, struct expr **ret, struct error *err)
{
    *ret = NULL;
    if (query.len >= LOGQL_QUERY_BYTES_MAX) {
        return error_set(err, E_LIMIT, "parse error : input size too long (%zu > %d)", query.len,
                         LOGQL_QUERY_BYTES_MAX);
    }
    struct parse p = {.arena = a, .owned = ARENA_NEW(a, struct expr_owned)};
    lexer_init(&p.lexer, a, query, &p.syntax);
    int failed = logql_yyparse(&p);
    const struct error *found = p.fatal.code != 0 ? &p.fatal : &p.syntax;
    if (failed == 0 && found->code == 0) {
        p.root->owned = p.owned;
        *ret = p.root;
        return 0;
    }
    struct expr husk = {.owned = p.owned};
    logql_release(&husk);
    return error_set_at(err, found->code, found->line, found->col, "%s", found->text);
}

static bool count_stage(void *arg, const struct stage *s)
{
    size_t *n = arg;
    *n += s->kind != STAGE_LINE_FILTER;
    return true;
}

static int check_stages(const struct expr *e, struct error *err)
{
    size_t n = 0;
    visit_expr(e, &(struct visitor){.stage = count_stage, .arg = &n});
    return n <= LOGQL_STAGES_MAX
               ? 0
               : error_set(err, E_PARSE, "parse error : query has too many stages (%zu > %d)", n,
                           LOGQL_STAGES_MAX);
}

static int parse_checked(str query, struct arena *a, bool with_matchers, struct expr **ret,
                         struct error *err)
{
    struct expr *e;
    int rc = parse_text(query, a, &e, err);
    if (rc == 0) {
        rc = logql_check(e, with_matchers, err);
    }
    if (rc == 0) {
        rc = check_stages(e, err);
    }
    if (rc != 0) {
        logql_release(e);
        e = NULL;
    }
    *ret = e;
    return rc;
}

int logql_parse(str query, struct arena *a, struct expr **ret, struct error *err)
{
    return parse_checked(query, a, true, ret, err);
}

int logql_parse_unchecked(str query, struct arena *a, struct expr **ret, struct error *err)
{
    return parse_checked(query, a, false, ret, err);
}

int logql_parse_selector(str query, struct arena *a, struct expr **ret, struct error *err)
{
    int rc = parse_checked(query, a, false, ret, err);
    if (rc == 0 && ((*ret)->kind != EXPR_LOG || (*ret)->log.n_stages > 0)) {
        logql_release(*ret);
        *ret = NULL;
        rc = error_set(err, E_PARSE, "only label matchers are supported");
    }
    return rc;
}
