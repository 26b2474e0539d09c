/* proto/push_json.h - the JSON forms of a push.
 *
 *   v1:     {"streams": [{"stream": {"a": "b"}, "values": [["<ns>", "line", {"meta": "data"}]]}]}
 *   legacy: {"streams": [{"labels": "{a=\"b\"}", "entries": [{"ts": "<RFC 3339>", "line": ".."}]}]}
 *
 * One pass over the body; strings without escapes stay views of it, so it must outlive the result.
 * What Loki's decoders let pass, passes: unknown keys, keys of the request in any case, label
 * values that are no strings, entries of more than three elements, null in place of lists.  Error
 * texts are Loki's. */
#pragma once
#include "proto/push_proto.h"

/* E_PARSE with text; E_LIMIT when the arrays pass the limit of the arena. */
int push_json_read(str body, struct arena *a, struct push_request *ret, struct error *err);
int push_json_read_legacy(str body, struct arena *a, struct push_request *ret, struct error *err);
