/* querier/tail.h - live tails over WebSocket: what came before, then new entries as they arrive.
 *
 * A tail lives on the loop.  Entries are handed over by the thread that appends them, through a
 * bounded buffer behind a lock; a timer runs the pipeline over them and sends.  What does not fit,
 * into the buffer or down the socket, is dropped and told in dropped_entries. */
#pragma once

struct http_request;
struct querier;

void tail_accept(void *querier, struct http_request *r);
void tail_accept_legacy(void *querier, struct http_request *r);
/* Closes all; the loop's thread. */
void tails_close(struct querier *q);
