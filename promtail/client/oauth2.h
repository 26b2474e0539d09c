/* promtail/client/oauth2.h - OAuth 2 tokens by client credentials (RFC 6749, 4.4).
 *
 * A token is asked for when one is needed and kept until shortly before it expires.  Loop thread
 * only. */
#pragma once
#include "promtail/config/config.h"

struct loop;
struct oauth2;

/* NULL if the settings name no token_url. */
struct oauth2 *oauth2_new(struct loop *l, const struct oauth2_config *config, int64_t timeout_ns);
void oauth2_free(struct oauth2 *o); /* NULL allowed; what is under way is cancelled */
/* "Bearer ..." if a token is at hand, else NULL: ask for one by oauth2_fetch(). */
const char *oauth2_authorization(const struct oauth2 *o);
/* Asks for a token; `done` is called once, with an error text or NULL.  One at a time. */
void oauth2_fetch(struct oauth2 *o, void (*done)(void *arg, const char *err_text), void *arg);
/* The server refused the token (401): the next push asks for another. */
void oauth2_forget(struct oauth2 *o);
