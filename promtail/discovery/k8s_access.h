/* promtail/discovery/k8s_access.h - where the API server is and how to speak with it: what the
 * configuration says, a kubeconfig file, or the service account of the pod we run in. */
#pragma once
#include "base/arena.h"
#include "promtail/config/targets.h"

struct k8s_access {
    const char *server; /* https://host:port, without a slash at the end */
    struct http_config http;
    const char *own_namespace; /* "" if not known */
};

#define K8S_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* `account_dir` is K8S_ACCOUNT_DIR, or another in tests.  Strings live in `a`. */
int k8s_access_find(const struct kubernetes_sd_config *c, const char *account_dir, struct arena *a,
                    struct k8s_access *ret, struct error *err);
/* Reads the text of a kubeconfig; paths in it are relative to the folder `dir`. */
int k8s_access_read_kubeconfig(str text, const char *dir, struct arena *a, struct k8s_access *ret,
                               struct error *err);
