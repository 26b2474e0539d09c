/* logql/grammar.y - the grammar of LogQL (bison, LALR(1)).
 *
 * Error texts list what the parser could have read next, which is a property of its states: users
 * of Loki know "unexpected $end, expecting } or ,", so the states here must list the same tokens.
 * Three things carry that, and a rule must not be rewritten without checking the texts:
 * - the order of the %token lines is the order in which expectations are listed;
 * - at most four are listed, with more none is;
 * - the rules with `error` keep their states from reducing before the error is seen. */
%code requires {
#include "logql/builder.h"
}

%code {
#include <stdio.h>

#include "logql/grammar_io.h"
#include "logql/parser.h"

/* parentheses may be nested as deep as there is text */
#define YYMAXDEPTH (LOGQL_QUERY_BYTES_MAX + 1)

/* Ends the parse; the builder has put the reason into p->fatal. */
#define MUST(ok)                                                                                   \
    do {                                                                                           \
        if (!(ok))                                                                                 \
            YYABORT;                                                                               \
    } while (0)
}

%define api.pure full
%define api.prefix {logql_yy}
%define api.token.prefix {TOKEN_}
%define api.location.type {struct source_pos}
%define parse.error custom
%locations
%param {struct parse *p}
/* juxtaposed label filters and `or` chains of line filters: shifting is what is meant */
%expect 40

%union {
    struct lexer_value token;
    str text;
    int op;
    double number;
    int64_t duration_ns;
    struct expr *expr;
    struct expr_list *exprs;
    struct log_expr *log;
    struct log_range *range;
    struct unwrap_builder *unwrap;
    struct stage *stage;
    struct stage_list *stages;
    struct line_filter_list *line_filters;
    struct line_match_list *line_matches;
    struct matcher *matcher;
    struct matcher_list *matchers;
    struct label_filter *filter;
    struct extraction extraction;
    struct extraction_list *extractions;
    struct label_format format;
    struct label_format_list *formats;
    struct named_matcher named;
    struct named_matcher_list *nameds;
    struct str_list *names;
    struct grouping grouping;
    struct binary_options *options;
    struct cmp_value value;
    struct parser_flags flags;
    struct span span;
}

%token END 0 "$end"
%token <token> BYTES IDENTIFIER STRING NUMBER FUNCTION_FLAG DURATION RANGE
%token EQ "=" RE "=~" NRE "!~" NOT_PATTERN "!>"
%token OPEN_BRACE "{" CLOSE_BRACE "}" OPEN_BRACKET "[" CLOSE_BRACKET "]" COMMA "," DOT "."
%token PIPE_MATCH "|~" PIPE_EXACT "|=" PIPE_PATTERN "|>" OPEN_PAREN "(" CLOSE_PAREN ")"
%token BY "by" WITHOUT "without" COUNT_OVER_TIME RATE RATE_COUNTER SUM SORT SORT_DESC AVG MAX MIN
%token COUNT STDDEV STDVAR BOTTOMK TOPK APPROX_TOPK BYTES_OVER_TIME BYTES_RATE BOOL "bool"
%token JSON "json" REGEXP "regexp" LOGFMT "logfmt" PIPE "|" LINE_FORMAT "line_format"
%token LABEL_FORMAT "label_format" UNWRAP "unwrap" AVG_OVER_TIME SUM_OVER_TIME MIN_OVER_TIME
%token MAX_OVER_TIME STDVAR_OVER_TIME STDDEV_OVER_TIME QUANTILE_OVER_TIME BYTES_CONV DURATION_CONV
%token DURATION_SECONDS_CONV FIRST_OVER_TIME LAST_OVER_TIME ABSENT_OVER_TIME VECTOR
%token LABEL_REPLACE "label_replace" UNPACK "unpack" OFFSET "offset" PATTERN "pattern" IP "ip"
%token ON "on" IGNORING "ignoring" GROUP_LEFT "group_left" GROUP_RIGHT "group_right"
%token DECOLORIZE "decolorize" DROP "drop" KEEP "keep" VARIANTS "variants" OF "of"

%token OR "or" AND "and" UNLESS "unless" CMP_EQ "==" NEQ "!=" LT "<" LTE "<=" GT ">" GTE ">="
%token ADD "+" SUB "-" MUL "*" DIV "/" MOD "%" POW "^"

/* weakest first */
%left OR
%left AND UNLESS
%left CMP_EQ NEQ LT LTE GT GTE
%left ADD SUB
%left MUL DIV MOD
%right POW

%type <expr> query log metric range_agg vector_agg binary literal label_replace vector variants
%type <exprs> metrics
%type <range> log_range
%type <span> range
%type <duration_ns> offset
%type <unwrap> unwrap
%type <op> conversion range_op vector_op filter_op order_op
%type <matchers> selector matchers
%type <matcher> matcher
%type <stages> pipeline
%type <stage> stage line_parser
%type <line_filters> line_filter line_filters
%type <line_matches> alternatives
%type <extractions> extractions
%type <extraction> extraction
%type <flags> flags
%type <formats> formats
%type <format> format
%type <nameds> named_matchers
%type <named> named_matcher
%type <filter> filter
%type <value> value number
%type <names> names
%type <grouping> grouping
%type <options> modifier bool_modifier on_modifier

%%

root: query                      { p->root = $query; }
    ;

query: log | metric | variants
    ;

log: selector                    { $$ = build_log(p, @$, $selector, NULL); }
    | selector pipeline          { $$ = build_log(p, @$, $selector, $pipeline); }
    | "(" log[inner] ")"         { $$ = $inner; }
    ;

metric: range_agg | vector_agg | binary | literal | label_replace | vector
    | "(" metric[inner] ")"      { $$ = $inner; }
    ;

metrics: metric                  { $$ = build_exprs(p, NULL, $metric); }
    | metrics[l] "," metric      { $$ = build_exprs(p, $l, $metric); }
    ;

variants: VARIANTS "(" metrics ")" OF "(" log_range ")"
        { MUST($$ = build_variants(p, @$, $metrics, $log_range)); }
    ;

/* ---- range aggregations ---- */

/* The range may stand before or behind the pipeline; the optional parts are spelled out because
 * pipelines and unwrap both begin with a pipe. */
log_range: selector range                { $$ = build_range(p, @$, $1, NULL, NULL, $2); }
    | selector range unwrap              { $$ = build_range(p, @$, $1, NULL, $3, $2); }
    | selector range pipeline            { $$ = build_range(p, @$, $1, $3, NULL, $2); }
    | selector range pipeline unwrap     { $$ = build_range(p, @$, $1, $3, $4, $2); }
    | selector unwrap range              { $$ = build_range(p, @$, $1, NULL, $2, $3); }
    | selector pipeline range            { $$ = build_range(p, @$, $1, $2, NULL, $3); }
    | selector pipeline unwrap range     { $$ = build_range(p, @$, $1, $2, $3, $4); }
    | "(" selector ")" range             { $$ = build_range(p, @$, $2, NULL, NULL, $4); }
    | "(" selector ")" range unwrap      { $$ = build_range(p, @$, $2, NULL, $5, $4); }
    | "(" selector unwrap ")" range      { $$ = build_range(p, @$, $2, NULL, $3, $5); }
    | "(" selector pipeline ")" range    { $$ = build_range(p, @$, $2, $3, NULL, $5); }
    | "(" selector pipeline unwrap ")" range { $$ = build_range(p, @$, $2, $3, $4, $6); }
    | "(" log_range[inner] ")"           { $$ = $inner; }
    | log_range[inner] error             { $$ = $inner; }
    ;

range: RANGE                     { $$ = (struct span){.range_ns = $1.duration_ns}; }
    | RANGE offset               { $$ = (struct span){$1.duration_ns, $offset}; }
    ;

offset: OFFSET DURATION          { $$ = $2.duration_ns; }
    ;

unwrap: "|" UNWRAP IDENTIFIER    { $$ = build_unwrap(p, @$, UNWRAP_NUMBER, $3.text); }
    | "|" UNWRAP conversion "(" IDENTIFIER ")"
                                 { $$ = build_unwrap(p, @$, $conversion, $5.text); }
    | unwrap[inner] "|" filter   { $$ = build_unwrap_filter(p, $inner, $filter); }
    ;

conversion: BYTES_CONV           { $$ = UNWRAP_BYTES; }
    | DURATION_CONV              { $$ = UNWRAP_DURATION; }
    | DURATION_SECONDS_CONV      { $$ = UNWRAP_DURATION_SECONDS; }
    ;

range_agg: range_op "(" log_range ")"
        { MUST($$ = build_range_agg(p, @$, $1, NULL, $3, NULL)); }
    | range_op "(" NUMBER "," log_range ")"
        { MUST($$ = build_range_agg(p, @$, $1, &$3.text, $5, NULL)); }
    | range_op "(" log_range ")" grouping
        { MUST($$ = build_range_agg(p, @$, $1, NULL, $3, &$5)); }
    | range_op "(" NUMBER "," log_range ")" grouping
        { MUST($$ = build_range_agg(p, @$, $1, &$3.text, $5, &$7)); }
    ;

range_op: COUNT_OVER_TIME        { $$ = RANGE_COUNT_OVER_TIME; }
    | RATE                       { $$ = RANGE_RATE; }
    | RATE_COUNTER               { $$ = RANGE_RATE_COUNTER; }
    | BYTES_OVER_TIME            { $$ = RANGE_BYTES_OVER_TIME; }
    | BYTES_RATE                 { $$ = RANGE_BYTES_RATE; }
    | AVG_OVER_TIME              { $$ = RANGE_AVG_OVER_TIME; }
    | SUM_OVER_TIME              { $$ = RANGE_SUM_OVER_TIME; }
    | MIN_OVER_TIME              { $$ = RANGE_MIN_OVER_TIME; }
    | MAX_OVER_TIME              { $$ = RANGE_MAX_OVER_TIME; }
    | STDVAR_OVER_TIME           { $$ = RANGE_STDVAR_OVER_TIME; }
    | STDDEV_OVER_TIME           { $$ = RANGE_STDDEV_OVER_TIME; }
    | QUANTILE_OVER_TIME         { $$ = RANGE_QUANTILE_OVER_TIME; }
    | FIRST_OVER_TIME            { $$ = RANGE_FIRST_OVER_TIME; }
    | LAST_OVER_TIME             { $$ = RANGE_LAST_OVER_TIME; }
    | ABSENT_OVER_TIME           { $$ = RANGE_ABSENT_OVER_TIME; }
    ;

/* ---- vectors ---- */

vector_agg: vector_op "(" metric ")"
        { MUST($$ = build_vector_agg(p, @$, $1, NULL, $3, NULL)); }
    | vector_op grouping "(" metric ")"
        { MUST($$ = build_vector_agg(p, @$, $1, NULL, $4, &$2)); }
    | vector_op "(" metric ")" grouping
        { MUST($$ = build_vector_agg(p, @$, $1, NULL, $3, &$5)); }
    | vector_op "(" NUMBER "," metric ")"
        { MUST($$ = build_vector_agg(p, @$, $1, &$3.text, $5, NULL)); }
    | vector_op "(" NUMBER "," metric ")" grouping
        { MUST($$ = build_vector_agg(p, @$, $1, &$3.text, $5, &$7)); }
    | vector_op grouping "(" NUMBER "," metric ")"
        { MUST($$ = build_vector_agg(p, @$, $1, &$4.text, $6, &$2)); }
    ;

vector_op: SUM                   { $$ = VECTOR_SUM; }
    | AVG                        { $$ = VECTOR_AVG; }
    | COUNT                      { $$ = VECTOR_COUNT; }
    | MAX                        { $$ = VECTOR_MAX; }
    | MIN                        { $$ = VECTOR_MIN; }
    | STDDEV                     { $$ = VECTOR_STDDEV; }
    | STDVAR                     { $$ = VECTOR_STDVAR; }
    | BOTTOMK                    { $$ = VECTOR_BOTTOMK; }
    | TOPK                       { $$ = VECTOR_TOPK; }
    | SORT                       { $$ = VECTOR_SORT; }
    | SORT_DESC                  { $$ = VECTOR_SORT_DESC; }
    | APPROX_TOPK                { $$ = VECTOR_APPROX_TOPK; }
    ;

grouping: BY "(" names ")"       { $$ = build_grouping(false, $names); }
    | WITHOUT "(" names ")"      { $$ = build_grouping(true, $names); }
    | BY "(" ")"                 { $$ = build_grouping(false, NULL); }
    | WITHOUT "(" ")"            { $$ = build_grouping(true, NULL); }
    ;

names: IDENTIFIER                { $$ = build_names(p, NULL, $1.text); }
    | names[l] "," IDENTIFIER    { $$ = build_names(p, $l, $3.text); }
    ;

literal: number                  { $$ = build_literal(p, @$, $number); }
    ;

number: NUMBER                   { $$ = build_number($1, false, $1.source); }
    | "+" NUMBER                 { $$ = build_number($2, false, build_span(p, @1, $2)); }
    | "-" NUMBER                 { $$ = build_number($2, true, build_span(p, @1, $2)); }
    ;

vector: vector_word "(" NUMBER ")" { $$ = build_vector(p, @$, $3); }
    ;

vector_word: VECTOR
    ;

label_replace: LABEL_REPLACE "(" metric "," STRING "," STRING "," STRING "," STRING ")"
        { MUST($$ = build_label_replace(p, @$, $3, $5.text, $7.text, $9.text, $11.text)); }
    ;

/* ---- binary operations: precedence needs a rule for each ---- */

binary: query OR modifier query  { MUST($$ = build_binary(p, @$, BIN_OR, $1, $3, $4)); }
    | query AND modifier query   { MUST($$ = build_binary(p, @$, BIN_AND, $1, $3, $4)); }
    | query UNLESS modifier query { MUST($$ = build_binary(p, @$, BIN_UNLESS, $1, $3, $4)); }
    | query "+" modifier query   { MUST($$ = build_binary(p, @$, BIN_ADD, $1, $3, $4)); }
    | query "-" modifier query   { MUST($$ = build_binary(p, @$, BIN_SUB, $1, $3, $4)); }
    | query "*" modifier query   { MUST($$ = build_binary(p, @$, BIN_MUL, $1, $3, $4)); }
    | query "/" modifier query   { MUST($$ = build_binary(p, @$, BIN_DIV, $1, $3, $4)); }
    | query "%" modifier query   { MUST($$ = build_binary(p, @$, BIN_MOD, $1, $3, $4)); }
    | query "^" modifier query   { MUST($$ = build_binary(p, @$, BIN_POW, $1, $3, $4)); }
    | query "==" modifier query  { MUST($$ = build_binary(p, @$, BIN_EQ, $1, $3, $4)); }
    | query "!=" modifier query  { MUST($$ = build_binary(p, @$, BIN_NE, $1, $3, $4)); }
    | query ">" modifier query   { MUST($$ = build_binary(p, @$, BIN_GT, $1, $3, $4)); }
    | query ">=" modifier query  { MUST($$ = build_binary(p, @$, BIN_GE, $1, $3, $4)); }
    | query "<" modifier query   { MUST($$ = build_binary(p, @$, BIN_LT, $1, $3, $4)); }
    | query "<=" modifier query  { MUST($$ = build_binary(p, @$, BIN_LE, $1, $3, $4)); }
    ;

modifier: bool_modifier | on_modifier
    | on_modifier GROUP_LEFT             { $$ = build_group($1, CARD_MANY_TO_ONE, NULL); }
    | on_modifier GROUP_LEFT "(" ")"     { $$ = build_group($1, CARD_MANY_TO_ONE, NULL); }
    | on_modifier GROUP_LEFT "(" names ")" { $$ = build_group($1, CARD_MANY_TO_ONE, $names); }
    | on_modifier GROUP_RIGHT            { $$ = build_group($1, CARD_ONE_TO_MANY, NULL); }
    | on_modifier GROUP_RIGHT "(" ")"    { $$ = build_group($1, CARD_ONE_TO_MANY, NULL); }
    | on_modifier GROUP_RIGHT "(" names ")" { $$ = build_group($1, CARD_ONE_TO_MANY, $names); }
    ;

bool_modifier: %empty            { $$ = build_options(p, false); }
    | BOOL                       { $$ = build_options(p, true); }
    ;

on_modifier: bool_modifier ON "(" names ")"  { $$ = build_on($1, true, $names); }
    | bool_modifier ON "(" ")"               { $$ = build_on($1, true, NULL); }
    | bool_modifier IGNORING "(" names ")"   { $$ = build_on($1, false, $names); }
    | bool_modifier IGNORING "(" ")"         { $$ = build_on($1, false, NULL); }
    ;

/* ---- selectors ---- */

selector: "{" matchers "}"       { $$ = $matchers; }
    | "{" matchers error         { $$ = $matchers; }
    | "{" "}"                    { $$ = NULL; }
    ;

matchers: matcher                { $$ = build_matchers(p, NULL, $matcher); }
    | matchers[l] "," matcher    { $$ = build_matchers(p, $l, $matcher); }
    ;

matcher: IDENTIFIER "=" STRING   { MUST($$ = build_matcher(p, $1.text, MATCH_EQ, $3.text)); }
    | IDENTIFIER "!=" STRING     { MUST($$ = build_matcher(p, $1.text, MATCH_NE, $3.text)); }
    | IDENTIFIER "=~" STRING     { MUST($$ = build_matcher(p, $1.text, MATCH_RE, $3.text)); }
    | IDENTIFIER "!~" STRING     { MUST($$ = build_matcher(p, $1.text, MATCH_NRE, $3.text)); }
    ;

/* ---- stages ---- */

pipeline: stage                  { $$ = build_stages(p, NULL, $stage); }
    | pipeline[l] stage          { $$ = build_stages(p, $l, $stage); }
    ;

stage: line_filters              { $$ = build_line_filter_stage(p, @$, $line_filters); }
    | "|" line_parser            { $$ = build_stage_at(@$, $line_parser); }
    | "|" filter                 { $$ = build_filter_stage(p, @$, $filter); }
    | "|" LINE_FORMAT STRING     { $$ = build_text_stage(p, @$, STAGE_LINE_FORMAT, $3.text); }
    | "|" DECOLORIZE             { $$ = build_stage(p, @$, STAGE_DECOLORIZE); }
    | "|" LABEL_FORMAT formats   { $$ = build_format_stage(p, @$, $formats); }
    | "|" DROP named_matchers    { $$ = build_label_stage(p, @$, STAGE_DROP, $3); }
    | "|" KEEP named_matchers    { $$ = build_label_stage(p, @$, STAGE_KEEP, $3); }
    ;

line_filters: line_filter
    | line_filters[l] line_filter { $$ = build_line_filters(p, $l, $line_filter); }
    ;

line_filter: filter_op STRING    { $$ = build_line_filter(p, @$, $1, $2.text, false); }
    | filter_op IP "(" STRING ")" { $$ = build_line_filter(p, @$, $1, $4.text, true); }
    | line_filter[inner] OR alternatives { $$ = build_or(p, @3, $inner, $alternatives); }
    ;

filter_op: "|~"                  { $$ = LINE_RE; }
    | "|="                       { $$ = LINE_EQ; }
    | "|>"                       { $$ = LINE_PATTERN; }
    | "!~"                       { $$ = LINE_NRE; }
    | "!="                       { $$ = LINE_NE; }
    | "!>"                       { $$ = LINE_NOT_PATTERN; }
    ;

alternatives: STRING             { $$ = build_alternative(p, $1.text, false, NULL); }
    | STRING OR alternatives[rest] { $$ = build_alternative(p, $1.text, false, $rest); }
    | IP "(" STRING ")"          { $$ = build_alternative(p, $3.text, true, NULL); }
    ;

line_parser: JSON                { $$ = build_extract_stage(p, STAGE_JSON, NULL, no_flags); }
    | JSON extractions           { $$ = build_extract_stage(p, STAGE_JSON, $2, no_flags); }
    | LOGFMT                     { $$ = build_extract_stage(p, STAGE_LOGFMT, NULL, no_flags); }
    | LOGFMT flags               { $$ = build_extract_stage(p, STAGE_LOGFMT, NULL, $2); }
    | LOGFMT extractions         { $$ = build_extract_stage(p, STAGE_LOGFMT, $2, no_flags); }
    | LOGFMT flags extractions   { $$ = build_extract_stage(p, STAGE_LOGFMT, $3, $2); }
    | REGEXP STRING              { MUST($$ = build_regexp_stage(p, $2.text)); }
    | PATTERN STRING             { MUST($$ = build_pattern_stage(p, $2.text)); }
    | UNPACK                     { $$ = build_stage(p, @$, STAGE_UNPACK); }
    ;

flags: FUNCTION_FLAG             { $$ = build_flag(no_flags, $1.text); }
    | flags[l] FUNCTION_FLAG     { $$ = build_flag($l, $2.text); }
    ;

extractions: extraction          { $$ = build_extractions(p, NULL, $extraction); }
    | extractions[l] "," extraction { $$ = build_extractions(p, $l, $extraction); }
    ;

extraction: IDENTIFIER "=" STRING { $$ = (struct extraction){$1.text, $3.text}; }
    | IDENTIFIER                 { $$ = (struct extraction){$1.text, $1.text}; }
    ;

formats: format                  { $$ = build_formats(p, NULL, $format); }
    | formats[l] "," format      { $$ = build_formats(p, $l, $format); }
    | formats[l] "," error       { $$ = $l; }
    ;

format: IDENTIFIER "=" IDENTIFIER { $$ = (struct label_format){@$, $1.text, $3.text, true}; }
    | IDENTIFIER "=" STRING      { $$ = (struct label_format){@$, $1.text, $3.text, false}; }
    ;

named_matchers: named_matcher    { $$ = build_named_matchers(p, NULL, $named_matcher); }
    | named_matchers[l] "," named_matcher
                                 { $$ = build_named_matchers(p, $l, $named_matcher); }
    ;

named_matcher: IDENTIFIER        { $$ = (struct named_matcher){$1.text, NULL}; }
    | matcher                    { $$ = (struct named_matcher){$1->name, $1}; }
    ;

/* ---- label filters ---- */

filter: matcher                  { $$ = build_filter_matcher(p, @$, $matcher); }
    | IDENTIFIER "=" IP "(" STRING ")"  { $$ = build_filter_ip(p, @$, $1.text, false, $5.text); }
    | IDENTIFIER "!=" IP "(" STRING ")" { $$ = build_filter_ip(p, @$, $1.text, true, $5.text); }
    | IDENTIFIER "=" value       { $$ = build_filter_value(p, @$, $1.text, CMP_EQ, $value); }
    | IDENTIFIER "!=" value      { $$ = build_filter_value(p, @$, $1.text, CMP_NE, $value); }
    | IDENTIFIER order_op value  { $$ = build_filter_value(p, @$, $1.text, $2, $value); }
    | "(" filter[inner] ")"      { $$ = $inner; }
    | filter[l] filter[r]        { MUST($$ = build_filter_pair(p, @$, LABEL_FILTER_AND, $l, $r)); }
    | filter[l] AND filter[r]    { MUST($$ = build_filter_pair(p, @$, LABEL_FILTER_AND, $l, $r)); }
    | filter[l] "," filter[r]    { MUST($$ = build_filter_pair(p, @$, LABEL_FILTER_AND, $l, $r)); }
    | filter[l] OR filter[r]     { MUST($$ = build_filter_pair(p, @$, LABEL_FILTER_OR, $l, $r)); }
    ;

order_op: "=="                   { $$ = CMP_EQ; }
    | ">"                        { $$ = CMP_GT; }
    | ">="                       { $$ = CMP_GE; }
    | "<"                        { $$ = CMP_LT; }
    | "<="                       { $$ = CMP_LE; }
    ;

value: number
    | DURATION                   { $$ = build_duration($1); }
    | BYTES                      { $$ = build_bytes($1); }
    ;

%%

/* Names what stood in the way and, if they are few, what could have stood there. */
static int yyreport_syntax_error(const yypcontext_t *ctx, struct parse *p)
{
    enum { LISTED_MAX = 4 };
    yysymbol_kind_t found[LISTED_MAX + 2], listed[LISTED_MAX + 2];
    char text[256];
    int n = 0;
    int n_found = yypcontext_expected_tokens(ctx, found, ARRAY_LEN(found)); /* 0 if too many */
    for (int i = 0; i < n_found; i++) {
        if (found[i] != YYSYMBOL_YYEOF) { /* the end is never listed */
            listed[n++] = found[i];
        }
    }
    int len = snprintf(text, sizeof text, "syntax error: unexpected %s",
                       yysymbol_name(yypcontext_token(ctx)));
    for (int i = 0; i < n && n <= LISTED_MAX; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%s",
                        i == 0 ? ", expecting " : " or ", yysymbol_name(listed[i]));
    }
    lexer_error(&p->lexer, text);
    return 0;
}
