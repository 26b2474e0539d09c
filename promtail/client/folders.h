/* promtail/client/folders.h - which folder holds the journal of which client.
 *
 * A folder is named after the client's URL, name and tenant.  When one of them is changed, the
 * folder goes over to the client that came in the old one's place, so that what was not delivered
 * goes to the new address. */
#pragma once
#include "base/status.h"
#include "promtail/config/config.h"

#define FOLDER_PATH_BYTES 4096

/* E_INVALID if the path is too long. */
int folder_path(const char *state_dir, const struct client_config *client,
                char ret[FOLDER_PATH_BYTES], struct error *err);
/* True if the client has a journal. */
bool folder_exists(const char *state_dir, const struct client_config *client);
/* If since the last start one client has gone and one has come, the folder of the first becomes
 * the second's.  Folders that belong to no client otherwise are left alone from then on, until
 * their client is back.  Before any journal is opened. */
void folders_settle(const char *state_dir, const struct client_config *clients, size_t n);
