/* promtail/client/sender.h - pushes to one server, one at a time, each tried until it is taken or
 * given up.
 *
 * The sender asks its owner for the push whose turn it is before every try, so that nothing is held
 * between two tries and the owner may change its mind meanwhile.  Loop thread only. */
#pragma once
#include "promtail/config/config.h"

struct client_metrics;
struct loop;
struct sender;

/* One request.  Views, good until the push is done. */
struct push {
    str tenant;
    str source_id; /* of the series of numbers; empty: not numbered */
    uint64_t seq;
    str body;
};

enum push_turn {
    PUSH_NONE,  /* nothing is to be sent */
    PUSH_READY, /* this one */
    PUSH_LATER, /* one is to be sent that cannot be had now: the sender asks again after a pause */
};

struct sender_owner {
    /* The push whose turn it is.  The same until done was called. */
    enum push_turn (*next)(void *arg, struct push *ret);
    /* It was taken (status 2xx) or given up (another one; 0 or less if there was no answer). */
    void (*done)(void *arg, int status);
    void *arg;
};

struct sender_config {
    const struct client_config *client;
    const char *name;                     /* for messages */
    const struct client_metrics *metrics; /* outlive the sender */
    bool is_patient; /* whatever max_retries says: only answers that say no end a push */
};

struct sender *sender_new(struct loop *l, const struct sender_config *config,
                          const struct sender_owner *owner);
void sender_free(struct sender *s); /* NULL allowed; what is under way is cancelled */
/* Goes on, if nothing is under way and no pause between two tries is on. */
void sender_wake(struct sender *s);
/* The push whose turn it is is another one: the tries of the last one do not count for it.  Not
 * while one is under way. */
void sender_forget_tries(struct sender *s);
/* True while a request has been sent and not been answered. */
bool sender_is_under_way(const struct sender *s);
