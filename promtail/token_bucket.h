/* promtail/token_bucket.h - a rate limiter as Go's x/time/rate: so many a second, with a burst.
 *
 * Time is an argument.  One owner, no locks. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
    double rate; /* tokens a second */
    double burst;
    double tokens;
    int64_t last_ns;
};

/* Starts full. */
void token_bucket_init(struct token_bucket *b, double rate, double burst);
/* Takes a token if there is one. */
bool token_bucket_take(struct token_bucket *b, int64_t now_mono_ns);
/* Takes one in any case, owing it if need be; returns how long to wait until none is owed, in ns.
 */
int64_t token_bucket_reserve(struct token_bucket *b, int64_t now_mono_ns);
