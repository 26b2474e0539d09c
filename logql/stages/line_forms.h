/* logql/stages/line_forms.h - lines that are written alike are read alike: a parser's memory of
 * what stands between the values of its lines.
 *
 * A program writes its log lines with one format string, so most lines of a stream differ in their
 * values only.  A form is a piece of literal text with the value that follows it: how such a value
 * ends, and which label it is.  Where a line is made of known forms, one behind the other, it is
 * read by comparing 32 bytes here and finding the end of a value there; any other line is the
 * parser's own to read, which then tells its forms here, so that the next line like it is known.
 *
 * Which label a value is depends on the objects around it, so forms belong to a context: that of
 * the line's beginning or of one nesting of objects.  Any form of a context may follow any form
 * that ends in it (members may be left out, or change places); the one that did last time is tried
 * first.
 *
 * What comes out is what the parser's own walk gives, to the letter: a form fits only if that walk
 * would come by the same way, and a label in an inner object is set only when the object has been
 * seen to end, since the walk looks for its end first.  A line that does not fit leaves labels
 * behind that the walk would set to the same values.
 *
 * One owner at a time. */
#pragma once
#include "logql/stages/stage.h"

#define FORMS_MAX          256 /* of all contexts: 16 KiB */
#define FORMS_CONTEXTS_MAX 64
#define FORM_TEXT          32 /* bytes; longer texts are several forms */

/* The value behind a form's text. */
enum form_kind {
    FORM_NONE,
    FORM_STRING, /* JSON: up to the closing quote; the next text begins behind it */
    FORM_NUMBER, /* JSON */
    FORM_BOOL,   /* JSON */
    FORM_ARRAY,  /* JSON */
    FORM_OBJECT, /* JSON: one that nobody asks for */
    FORM_QUOTED, /* logfmt: as FORM_STRING */
    FORM_BARE,   /* logfmt: up to a blank or the end of the line; may be empty */
    FORM_MORE,   /* no value: the text goes on */
    FORM_END,    /* no value: here the parser stops, whatever follows */
    FORM_LINE_END,
};

struct line_forms;

struct forms_params {
    bool skips_empty; /* values of logfmt that are empty are no labels */
    bool is_strict;   /* logfmt: a bad escape is an error */
};

struct line_forms *line_forms_new(const struct forms_params *p);
void line_forms_free(struct line_forms *f); /* NULL allowed */

enum forms_result {
    FORMS_DONE,    /* all of the line's labels are set */
    FORMS_DROPPED, /* by a filter on one of them */
    FORMS_UNKNOWN, /* the parser must read the line, and may tell its forms */
    FORMS_FAILED,  /* the parser must read the line; nothing is to be learned from it */
};

enum forms_result line_forms_read(struct line_forms *f, struct stage_line *line);

/* ---- learning the forms of a line ---- */

struct forms_lesson {
    struct line_forms *forms;
    str line;
    size_t from;         /* where the text of the next form begins */
    uint32_t last;       /* form before it */
    uint32_t context;    /* that the next value stands in */
    unsigned depth;      /* objects around it, the outermost not counted */
    bool leaves_objects; /* the text ends an object of the outermost one */
    bool is_over;        /* there is no more room, or no form for what stands there */
};

struct forms_lesson forms_lesson_begin(struct line_forms *f, str line);
/* A value, which is part of the line, and the number of its label's name (or NAME_NONE). */
void forms_lesson_value(struct forms_lesson *l, str value, enum form_kind kind, uint32_t id);
/* Goes into the object under `key`, and out of it; returns what forms_lesson_leave() wants. */
uint32_t forms_lesson_enter(struct forms_lesson *l, str key);
void forms_lesson_leave(struct forms_lesson *l, uint32_t context);
/* The parser stopped at offset `at`: FORM_END or FORM_LINE_END. */
void forms_lesson_end(struct forms_lesson *l, size_t at, enum form_kind kind);
