/* promtail/targets/syslog_frame.h - cuts the bytes of a connection into syslog messages.
 *
 * The first byte tells the framing.  A digit: counted ("<length> <message>", and maybe a newline),
 * where one bad count ends the connection.  '<': a message ends where a newline is followed by '<',
 * where nothing follows a newline for a while, or at the end of the connection; lines that do not
 * begin with '<' belong to the message before.  One owner. */
#pragma once
#include "base/buf.h"
#include "base/status.h"

struct syslog_frame {
    struct buf pending;
    size_t scanned; /* bytes of pending known to hold no end */
    size_t counted_bytes_max;
    char kind;       /* 0: not known yet, '<' or '0' */
    bool is_between; /* counted: a message came before what is pending */
    void (*message)(void *arg, str message);
    void *arg;
};

/* one message without an end; past it: E_TOO_LARGE */
#define SYSLOG_PENDING_BYTES_MAX (16u << 20)

void syslog_frame_init(struct syslog_frame *f, size_t counted_bytes_max,
                       void (*message)(void *arg, str message), void *arg);
void syslog_frame_deinit(struct syslog_frame *f);
/* Calls `message` for each that is whole.  E_PARSE or E_TOO_LARGE: the connection is of no use any
 * more. */
int syslog_frame_feed(struct syslog_frame *f, str bytes, struct error *err);
/* Nothing more came for a while: what ends with a newline is a message.  A sender that has little
 * to say keeps its connection, and its last message would wait for the next. */
void syslog_frame_quiet(struct syslog_frame *f);
/* The connection ended: what is pending is a message (a line without newline too, unless the end
 * came by a time-out).  E_PARSE: a counted message was cut. */
int syslog_frame_end(struct syslog_frame *f, bool is_timeout, struct error *err);
