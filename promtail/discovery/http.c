#include "promtail/discovery/http.h"

#include "base/file.h"
#include "base/mem.h"
#include "promtail/config/check.h"

#define SECRET_BYTES_MAX 65536

static const char *or_null(const char *s)
{
    return s != NULL && s[0] != '\0' ? s : NULL;
}

static const char *secret(const char *value, const char *file, struct arena *a, struct error *err)
{
    struct buf text;
    if (or_null(file) == NULL)
        return or_null(value);
    buf_init(&text, SECRET_BYTES_MAX);
    file_read(file, &text, err);
    const char *copy = arena_c(a, str_trim(buf_str(&text)));
    buf_deinit(&text);
    return copy;
}

int sd_http_start(struct sd_http *h, struct loop *l, const struct http_config *c,
                  const char *unix_socket, uint64_t timeout_ms, struct error *err)
{
    struct arena a;
    struct error why = {0};
    *h = (struct sd_http){0};
    arena_init(&a, SIZE_MAX);
    const char *token = or_null(c->bearer_token), *token_file = or_null(c->bearer_token_file);
    if (or_null(c->authorization.credentials) != NULL)
        token = c->authorization.credentials;
    if (or_null(c->authorization.credentials_file) != NULL)
        token_file = c->authorization.credentials_file;
    struct http_client_config config = {
        .tls = tls_config_http(&c->tls),
        .user_agent = "Promtail/" LOGE_VERSION,
        .proxy_url = or_null(c->proxy_url),
        .username = or_null(c->basic_auth.username),
        .password = secret(c->basic_auth.password, c->basic_auth.password_file, &a, &why),
        .bearer_token = token,
        .bearer_token_file = token_file,
        .follow_redirects = c->follow_redirects,
        .unix_socket = unix_socket,
        .timeout_ms = timeout_ms,
    };
    if (c->oauth2.is_set)
        error_set(&why, E_UNSUPPORTED, "oauth2 is not supported in service discovery");
    if (why.code == 0)
        h->client = http_client_new(l, &config);
    arena_deinit(&a);
    if (why.code != 0) {
        sd_http_stop(h);
        return error_set(err, why.code, "%s", why.text);
    }
    return 0;
}

void sd_http_stop(struct sd_http *h)
{
    if (h->client != NULL)
        http_client_free(h->client);
    h->client = NULL;
}
