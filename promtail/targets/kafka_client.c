#include "promtail/targets/kafka_client.h"

#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "promtail/config/check.h"
#include "runtime/log.h"

#define COMPONENT   "kafka"
#define ERROR_BYTES 512

struct setting {
    const char *name, *value;
};

static int apply(rd_kafka_conf_t *conf, const struct setting *settings, struct error *err)
{
    char why[ERROR_BYTES];
    for (; settings->name != NULL; settings++)
        if (settings->value != NULL && settings->value[0] != '\0' &&
            rd_kafka_conf_set(conf, settings->name, settings->value, why, sizeof why) !=
                RD_KAFKA_CONF_OK)
            return error_set(err, E_INVALID, "kafka: %s", why);
    return 0;
}

/* --- TLS --- */

static const struct tls_config *tls_of(const struct kafka_config *c)
{
    return strcmp(c->auth_type, "sasl") == 0 ? &c->sasl.tls : &c->tls;
}

/* The chain is good; the broker's certificate must be for server_name, not for the address. */
static int verify_name(rd_kafka_t *rk, const char *broker, int32_t id, int *x509_error, int depth,
                       const char *der, size_t size, char *why, size_t why_size, void *arg)
{
    const struct kafka_events *events = arg;
    const char *name = tls_of(events->config)->server_name;
    const unsigned char *at = (const unsigned char *)der;
    (void)rk, (void)broker, (void)id;
    if (*x509_error != 0)
        snprintf(why, why_size, "%s", X509_verify_cert_error_string(*x509_error));
    if (*x509_error != 0 || depth > 0)
        return *x509_error == 0;
    X509 *cert = d2i_X509(NULL, &at, (long)size);
    bool is_good = cert != NULL && (X509_check_host(cert, name, 0, 0, NULL) == 1 ||
                                    X509_check_ip_asc(cert, name, 0) == 1);
    X509_free(cert);
    if (is_good)
        return 1;
    *x509_error = X509_V_ERR_HOSTNAME_MISMATCH;
    snprintf(why, why_size, "the certificate is not for %s", name);
    return 0;
}

static int set_tls(rd_kafka_conf_t *conf, const struct tls_config *c, struct error *err)
{
    bool has_name = c->server_name != NULL && c->server_name[0] != '\0';
    const struct setting settings[] = {
        {"ssl.ca.location", c->ca_file},
        {"ssl.certificate.location", c->cert_file},
        {"ssl.key.location", c->key_file},
        {"ssl.ca.pem", c->ca},
        {"ssl.certificate.pem", c->cert},
        {"ssl.key.pem", c->key},
        {"ssl.endpoint.identification.algorithm", has_name ? "none" : "https"},
        {"enable.ssl.certificate.verification", c->insecure_skip_verify ? "false" : "true"},
        {0}};
    int rc = tls_config_try(c, err); /* its errors name the file */
    if (rc == 0 && has_name && !c->insecure_skip_verify)
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, verify_name);
    return rc != 0 ? rc : apply(conf, settings, err);
}

/* --- who we are --- */

static bool is_one_of(const char *s, const char *const *all)
{
    while (*all != NULL && strcmp(s, *all) != 0)
        all++;
    return *all != NULL;
}

static int set_auth(rd_kafka_conf_t *conf, const struct kafka_config *c, struct error *err)
{
    static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", NULL};
    bool is_sasl = strcmp(c->auth_type, "sasl") == 0, is_ssl = strcmp(c->auth_type, "ssl") == 0;
    if (!is_sasl && !is_ssl) {
        if (c->auth_type[0] != '\0' && strcmp(c->auth_type, "none") != 0)
            return error_set(err, E_INVALID, "unsupported authentication type %s", c->auth_type);
        return 0;
    }
    if (is_sasl && !is_one_of(c->sasl.mechanism, mechanisms))
        return error_set(err, E_INVALID, "error unsupported sasl mechanism: %s", c->sasl.mechanism);
    bool tls = is_ssl || c->sasl.use_tls;
    const char *protocol = !is_sasl ? "ssl" : tls ? "sasl_ssl" : "sasl_plaintext";
    const struct setting settings[] = {{"security.protocol", protocol},
                                       {"sasl.mechanisms", is_sasl ? c->sasl.mechanism : NULL},
                                       {"sasl.username", is_sasl ? c->sasl.user : NULL},
                                       {"sasl.password", is_sasl ? c->sasl.password : NULL},
                                       {0}};
    int rc = apply(conf, settings, err);
    return rc == 0 && tls ? set_tls(conf, tls_of(c), err) : rc;
}

/* --- the member --- */

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    if (level <= 3) /* of syslog: error */
        log_error(COMPONENT, "error from the client", LOG_C("of", facility), LOG_C("err", text));
    else if (level == 4)
        log_warn(COMPONENT, "warning from the client", LOG_C("of", facility), LOG_C("err", text));
    else
        log_debug(COMPONENT, text, LOG_C("of", facility));
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *arg)
{
    const struct kafka_events *events = arg;
    (void)rk;
    events->on_rebalance(events->arg, code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, partitions);
}

static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *offsets, void *arg)
{
    const struct kafka_events *events = arg;
    (void)rk;
    if (code == 0)
        events->on_committed(events->arg, offsets);
    else if (code != RD_KAFKA_RESP_ERR__NO_OFFSET && code != RD_KAFKA_RESP_ERR__WAIT_COORD)
        log_warn(COMPONENT, "offsets are not committed yet", LOG_C("err", rd_kafka_err2str(code)));
}

static str join(const struct config_strings *s, struct arena *a)
{
    str all = STR_EMPTY;
    for (size_t i = 0; i < s->n; i++)
        all = arena_printf(a, "%.*s%s%s", STR_ARG(all), i > 0 ? "," : "", s->items[i]);
    return all;
}

static int set_group(rd_kafka_conf_t *conf, const struct kafka_config *c, struct error *err)
{
    static const char *const assignors[] = {"range", "roundrobin", "sticky", NULL};
    const char *assignor = c->assignor[0] != '\0' ? c->assignor : "range";
    if (!is_one_of(assignor, assignors))
        return error_set(err, E_INVALID, "unrecognized consumer group partition assignor: %s",
                         assignor);
    bool is_sticky = strcmp(assignor, "sticky") == 0;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    const struct setting settings[] = {
        {"bootstrap.servers", arena_c(&a, join(&c->brokers, &a))},
        {"group.id", c->group_id[0] != '\0' ? c->group_id : "promtail"},
        {"client.id", "promtail"},
        {"auto.offset.reset", "earliest"},
        {"enable.auto.offset.store", "false"}, /* only what was acknowledged */
        {"partition.assignment.strategy", is_sticky ? "cooperative-sticky" : assignor},
        /* As Promtail's client: who was killed is missed after 10 s, and commits are frequent. */
        {"session.timeout.ms", "10000"},
        {"heartbeat.interval.ms", "3000"},
        {"auto.commit.interval.ms", "1000"},
        {0}};
    int rc = apply(conf, settings, err);
    arena_deinit(&a);
    return rc;
}

int kafka_client_new(struct kafka_events *events, rd_kafka_t **ret, struct error *err)
{
    char why[ERROR_BYTES];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(conf, events);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_committed);
    int rc = set_group(conf, events->config, err);
    if (rc == 0 && (rc = set_auth(conf, events->config, err)) != 0)
        error_prefix(err, "error setting up kafka authentication: ");
    if (rc == 0) {
        *ret = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
        if (*ret == NULL)
            rc = error_set(err, E_INVALID, "kafka: %s", why);
    }
    if (rc != 0)
        rd_kafka_conf_destroy(conf);
    return rc;
}
