/* Semantic versions: semver, semverCompare.
 *
 * A version is a map with a type name of its own, so that {{ (semver "1.2.3").Major }} works and
 * printing shows the version (print.c). */
#include "base/mem.h"
#include "logql/template/funcs.h"

#define NUMBERS 3

struct version {
    int64_t numbers[NUMBERS];
    int n_numbers; /* as many as were written; wildcards end them */
    str pre, metadata;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier_char(char c)
{
    return is_digit(c) || c == '-' || c == '.' || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Identifiers of letters, digits and '-', with dots between; from the front of *rest. */
static bool take_identifiers(str *rest, str *ret)
{
    size_t n = 0;
    while (n < rest->len && is_identifier_char(rest->ptr[n]))
        n++;
    *ret = str_sub(*rest, 0, n);
    *rest = str_from(*rest, n);
    return n > 0 && ret->ptr[0] != '.' && ret->ptr[n - 1] != '.' && !str_contains(*ret, STR(".."));
}

/* v1.2.3-pre+meta; fewer numbers will do.  In constraints x, X and * stand for any. */
static bool parse_version(str s, bool takes_wildcards, struct version *ret)
{
    *ret = (struct version){.pre = STR_EMPTY, .metadata = STR_EMPTY};
    if (s.len > 0 && s.ptr[0] == 'v')
        s = str_from(s, 1);
    bool is_wild = false;
    for (int i = 0; i < NUMBERS; i++) {
        size_t n = 0;
        if (i > 0 && (s.len == 0 || s.ptr[0] != '.'))
            break;
        s = str_from(s, i > 0);
        while (n < s.len && is_digit(s.ptr[n]))
            n++;
        if (n == 0 && takes_wildcards && s.len > 0 && char_in((unsigned char)s.ptr[0], "xX*")) {
            is_wild = true;
            n = 1;
        } else if (!str_to_i64(str_sub(s, 0, n), &ret->numbers[i])) {
            return false;
        } else if (!is_wild) {
            ret->n_numbers = i + 1;
        }
        s = str_from(s, n);
    }
    if (s.len > 0 && s.ptr[0] == '-') {
        s = str_from(s, 1);
        if (!take_identifiers(&s, &ret->pre))
            return false;
    }
    if (s.len > 0 && s.ptr[0] == '+') {
        s = str_from(s, 1);
        if (!take_identifiers(&s, &ret->metadata))
            return false;
    }
    return s.len == 0;
}

static int compare_identifiers(str a, str b)
{
    int64_t x, y;
    bool a_is_number = str_to_i64(a, &x), b_is_number = str_to_i64(b, &y);
    if (a_is_number && b_is_number)
        return (x > y) - (x < y);
    if (a_is_number != b_is_number)
        return a_is_number ? -1 : 1;
    return str_cmp(a, b);
}

/* A version without a pre-release is above the same with one. */
static int compare_pre(str a, str b)
{
    if (a.len == 0 || b.len == 0)
        return (a.len == 0) - (b.len == 0);
    while (a.ptr != NULL && b.ptr != NULL) {
        int c = compare_identifiers(str_split(&a, '.'), str_split(&b, '.'));
        if (c != 0)
            return c;
    }
    return (a.ptr != NULL) - (b.ptr != NULL);
}

static int compare(const struct version *a, const struct version *b)
{
    for (int i = 0; i < NUMBERS; i++)
        if (a->numbers[i] != b->numbers[i])
            return a->numbers[i] > b->numbers[i] ? 1 : -1;
    return compare_pre(a->pre, b->pre);
}

static bool put(struct template_call *c, struct tmap *m, str key, struct tval v)
{
    return tmap_put(m, c->arena, key, v);
}

static int f_semver(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct version v;
    struct buf b;
    struct tval text;
    if (!parse_version(args[0].s, false, &v))
        return template_call_fail(c, "Invalid Semantic Version");
    template_call_buf(c, &b);
    buf_printf(&b, "%lld.%lld.%lld", (long long)v.numbers[0], (long long)v.numbers[1],
               (long long)v.numbers[2]);
    if (v.pre.len > 0)
        buf_printf(&b, "-%.*s", STR_ARG(v.pre));
    if (v.metadata.len > 0)
        buf_printf(&b, "+%.*s", STR_ARG(v.metadata));
    int rc = template_call_take(c, &b, &text);
    if (rc != 0)
        return rc;
    struct tmap *m = tmap_new(c->arena, TMAP_VERSION);
    if (m == NULL || !put(c, m, STR("Major"), tval_int64(v.numbers[0])) ||
        !put(c, m, STR("Minor"), tval_int64(v.numbers[1])) ||
        !put(c, m, STR("Patch"), tval_int64(v.numbers[2])) ||
        !put(c, m, STR("Prerelease"), tval_str(v.pre)) ||
        !put(c, m, STR("Metadata"), tval_str(v.metadata)) || !put(c, m, STR("Original"), args[0]) ||
        !put(c, m, STR("String"), text))
        return template_call_fail(c, "out of memory");
    *ret = (struct tval){.type = TVAL_MAP, .map = m};
    return 0;
}

/* --- constraints: ">= 1.2, < 2 || ^3.1" --- */

static str take_operator(str *s)
{
    static const char *const operators[] = {"=>", ">=", "=<", "<=", "!=", "~>",
                                            "=",  ">",  "<",  "~",  "^"};
    *s = str_trim(*s);
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (str_has_prefix(*s, str_c(operators[i]))) {
            *s = str_trim(str_from(*s, strlen(operators[i])));
            return str_c(operators[i]);
        }
    return STR_EMPTY;
}

/* Equal in the numbers that were written. */
static bool has_prefix_of(const struct version *v, const struct version *want, int n)
{
    for (int i = 0; i < n; i++)
        if (v->numbers[i] != want->numbers[i])
            return false;
    return true;
}

/* ^1.2.3: below the next change of the first number that is not 0. */
static bool is_caret(const struct version *v, const struct version *want)
{
    int n = 0;
    while (n + 1 < want->n_numbers && want->numbers[n] == 0)
        n++;
    return compare(v, want) >= 0 && has_prefix_of(v, want, MIN(n + 1, want->n_numbers));
}

static bool meets_operator(const struct version *v, str op, const struct version *want)
{
    int c = compare(v, want), n = want->n_numbers;
    bool is_like = n < NUMBERS ? has_prefix_of(v, want, n) : c == 0;
    if (op.len == 0 || str_eq(op, STR("=")))
        return is_like;
    if (str_eq(op, STR("!=")))
        return !is_like;
    if (str_eq(op, STR(">")))
        return c > 0 && !(n < NUMBERS && is_like);
    if (str_eq(op, STR("<")))
        return c < 0;
    if (op.ptr[0] == '~')
        return c >= 0 && has_prefix_of(v, want, MIN(n, 2));
    if (op.ptr[0] == '^')
        return is_caret(v, want);
    return op.ptr[0] == '>' || op.ptr[1] == '>' ? c >= 0 : c < 0 || is_like;
}

/* One part of a constraint, its operator in `op` or before it.  Versions with a pre-release meet
 * only constraints that have one. */
static bool meets_one(const struct version *v, str op, str text, bool *ret_is_valid)
{
    struct version want;
    if (op.len == 0)
        op = take_operator(&text);
    if (!parse_version(text, true, &want)) {
        *ret_is_valid = false;
        return false;
    }
    return (v->pre.len == 0 || want.pre.len > 0) && meets_operator(v, op, &want);
}

/* The next part, at commas and at blanks that do not stand behind an operator. */
static str next_part(str *rest)
{
    size_t n = 0;
    *rest = str_trim_chars(*rest, STR(" ,"));
    while (n < rest->len && char_in((unsigned char)rest->ptr[n], "=<>!~^ "))
        n++;
    while (n < rest->len && rest->ptr[n] != ',' && rest->ptr[n] != ' ')
        n++;
    str part = str_sub(*rest, 0, n);
    *rest = str_trim_chars(str_from(*rest, n), STR(" ,"));
    return part;
}

/* 1.2 - 1.4: from the one up to the other.  False if something else comes. */
static bool take_range(str *rest, str *ret_from, str *ret_to)
{
    str after = *rest, from = next_part(&after);
    if (!str_has_prefix(after, STR("- ")) || from.len == 0)
        return false;
    after = str_from(after, 2);
    *ret_from = from;
    *ret_to = next_part(&after);
    *rest = after;
    return true;
}

/* What stands between two ||: all of it must be met. */
static bool meets_all(const struct version *v, str rest, bool *ret_is_valid)
{
    bool are_met = true;
    str from, to;
    while (rest.len > 0) {
        if (take_range(&rest, &from, &to)) {
            are_met = meets_one(v, STR(">="), from, ret_is_valid) && are_met;
            are_met = meets_one(v, STR("<="), to, ret_is_valid) && are_met;
        } else {
            are_met = meets_one(v, STR_EMPTY, next_part(&rest), ret_is_valid) && are_met;
        }
    }
    return are_met;
}

static int f_semver_compare(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct version v;
    bool is_met = false, is_valid = true;
    str rest = args[0].s;
    while (rest.len > 0) {
        size_t end = str_find(rest, STR("||"));
        str all = end == STR_NPOS ? rest : str_sub(rest, 0, end);
        rest = end == STR_NPOS ? STR_EMPTY : str_from(rest, end + 2);
        if (!parse_version(args[1].s, false, &v))
            return template_call_fail(c, "Invalid Semantic Version");
        is_met = meets_all(&v, all, &is_valid) || is_met;
    }
    if (!is_valid || args[0].s.len == 0)
        return template_call_fail(c, "improper constraint: %.*s", STR_ARG(args[0].s));
    *ret = tval_bool(is_met);
    return 0;
}

static const struct template_func funcs[] = {
    {"semver", "s", f_semver},
    {"semverCompare", "ss", f_semver_compare},
};

const struct template_func_table template_funcs_semver = TEMPLATE_TABLE(funcs);
