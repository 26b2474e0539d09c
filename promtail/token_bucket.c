#include "promtail/token_bucket.h"

#include "base/mem.h"

#define WAIT_NS_MAX (INT64_C(1) << 62)

void token_bucket_init(struct token_bucket *b, double rate, double burst)
{
    *b = (struct token_bucket){.rate = rate, .burst = burst, .tokens = burst, .last_ns = INT64_MIN};
}

static void refill(struct token_bucket *b, int64_t now_ns)
{
    if (b->last_ns != INT64_MIN && now_ns > b->last_ns)
        b->tokens += (double)(now_ns - b->last_ns) / 1e9 * b->rate;
    if (b->tokens > b->burst)
        b->tokens = b->burst;
    b->last_ns = now_ns;
}

bool token_bucket_take(struct token_bucket *b, int64_t now_ns)
{
    refill(b, now_ns);
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    return true;
}

int64_t token_bucket_reserve(struct token_bucket *b, int64_t now_ns)
{
    refill(b, now_ns);
    b->tokens -= 1;
    if (b->tokens >= 0)
        return 0;
    double wait_ns = b->rate > 0 ? -b->tokens / b->rate * 1e9 : (double)WAIT_NS_MAX;
    return wait_ns < (double)WAIT_NS_MAX ? (int64_t)wait_ns : WAIT_NS_MAX;
}
