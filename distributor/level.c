#include "distributor/level.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#define LEVEL_AVX2 /* chosen at run time */
#endif

#include "base/gofmt.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "proto/json_scan.h"

enum level {
    LEVEL_TRACE,
    LEVEL_DEBUG,
    LEVEL_INFO,
    LEVEL_WARN,
    LEVEL_ERROR,
    LEVEL_CRITICAL,
    LEVEL_FATAL,
    LEVEL_UNKNOWN,
    LEVEL_COUNT
};

#define LEVEL_ITEM(text)                                                                           \
    {                                                                                              \
        {"detected_level", 14},                                                                    \
        {                                                                                          \
            text, sizeof(text) - 1                                                                 \
        }                                                                                          \
    }
static const struct label level_items[LEVEL_COUNT] = {
    LEVEL_ITEM("trace"), LEVEL_ITEM("debug"),    LEVEL_ITEM("info"),  LEVEL_ITEM("warn"),
    LEVEL_ITEM("error"), LEVEL_ITEM("critical"), LEVEL_ITEM("fatal"), LEVEL_ITEM("unknown"),
};

static str level_name(enum level l)
{
    return level_items[l].value;
}

struct labels level_labels(str level)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++)
        if (level.ptr == level_items[i].value.ptr || str_eq(level, level_items[i].value))
            return (struct labels){&level_items[i], 1};
    return LABELS_EMPTY;
}

/* --- fields --- */

static uint64_t length_bit(size_t n)
{
    return UINT64_C(1) << MIN(n, 63);
}

void level_fields_init(struct level_fields *f, const struct config_strings *names, int json_depth)
{
    f->n = MIN(names->n, (size_t)LEVEL_FIELDS_MAX);
    f->lengths = 0;
    f->json_depth = json_depth;
    for (size_t i = 0; i < f->n; i++) {
        f->names[i] = str_c(names->items[i]);
        f->lengths |= length_bit(f->names[i].len);
    }
}

str level_from_labels(const struct level_fields *f, const struct labels *ls)
{
    for (size_t i = 0; i < f->n && ls->n > 0; i++) {
        str value = labels_get(ls, f->names[i]);
        if (value.ptr != NULL)
            return value;
    }
    return str_make(NULL, 0);
}

/* Severity numbers of OpenTelemetry come in fours: 1-4 trace, 5-8 debug, ... 21-24 fatal. */
static str level_from_severity(str number)
{
    static const enum level of_four[] = {LEVEL_TRACE, LEVEL_DEBUG, LEVEL_INFO,
                                         LEVEL_WARN,  LEVEL_ERROR, LEVEL_FATAL};
    int64_t n;
    if (goparse_int(number, 10, 64, &n) != 0)
        return level_name(LEVEL_INFO);
    if (n == 0 || n > 24)
        return level_name(LEVEL_UNKNOWN);
    return level_name(n < 0 ? LEVEL_TRACE : of_four[(n - 1) / 4]);
}

str level_from_meta(const struct level_fields *f, const struct labels *meta)
{
    str level = level_from_labels(f, meta);
    if (level.ptr != NULL || meta->n == 0)
        return level;
    str number = labels_get(meta, STR("severity_number"));
    return number.len > 0 ? level_from_severity(number) : str_make(NULL, 0);
}

/* --- the value of a field --- */

/* The level that a field's value names, LEVEL_UNKNOWN if none. */
static enum level level_of_value(str v)
{
    static const struct {
        str text;
        enum level level;
    } spellings[] = {
        {{"trc", 3}, LEVEL_TRACE},         {{"dbg", 3}, LEVEL_DEBUG},
        {{"inf", 3}, LEVEL_INFO},          {{"wrn", 3}, LEVEL_WARN},
        {{"err", 3}, LEVEL_ERROR},         {{"info", 4}, LEVEL_INFO},
        {{"warn", 4}, LEVEL_WARN},         {{"error", 5}, LEVEL_ERROR},
        {{"debug", 5}, LEVEL_DEBUG},       {{"trace", 5}, LEVEL_TRACE},
        {{"fatal", 5}, LEVEL_FATAL},       {{"warning", 7}, LEVEL_WARN},
        {{"critical", 8}, LEVEL_CRITICAL},
    };
    if (v.len < 3 || v.len > 8)
        return LEVEL_UNKNOWN;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
        if (spellings[i].text.len == v.len && str_eq_nocase(v, spellings[i].text))
            return spellings[i].level;
    return LEVEL_UNKNOWN;
}

/* --- JSON lines --- */

/* Objects within objects looked into when the setting says "no limit". */
#define JSON_LEVEL_DEPTH_MAX 32

static bool is_field(const struct level_fields *f, str key)
{
    if (!(f->lengths & length_bit(key.len)))
        return false;
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->names[i], key))
            return true;
    return false;
}

/* Looks through the object that comes next; true once a field with a string was found. */
static bool find_in_object(struct json_scan *j, const struct level_fields *f, int depth, str *ret)
{
    str key;
    if (!json_object_begin(j))
        return false;
    while (json_object_next(j, &key)) {
        enum json_kind kind = json_peek(j);
        if (kind == JSON_STRING && is_field(f, key))
            return json_read_raw_string(j, ret, NULL);
        if (kind == JSON_OBJECT && depth > 1) {
            if (find_in_object(j, f, depth - 1, ret))
                return true;
        } else if (!json_skip(j)) {
            return false;
        }
    }
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_json(str line)
{
    size_t from = 0, to = line.len;
    while (from < to && is_space(line.ptr[from]))
        from++;
    while (to > from && is_space(line.ptr[to - 1]))
        to--;
    return to - from >= 2 && line.ptr[from] == '{' && line.ptr[to - 1] == '}';
}

/* --- logfmt lines --- */

/* Index of the field that this key is in any case, f->n if none. */
static size_t field_nocase(const struct level_fields *f, str key)
{
    if (!(f->lengths & length_bit(key.len)))
        return f->n;
    for (size_t i = 0; i < f->n; i++)
        if (f->names[i].len == key.len && str_eq_nocase(f->names[i], key))
            return i;
    return f->n;
}

/* Passes over a quoted value that begins at p; NULL if it never ends. */
static const char *skip_quoted(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

/* The first '=' or '"' at or after p, `end` if none; with `blanks` also the first byte up to ' '.
 */
static inline const char *find_special(const char *p, const char *end, bool blanks)
{
#ifdef __SSE2__
    const __m128i equals = _mm_set1_epi8('='), quote = _mm_set1_epi8('"');
    const __m128i blank = _mm_set1_epi8(blanks ? ' ' : '=');
    for (; p + 16 <= end; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, equals), _mm_cmpeq_epi8(v, quote));
        if (blanks)
            hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, blank), v));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != '=' && *p != '"' && !(blanks && (unsigned char)*p <= ' '))
        p++;
    return p;
}

/* The value behind an '=' at p; *next moves behind it.  False if it is malformed. */
static bool logfmt_value(const char *p, const char *end, str *ret, const char **next)
{
    if (p < end && *p == '"') {
        *next = skip_quoted(p, end);
        if (*next == NULL)
            return false;
        *ret = str_make(p + 1, (size_t)(*next - p) - 2);
        return true;
    }
    *next = find_special(p, end, true);
    *ret = str_make(p, (size_t)(*next - p));
    return *next == end || (unsigned char)**next <= ' ';
}

/* The value of the field that comes first in the settings; what follows a malformed pair is not
 * looked at, as Loki's decoder stops there.  Keys without a value are passed over unseen: only
 * '=' and '"' are looked for. */
static str find_in_logfmt(str line, const struct level_fields *f)
{
    const char *p = line.ptr, *end = line.ptr + line.len;
    str found = {NULL, 0}, value;
    size_t best = f->n;
    while (best > 0) {
        const char *equals = find_special(p, end, false);
        if (equals == end || *equals == '"')
            break;
        const char *key = equals;
        while (key > p && (unsigned char)key[-1] > ' ')
            key--;
        if (key == equals || !logfmt_value(equals + 1, end, &value, &p))
            break;
        size_t i = field_nocase(f, str_make(key, (size_t)(equals - key)));
        if (i < best) {
            best = i;
            found = value;
        }
    }
    return found;
}

/* --- words in the line --- */

/* Rank of the words: the lowest that is in the line counts. */
enum word_rank { WORD_INFO, WORD_ERROR, WORD_WARN, WORD_CRITICAL, WORD_DEBUG, WORD_NONE };

static const enum level level_of_rank[] = {LEVEL_INFO,     LEVEL_ERROR, LEVEL_WARN,
                                           LEVEL_CRITICAL, LEVEL_DEBUG, LEVEL_UNKNOWN};

/* Words are looked for in small and in capital letters, not mixed.  Ascending rank. */
static const struct {
    str text;
    enum word_rank rank;
} words[] = {
    {{"info", 4}, WORD_INFO},          {{"INFO", 4}, WORD_INFO},
    {{"err:", 4}, WORD_ERROR},         {{"ERR:", 4}, WORD_ERROR},
    {{"error", 5}, WORD_ERROR},        {{"ERROR", 5}, WORD_ERROR},
    {{"warn:", 5}, WORD_WARN},         {{"WARN:", 5}, WORD_WARN},
    {{"warning", 7}, WORD_WARN},       {{"WARNING", 7}, WORD_WARN},
    {{"critical:", 9}, WORD_CRITICAL}, {{"CRITICAL:", 9}, WORD_CRITICAL},
    {{"debug:", 6}, WORD_DEBUG},       {{"DEBUG:", 6}, WORD_DEBUG},
};

/* Rank of the word that begins at p, if it is below `below`. */
static enum word_rank word_at(const char *p, const char *end, enum word_rank below)
{
    str rest = str_make(p, (size_t)(end - p));
    for (size_t i = 0; i < ARRAY_LEN(words) && words[i].rank < below; i++)
        if (p[0] == words[i].text.ptr[0] && str_has_prefix(rest, words[i].text))
            return words[i].rank;
    return below;
}

/* First, second and third letters of the words, in this order: in(fo), er(r..), wa(rn), cr(itical),
 * de(bug).  The vector code looks for all three, in any case; few places pass. */
#define WORD_TRIPLES(XX)                                                                           \
    XX('i', 'n', 'f') XX('e', 'r', 'r') XX('w', 'a', 'r') XX('c', 'r', 'i') XX('d', 'e', 'b')

#ifdef __SSE2__
#define STEP 16
/* Bit i is set where one of the words may begin. */
static inline unsigned maybe_words(const char *p)
{
    const __m128i fold = _mm_set1_epi8(0x20);
    __m128i a = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)p), fold);
    __m128i b = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)(p + 1)), fold);
    __m128i c = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)(p + 2)), fold);
    __m128i hit = _mm_setzero_si128();
#define XX(x, y, z)                                                                                \
    hit = _mm_or_si128(hit, _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(x)),                     \
                                          _mm_and_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8(y)),       \
                                                        _mm_cmpeq_epi8(c, _mm_set1_epi8(z)))));
    WORD_TRIPLES(XX)
#undef XX
    return (unsigned)_mm_movemask_epi8(hit);
}
#endif

#ifdef LEVEL_AVX2
#define WIDE_STEP 32
__attribute__((target("avx2"))) static inline unsigned maybe_words_wide(const char *p)
{
    const __m256i fold = _mm256_set1_epi8(0x20);
    __m256i a = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)p), fold);
    __m256i b = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)(p + 1)), fold);
    __m256i c = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)(p + 2)), fold);
    __m256i hit = _mm256_setzero_si256();
#define XX(x, y, z)                                                                                \
    hit = _mm256_or_si256(                                                                         \
        hit, _mm256_and_si256(_mm256_cmpeq_epi8(a, _mm256_set1_epi8(x)),                           \
                              _mm256_and_si256(_mm256_cmpeq_epi8(b, _mm256_set1_epi8(y)),          \
                                               _mm256_cmpeq_epi8(c, _mm256_set1_epi8(z)))));
    WORD_TRIPLES(XX)
#undef XX
    return (unsigned)_mm256_movemask_epi8(hit);
}

/* As far as whole vectors reach; *at moves to the first byte not looked at. */
__attribute__((target("avx2"))) static enum word_rank find_words_wide(const char **at,
                                                                      const char *end)
{
    enum word_rank rank = WORD_NONE;
    const char *p = *at;
    for (; p + WIDE_STEP + 2 <= end && rank != WORD_INFO; p += WIDE_STEP)
        for (unsigned mask = maybe_words_wide(p); mask != 0; mask &= mask - 1)
            rank = word_at(p + __builtin_ctz(mask), end, rank);
    *at = p;
    return rank;
}
#endif

#ifdef __SSE2__
static inline enum word_rank words_in_step(const char *p, const char *end, enum word_rank rank)
{
    for (unsigned mask = maybe_words(p); mask != 0; mask &= mask - 1)
        rank = word_at(p + __builtin_ctz(mask), end, rank);
    return rank;
}
#endif

static enum level find_word(str line)
{
    const char *p = line.ptr, *end = line.ptr + line.len;
    enum word_rank rank = WORD_NONE;
#ifdef LEVEL_AVX2
    if (__builtin_cpu_supports("avx2"))
        rank = find_words_wide(&p, end);
#endif
#ifdef __SSE2__
    for (; p + STEP + 2 <= end && rank != WORD_INFO; p += STEP)
        rank = words_in_step(p, end, rank);
    /* The rest: a last step back from the end, which looks at some bytes twice.  Words are longer
     * than the two bytes that no step begins at. */
    if (line.len >= STEP + 2) {
        if (rank != WORD_INFO)
            rank = words_in_step(end - STEP - 2, end, rank);
        return level_of_rank[rank];
    }
#endif
    for (; p < end && rank != WORD_INFO; p++)
        rank = word_at(p, end, rank);
    return level_of_rank[rank];
}

str level_from_line(const struct level_fields *f, str line)
{
    str value = {NULL, 0};
    if (is_json(line)) {
        struct json_scan j = json_scan_make(line);
        j.is_lax = true;
        int depth =
            f->json_depth <= 0 ? JSON_LEVEL_DEPTH_MAX : MIN(f->json_depth, JSON_LEVEL_DEPTH_MAX);
        find_in_object(&j, f, depth, &value);
    } else {
        value = find_in_logfmt(line, f);
    }
    enum level level = value.ptr == NULL ? LEVEL_UNKNOWN : level_of_value(value);
    return level_name(level != LEVEL_UNKNOWN ? level : find_word(line));
}
