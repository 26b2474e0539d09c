// base/regex_re2.cc - the only C++ file: RE2 behind base/regex.h.
extern "C" {
#include "base/mem.h"
#include "base/regex.h"
}

#include <map>
#include <new>
#include <re2/re2.h>
#include <string>
#include <vector>

// A regex bigger than this (bytes of program, RE2's max_mem) is refused, so that a hostile pattern
// costs bounded memory.  RE2's default is 8 MiB.
static const int64_t regex_max_mem = 32 << 20;

struct regex {
    RE2 re;
    std::string pattern;
    std::vector<std::string> names;
    bool anchored;

    regex(const std::string &text, const std::string &as_given, const RE2::Options &options,
          bool whole)
        : re(text, options), pattern(as_given), anchored(whole)
    {
    }
};

static re2::StringPiece piece(str s)
{
    return re2::StringPiece(s.ptr, s.len);
}

// Go's words for each of RE2's error codes (regexp/syntax.ErrorCode).
static const char *go_error(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "internal error";
    }
}

// Where Go quotes another part of the pattern than RE2 does.
static std::string go_argument(const RE2 &re, const std::string &pattern)
{
    if (re.error_code() == RE2::ErrorMissingParen || re.error_code() == RE2::ErrorUnexpectedParen)
        return pattern;
    return re.error_arg();
}

// Offset behind the character class that begins at p[at].
static size_t class_end(const std::string &p, size_t at)
{
    size_t i = at + 1;
    if (i < p.size() && p[i] == '^')
        i++;
    if (i < p.size() && p[i] == ']')
        i++;
    for (; i < p.size() && p[i] != ']'; i++) {
        if (p[i] == '\\') {
            i++;
        } else if (p[i] == '[' && i + 1 < p.size() && p[i + 1] == ':') {
            size_t end = p.find(":]", i + 2);
            i = end == std::string::npos ? i : end + 1;
        }
    }
    return i + 1;
}

struct named_group {
    size_t from, to; // of what stands for the name: (?P<a>
    std::string name;
};

static std::vector<named_group> find_named_groups(const std::string &p)
{
    std::vector<named_group> found;
    for (size_t i = 0; i < p.size(); i++) {
        if (p[i] == '[') {
            i = class_end(p, i) - 1;
        } else if (p.compare(i, 2, "\\Q") == 0) {
            size_t end = p.find("\\E", i);
            i = end == std::string::npos ? p.size() : end + 1;
        } else if (p[i] == '\\') {
            i++;
        } else if (p.compare(i, 3, "(?<") == 0 || p.compare(i, 4, "(?P<") == 0) {
            size_t open = p.find('<', i), close = p.find('>', i);
            if (close != std::string::npos)
                found.push_back({i, close + 1, p.substr(open + 1, close - open - 1)});
        }
    }
    return found;
}

static bool is_go_name(const std::string &name)
{
    for (unsigned char c : name)
        if (!(c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')))
            return false;
    return !name.empty();
}

// Where RE2 takes what Go refuses: \C (one byte), and names of groups in other letters.
static bool find_foreign(const std::string &p, const char **ret_error, std::string *ret_argument)
{
    for (size_t i = 0; i + 1 < p.size(); i++) {
        if (p[i] == '[') {
            i = class_end(p, i) - 1;
        } else if (p.compare(i, 2, "\\Q") == 0) {
            size_t end = p.find("\\E", i);
            i = end == std::string::npos ? p.size() : end + 1;
        } else if (p.compare(i, 2, "\\C") == 0) {
            *ret_error = "invalid escape sequence";
            *ret_argument = "\\C";
            return true;
        } else if (p[i] == '\\') {
            i++;
        }
    }
    for (const named_group &g : find_named_groups(p))
        if (!is_go_name(g.name)) {
            *ret_error = "invalid named capture";
            *ret_argument = p.substr(g.from, g.to - g.from);
            return true;
        }
    return false;
}

// Stands between the name of a group and a number where the name comes again, so that RE2 sees no
// name twice.
static const char again[] = "__again__";

// What Go takes and this RE2 does not: (?<name>re), and a name that comes twice.
static std::string as_re2(const std::string &pattern)
{
    if (pattern.find("(?<") == std::string::npos && pattern.find("(?P<") == std::string::npos)
        return pattern;
    std::vector<named_group> groups = find_named_groups(pattern);
    std::string out;
    size_t done = 0;
    for (size_t i = 0; i < groups.size(); i++) {
        bool comes_again = false;
        for (size_t k = 0; k < i; k++)
            comes_again = comes_again || groups[k].name == groups[i].name;
        out.append(pattern, done, groups[i].from - done);
        out += "(?P<" + groups[i].name + (comes_again ? again + std::to_string(i) : "") + ">";
        done = groups[i].to;
    }
    return out.append(pattern, done, std::string::npos);
}

extern "C" int regex_compile(str pattern, unsigned flags, struct regex **ret, struct error *err)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(regex_max_mem);
    options.set_dot_nl((flags & REGEX_DOT_NEWLINE) != 0);
    options.set_case_sensitive((flags & REGEX_CASELESS) == 0);
    if (flags & REGEX_LITERAL_BYTES)
        options.set_encoding(RE2::Options::EncodingLatin1);
    std::string given(pattern.ptr, pattern.len);
    struct regex *re =
        new (std::nothrow) regex(as_re2(given), given, options, (flags & REGEX_ANCHORED) != 0);
    ASSERT(re != NULL);
    if (!re->re.ok()) {
        std::string arg = go_argument(re->re, given);
        RE2::ErrorCode code = re->re.error_code();
        delete re;
        if (code == RE2::ErrorTrailingBackslash)
            return error_set(err, E_PARSE, "error parsing regexp: %s: ``", go_error(code));
        return error_set(err, E_PARSE, "error parsing regexp: %s: `%s`", go_error(code),
                         arg.c_str());
    }
    const char *why;
    std::string part;
    if (find_foreign(given, &why, &part)) {
        delete re;
        return error_set(err, E_PARSE, "error parsing regexp: %s: `%s`", why, part.c_str());
    }
    re->names.resize((size_t)re->re.NumberOfCapturingGroups() + 1);
    for (const auto &named : re->re.CapturingGroupNames())
        re->names[(size_t)named.first] = named.second.substr(0, named.second.find(again));
    *ret = re;
    return 0;
}

extern "C" void regex_free(struct regex *re)
{
    delete re;
}

static RE2::Anchor anchor(const struct regex *re)
{
    return re->anchored ? RE2::ANCHOR_BOTH : RE2::UNANCHORED;
}

extern "C" bool regex_is_match(const struct regex *re, str text)
{
    return re->re.Match(piece(text), 0, text.len, anchor(re), nullptr, 0);
}

extern "C" bool regex_match(const struct regex *re, str text, size_t from, str *groups,
                            int n_groups)
{
    re2::StringPiece few[16];
    std::vector<re2::StringPiece> many;
    re2::StringPiece *hits = few;
    if (n_groups > 16) {
        many.resize((size_t)n_groups);
        hits = many.data();
    }
    if (!re->re.Match(piece(text), from, text.len, anchor(re), hits, n_groups))
        return false;
    for (int i = 0; i < n_groups; i++)
        groups[i] = str_make(hits[i].data(), hits[i].size());
    return true;
}

extern "C" int regex_group_count(const struct regex *re)
{
    return re->re.NumberOfCapturingGroups();
}

extern "C" str regex_group_name(const struct regex *re, int i)
{
    if (i < 1 || (size_t)i >= re->names.size())
        return STR_EMPTY;
    return str_make(re->names[(size_t)i].data(), re->names[(size_t)i].size());
}

extern "C" str regex_pattern(const struct regex *re)
{
    return str_make(re->pattern.data(), re->pattern.size());
}
