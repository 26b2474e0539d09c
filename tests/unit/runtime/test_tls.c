#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http_fixture.h"
#include "runtime/http_client.h"
#include "runtime/websocket.h"

/* A server with a certificate of its own making for "loge.test" and 127.0.0.1. */
struct secured {
    struct fixture f;
    char dir[64], cert[96], key[96], url[64];
};

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    cr_assert_not_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static void write_certificate(struct secured *s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"loge.test", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x, NID_subject_alt_name, "DNS:loge.test,IP:127.0.0.1");
    X509_sign(x, key, EVP_sha256());
    snprintf(s->dir, sizeof s->dir, "/tmp/loge-tls-XXXXXX");
    cr_assert_not_null(mkdtemp(s->dir));
    snprintf(s->cert, sizeof s->cert, "%s/cert.pem", s->dir);
    snprintf(s->key, sizeof s->key, "%s/key.pem", s->dir);
    FILE *f = fopen(s->cert, "w");
    PEM_write_X509(f, x);
    fclose(f);
    f = fopen(s->key, "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void answer_body(void *arg, struct http_request *r)
{
    (void)arg;
    http_reply(r, 200, "text/plain", http_body(r));
}

static void echo_message(void *arg, str message, bool is_text)
{
    (void)is_text;
    struct websocket **ws = arg;
    websocket_send(*ws, message);
}

static void echo_close(void *arg, int code, str reason)
{
    (void)code;
    (void)reason;
    free(arg);
}

static void accept_echo(void *arg, struct http_request *r)
{
    (void)arg;
    static const struct websocket_ops ops = {echo_message, echo_close};
    struct websocket **ws = calloc(1, sizeof *ws);
    *ws = websocket_accept(r, &ops, ws);
}

static void secured_start(struct secured *s, bool wants_client_certificate)
{
    write_certificate(s);
    struct http_server_config config = {.tls_cert_file = s->cert, .tls_key_file = s->key};
    if (wants_client_certificate)
        config.tls_client_ca_file = s->cert;
    fixture_init(&s->f, &config, 1, 16);
    http_route(s->f.server, "/echo", HTTP_POST | HTTP_ON_WORKER, "echo", 10 << 20, answer_body,
               NULL);
    http_route(s->f.server, "/ws", HTTP_GET | HTTP_WEBSOCKET, "ws", 0, accept_echo, NULL);
    snprintf(s->url, sizeof s->url, "https://127.0.0.1:%u/echo", http_server_port(s->f.server));
    fixture_run(&s->f);
}

static void secured_stop(struct secured *s)
{
    fixture_stop(&s->f);
    unlink(s->cert);
    unlink(s->key);
    rmdir(s->dir);
}

static int post(const struct secured *s, const struct http_tls *tls, struct buf *body)
{
    struct http_client_config config = {.tls = *tls};
    struct http_call call = {.method = "POST", .url = s->url, .body = STR("secret")};
    int status = 0;
    buf_reset(body);
    int code = http_client_fetch(&config, &call, &status, body, NULL);
    return code == 0 && status != 200 ? -1000 : code;
}

Test(runtime_tls, serves_clients_that_trust_it_and_no_others)
{
    struct secured s;
    struct buf body;
    buf_init(&body, 1 << 20);
    secured_start(&s, false);
    cr_assert_eq(post(&s, &(struct http_tls){.ca_file = s.cert}, &body), 0);
    cr_assert(str_eq_c(buf_str(&body), "secret"));
    cr_assert_eq(post(&s, &(struct http_tls){0}, &body), E_UNAVAILABLE);
    cr_assert_eq(post(&s, &(struct http_tls){.insecure_skip_verify = true}, &body), 0);
    cr_assert_eq(post(&s, &(struct http_tls){.ca_file = s.cert, .min_version = "TLS13"}, &body), 0);
    struct http_tls named = {.ca_file = s.cert, .server_name = "loge.test"};
    cr_assert_eq(post(&s, &named, &body), 0);
    named.server_name = "other.test";
    cr_assert_eq(post(&s, &named, &body), E_UNAVAILABLE);
    buf_deinit(&body);
    secured_stop(&s);
}

Test(runtime_tls, asks_for_a_client_certificate_when_told_to)
{
    struct secured s;
    struct buf body;
    buf_init(&body, 1 << 20);
    secured_start(&s, true);
    cr_assert_neq(post(&s, &(struct http_tls){.ca_file = s.cert}, &body), 0);
    struct http_tls known = {.ca_file = s.cert, .cert_file = s.cert, .key_file = s.key};
    cr_assert_eq(post(&s, &known, &body), 0);
    buf_deinit(&body);
    secured_stop(&s);
}

static char *file_text(const char *path)
{
    char *text = calloc(1, 65536);
    FILE *f = fopen(path, "re");
    cr_assert_not_null(f);
    cr_assert_gt(fread(text, 1, 65535, f), 0);
    fclose(f);
    return text;
}

Test(runtime_tls, takes_certificates_as_texts_too)
{
    struct secured s;
    struct buf body;
    buf_init(&body, 1 << 20);
    secured_start(&s, true);
    char *cert = file_text(s.cert), *key = file_text(s.key);
    struct http_tls inlined = {.ca_pem = cert, .cert_pem = cert, .key_pem = key};
    cr_assert_eq(post(&s, &inlined, &body), 0);
    cr_assert_neq(post(&s, &(struct http_tls){.ca_pem = "no certificate"}, &body), 0);
    free(cert);
    free(key);
    buf_deinit(&body);
    secured_stop(&s);
}

Test(runtime_tls, names_what_is_wrong_with_its_files)
{
    struct loop *l = loop_new();
    struct http_server *server;
    struct error err = {0};
    struct http_server_config config = {.listen_address = "127.0.0.1",
                                        .tls_cert_file = "/nosuch/cert.pem",
                                        .tls_key_file = "/nosuch/key.pem"};
    cr_assert_neq(http_server_start(l, NULL, &config, &server, &err), 0);
    cr_assert(str_contains(str_c(err.text), STR("/nosuch/cert.pem")), "%s", err.text);
    loop_free(l);
}

/* --- wss --- */

struct talker {
    struct secured s;
    struct websocket *ws;
    _Atomic int state; /* 1 open, 2 answered, 3 closed, -1 refused */
    size_t got;
    char *text;
    size_t text_len;
};

static void talker_message(void *arg, str message, bool is_text)
{
    (void)is_text;
    struct talker *t = arg;
    t->got = message.len;
    atomic_store(&t->state, 2);
    websocket_close(t->ws, 1000, STR_EMPTY);
}

static void talker_close(void *arg, int code, str reason)
{
    (void)reason;
    struct talker *t = arg;
    atomic_store(&t->state, code == 1000 ? 3 : -code);
}

static void talker_open(void *arg, struct websocket *ws, int code, int http_status, str text)
{
    (void)http_status;
    (void)text;
    struct talker *t = arg;
    t->ws = ws;
    atomic_store(&t->state, code == 0 ? 1 : -1);
    if (code == 0)
        websocket_send(ws, (str){t->text, t->text_len});
}

static void talker_connect(void *arg)
{
    static const struct websocket_ops ops = {talker_message, talker_close};
    struct talker *t = arg;
    char url[64];
    struct http_client_config config = {.tls.ca_file = t->s.cert, .user_agent = "talker"};
    snprintf(url, sizeof url, "wss://127.0.0.1:%u/ws", http_server_port(t->s.f.server));
    websocket_connect_with(t->s.f.loop, &config, str_c(url), NULL, talker_open, &ops, t);
}

Test(runtime_tls, carries_websockets)
{
    static struct talker t;
    t.text_len = 20000; /* little: libmicrohttpd forwards TLS upgrades in pieces of 4 bytes */
    t.text = calloc(1, t.text_len);
    secured_start(&t.s, false);
    loop_post(t.s.f.loop, talker_connect, &t);
    for (int i = 0; i < 2000 && atomic_load(&t.state) >= 0 && atomic_load(&t.state) < 3; i++)
        usleep(5000);
    cr_assert_eq(atomic_load(&t.state), 3, "state %d", atomic_load(&t.state));
    cr_assert_eq(t.got, t.text_len);
    free(t.text);
    secured_stop(&t.s);
}
