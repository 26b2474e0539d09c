/* promtail/web/pages.h - the pages of promtail's own server. */
#pragma once
struct app;

/* /ready /metrics /config /targets /service-discovery /reload, below the path prefix. */
void pages_register(struct app *app);
