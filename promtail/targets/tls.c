#include "promtail/targets/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/mem.h"

#define READ_BYTES 16384

struct tls_server {
    SSL_CTX *ctx;
};

struct tls_conn {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
};

bool tls_is_wanted(const struct tls_config *c)
{
    const char *const any[] = {c->cert_file, c->key_file, c->ca_file, c->cert, c->key, c->ca};
    for (size_t i = 0; i < ARRAY_LEN(any); i++)
        if (any[i][0] != '\0')
            return true;
    return false;
}

static int fail(struct error *err, const char *what)
{
    char text[256] = "unknown error";
    unsigned long code = ERR_get_error();
    if (code != 0)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return error_set(err, E_IO, "%s: %s", what, text);
}

static int set_versions(SSL_CTX *ctx, const struct tls_config *c)
{
    int min = TLS1_2_VERSION; /* Go's default */
    if (strcmp(c->min_version, "TLS13") == 0)
        min = TLS1_3_VERSION;
    else if (strcmp(c->min_version, "TLS11") == 0)
        min = TLS1_1_VERSION;
    else if (strcmp(c->min_version, "TLS10") == 0)
        min = TLS1_VERSION;
    return SSL_CTX_set_min_proto_version(ctx, min);
}

/* Each certificate of the text: the first is the server's (or all are CAs), the others its chain.
 */
static bool use_certificates(SSL_CTX *ctx, const char *text, bool are_cas)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    bool is_first = true, ok = bio != NULL;
    X509 *cert;
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (are_cas)
            ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1;
        else if (is_first)
            ok = SSL_CTX_use_certificate(ctx, cert) == 1;
        else
            ok = SSL_CTX_add1_chain_cert(ctx, cert) == 1;
        X509_free(cert);
        is_first = false;
    }
    ERR_clear_error(); /* the end of the text is one */
    BIO_free(bio);
    return ok && !is_first;
}

static bool use_key(SSL_CTX *ctx, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

static bool use_pair(SSL_CTX *ctx, const struct tls_config *c)
{
    return (c->cert[0] != '\0' ? use_certificates(ctx, c->cert, false)
                               : SSL_CTX_use_certificate_chain_file(ctx, c->cert_file) == 1) &&
           (c->key[0] != '\0'
                ? use_key(ctx, c->key)
                : SSL_CTX_use_PrivateKey_file(ctx, c->key_file, SSL_FILETYPE_PEM) == 1);
}

static bool use_client_ca(SSL_CTX *ctx, const struct tls_config *c)
{
    return c->ca[0] != '\0' ? use_certificates(ctx, c->ca, true)
                            : SSL_CTX_load_verify_locations(ctx, c->ca_file, NULL) == 1;
}

int tls_server_new(const struct tls_config *c, struct tls_server **ret, struct error *err)
{
    bool wants_client = c->ca[0] != '\0' || c->ca_file[0] != '\0';
    if ((c->cert[0] == '\0' && c->cert_file[0] == '\0') ||
        (c->key[0] == '\0' && c->key_file[0] == '\0'))
        return error_set(err, E_INVALID, "certificate and key files are required");
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return fail(err, "TLS");
    set_versions(ctx, c);
    int rc = 0;
    if (!use_pair(ctx, c))
        rc = fail(err, "unable to load server certificate or key");
    else if (wants_client && !use_client_ca(ctx, c))
        rc = fail(err, "unable to load client CA certificate");
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    if (wants_client)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    struct tls_server *s = mem_zalloc(sizeof *s);
    s->ctx = ctx;
    *ret = s;
    return 0;
}

void tls_server_free(struct tls_server *s)
{
    if (s == NULL)
        return;
    SSL_CTX_free(s->ctx);
    mem_free(s);
}

struct tls_conn *tls_conn_new(struct tls_server *s)
{
    struct tls_conn *c = mem_zalloc(sizeof *c);
    c->ssl = SSL_new(s->ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    ASSERT(c->ssl != NULL && c->in != NULL && c->out != NULL);
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_accept_state(c->ssl);
    return c;
}

void tls_conn_free(struct tls_conn *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    mem_free(c);
}

static void take_output(struct tls_conn *c, struct buf *send)
{
    char *bytes;
    long n = BIO_get_mem_data(c->out, &bytes);
    if (n > 0)
        buf_append(send, bytes, (size_t)n);
    (void)BIO_reset(c->out);
}

int tls_conn_feed(struct tls_conn *c, str bytes, struct buf *plain, struct buf *send,
                  struct error *err)
{
    int rc = 0;
    ASSERT(bytes.len <= INT32_MAX);
    if (BIO_write(c->in, bytes.ptr, (int)bytes.len) != (int)bytes.len)
        return fail(err, "TLS");
    for (;;) { /* ends: each round takes bytes out of `in` */
        if (!buf_reserve(plain, READ_BYTES)) {
            rc = error_set(err, E_TOO_LARGE, "too many bytes at once");
            break;
        }
        int n = SSL_read(c->ssl, plain->ptr + plain->len, READ_BYTES);
        if (n > 0) {
            plain->len += (size_t)n;
            continue;
        }
        int why = SSL_get_error(c->ssl, n);
        if (why == SSL_ERROR_ZERO_RETURN) {
            SSL_shutdown(c->ssl); /* answers the peer's close_notify */
            rc = E_EOF;
        } else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            rc = fail(err, "TLS");
        break;
    }
    take_output(c, send);
    return rc;
}
