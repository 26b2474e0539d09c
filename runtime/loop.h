/* runtime/loop.h - the event loop: one thread that moves bytes and never blocks.
 *
 * A program has one loop.  Everything but loop_post() and loop_stop() is for the loop's thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct loop;
typedef struct uv_loop_s uv_loop_t;

struct loop *loop_new(void);
void loop_free(struct loop *l); /* after loop_run returned; asserts that no handle is open */
uv_loop_t *loop_uv(struct loop *l);
/* Runs until loop_stop(), then until all handles are closed. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* any thread */
/* Calls fn(arg) on the loop's thread, in the order posted.  Any thread; this is the only way in. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* Runs what has been posted; for the end of a program, after loop_run and before what the calls
 * point to is freed. */
void loop_run_posted(struct loop *l);
bool loop_is_loop_thread(const struct loop *l);

/* A timer on the loop; re-armed or stopped in its callback at will. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms); /* 0: once */
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL allowed; the memory goes when libuv lets go */

/* Watches a descriptor that stays the caller's: fn(arg) when there is something to read. */
struct loop_watch;
struct loop_watch *loop_watch_new(struct loop *l, int fd, void (*fn)(void *arg), void *arg);
/* fn is not called any more, and the descriptor may be closed; NULL allowed. */
void loop_watch_free(struct loop_watch *w);

/* Signals: the first SIGTERM or SIGINT calls on_stop, a second one exits the process with status 1
 * at once; SIGHUP calls on_reload if it is not NULL; SIGPIPE is ignored. */
void loop_signals(struct loop *l, void (*on_stop)(void *arg), void (*on_reload)(void *arg),
                  void *arg);
