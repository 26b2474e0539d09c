#include "promtail/config/check.h"

#include <openssl/pem.h>

#include "base/file.h"
#include "base/gourl.h"
#include "base/mem.h"

#define PEM_BYTES_MAX (1u << 20)

/* Settings that were never read are NULL. */
static bool is_set(const char *s)
{
    return s != NULL && s[0] != '\0';
}

static int refuse(struct error *err, const char *text)
{
    return error_set(err, E_PARSE, "%s", text);
}

static int check_version(const char *version, struct error *err)
{
    static const char *const known[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
    if (!is_set(version))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(version, known[i]) == 0)
            return 0;
    return error_set(err, E_PARSE, "unknown TLS version: %s", version);
}

int tls_config_check(const struct tls_config *c, struct error *err)
{
    bool has_cert = is_set(c->cert) || is_set(c->cert_file);
    bool has_key = is_set(c->key) || is_set(c->key_file);
    if (is_set(c->ca) && is_set(c->ca_file))
        return refuse(err, "at most one of ca, ca_file & ca_ref must be configured");
    if (is_set(c->cert) && is_set(c->cert_file))
        return refuse(err, "at most one of cert, cert_file & cert_ref must be configured");
    if (is_set(c->key) && is_set(c->key_file))
        return refuse(err, "at most one of key and key_file must be configured");
    if (has_cert && !has_key)
        return refuse(err, "exactly one of key or key_file must be configured when a client "
                           "certificate is configured");
    if (has_key && !has_cert)
        return refuse(err, "exactly one of cert or cert_file must be configured when a client key "
                           "is configured");
    return check_version(c->min_version, err);
}

/* --- certificates --- */

/* The text itself or what its file holds, in memory; NULL with *err set. */
static BIO *open_pem(const char *text, const char *file, const char *what, struct error *err)
{
    struct buf b;
    struct error why = {0};
    buf_init(&b, PEM_BYTES_MAX);
    if (is_set(text))
        buf_append_c(&b, text);
    else if (file_read(file, &b, &why) != 0)
        error_set(err, E_IO, "unable to read %s: unable to read file %s: %s", what, file, why.text);
    BIO *bio = why.code == 0 ? BIO_new(BIO_s_mem()) : NULL;
    if (bio != NULL && b.len > 0)
        BIO_write(bio, b.ptr, (int)b.len);
    buf_deinit(&b);
    return bio;
}

static int try_ca(const struct tls_config *c, struct error *err)
{
    if (!is_set(c->ca) && !is_set(c->ca_file))
        return 0;
    BIO *bio = open_pem(c->ca, c->ca_file, "CA cert", err);
    if (bio == NULL)
        return E_IO;
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool is_good = cert != NULL;
    X509_free(cert);
    BIO_free(bio);
    return is_good ? 0
                   : error_set(err, E_PARSE, "unable to use specified CA cert %s",
                               is_set(c->ca) ? "<inline>" : c->ca_file);
}

static int try_pair(const struct tls_config *c, struct error *err)
{
    if (!is_set(c->cert) && !is_set(c->cert_file))
        return 0;
    BIO *cert_bio = open_pem(c->cert, c->cert_file, "specified client cert", err);
    BIO *key_bio =
        cert_bio != NULL ? open_pem(c->key, c->key_file, "specified client key", err) : NULL;
    X509 *cert = key_bio != NULL ? PEM_read_bio_X509(cert_bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = cert != NULL ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL) : NULL;
    int rc = key_bio == NULL ? E_IO : 0;
    if (rc == 0 && (key == NULL || X509_check_private_key(cert, key) != 1))
        rc = error_set(err, E_PARSE, "unable to use specified client cert (%s) & key (%s)",
                       is_set(c->cert) ? "<inline>" : c->cert_file,
                       is_set(c->key) ? "<inline>" : c->key_file);
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(key_bio);
    BIO_free(cert_bio);
    return rc;
}

int tls_config_try(const struct tls_config *c, struct error *err)
{
    int rc = try_ca(c, err);
    return rc != 0 ? rc : try_pair(c, err);
}

static const char *or_null(const char *s)
{
    return is_set(s) ? s : NULL;
}

struct http_tls tls_config_http(const struct tls_config *c)
{
    return (struct http_tls){
        .ca_file = or_null(c->ca_file),
        .cert_file = or_null(c->cert_file),
        .key_file = or_null(c->key_file),
        .ca_pem = or_null(c->ca),
        .cert_pem = or_null(c->cert),
        .key_pem = or_null(c->key),
        .server_name = or_null(c->server_name),
        .min_version = or_null(c->min_version),
        .insecure_skip_verify = c->insecure_skip_verify,
    };
}

/* --- authentication --- */

static bool has_basic_auth(const struct basic_auth_config *c)
{
    return is_set(c->username) || is_set(c->username_file) || is_set(c->password) ||
           is_set(c->password_file);
}

static bool has_authorization(const struct authorization_config *c)
{
    return is_set(c->type) || is_set(c->credentials) || is_set(c->credentials_file);
}

static bool has_oauth2(const struct oauth2_config *c)
{
    return is_set(c->client_id) || is_set(c->client_secret) || is_set(c->client_secret_file) ||
           is_set(c->token_url);
}

static int check_tokens(const struct http_config *c, struct error *err)
{
    bool has_token = is_set(c->bearer_token) || is_set(c->bearer_token_file);
    if (is_set(c->bearer_token) && is_set(c->bearer_token_file))
        return refuse(err, "at most one of bearer_token & bearer_token_file must be configured");
    if (has_token && (has_basic_auth(&c->basic_auth) || has_oauth2(&c->oauth2)))
        return refuse(err, "at most one of basic_auth, oauth2, bearer_token & bearer_token_file "
                           "must be configured");
    if (has_token && has_authorization(&c->authorization))
        return refuse(err, "authorization is not compatible with bearer_token & "
                           "bearer_token_file");
    return 0;
}

static int check_authorization(const struct http_config *c, struct error *err)
{
    const struct authorization_config *a = &c->authorization;
    if (!has_authorization(a))
        return 0;
    if (is_set(a->credentials) && is_set(a->credentials_file))
        return refuse(err, "at most one of authorization credentials & credentials_file must be "
                           "configured");
    if (is_set(a->type) && str_eq_nocase(str_trim(str_c(a->type)), STR("basic")))
        return refuse(err, "authorization type cannot be set to \"basic\", use \"basic_auth\" "
                           "instead");
    if (has_basic_auth(&c->basic_auth) || has_oauth2(&c->oauth2))
        return refuse(err, "at most one of basic_auth, oauth2 & authorization must be configured");
    return 0;
}

static int check_oauth2(const struct http_config *c, struct error *err)
{
    const struct oauth2_config *o = &c->oauth2;
    if (!has_oauth2(o))
        return 0;
    if (has_basic_auth(&c->basic_auth))
        return refuse(err, "at most one of basic_auth, oauth2 & authorization must be configured");
    if (!is_set(o->client_id))
        return refuse(err, "oauth2 client_id must be configured");
    if (!is_set(o->token_url))
        return refuse(err, "oauth2 token_url must be configured");
    if (is_set(o->client_secret) && is_set(o->client_secret_file))
        return refuse(err, "at most one of oauth2 client_secret & client_secret_file must be "
                           "configured");
    return tls_config_check(&o->tls, err);
}

static int check_url(const char *text, struct error *err)
{
    struct arena a;
    struct gourl url;
    arena_init(&a, SIZE_MAX);
    int rc = gourl_parse(str_c(text), &a, &url, err);
    arena_deinit(&a);
    return rc;
}

int http_config_check(const struct http_config *c, struct error *err)
{
    const struct basic_auth_config *b = &c->basic_auth;
    int rc = check_tokens(c, err);
    if (rc == 0 && is_set(b->username) && is_set(b->username_file))
        rc = refuse(err, "at most one of basic_auth username, username_file & username_ref must be "
                         "configured");
    if (rc == 0 && is_set(b->password) && is_set(b->password_file))
        rc = refuse(err, "at most one of basic_auth password, password_file & password_ref must be "
                         "configured");
    if (rc == 0)
        rc = check_authorization(c, err);
    if (rc == 0)
        rc = check_oauth2(c, err);
    if (rc == 0 && is_set(c->proxy_url))
        rc = check_url(c->proxy_url, err);
    return rc != 0 ? rc : tls_config_check(&c->tls, err);
}
