/* proto/tenant.h - who is asking: the X-Scope-OrgID header. */
#pragma once
#include "base/status.h"
#include "base/str.h"

#define TENANT_HEADER  "X-Scope-OrgID"
#define TENANT_FAKE    STR("fake") /* everyone, when auth_enabled is false */
#define TENANT_LEN_MAX 150

/* The tenant of a request: `header` is the value of X-Scope-OrgID (ptr NULL if absent).  Returns 0,
 * E_UNAUTHORIZED (401 "no org id") or E_INVALID with Loki's text. */
int tenant_from_header(str header, bool auth_enabled, str *ret, struct error *err);
