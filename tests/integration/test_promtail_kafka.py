"""promtail's Kafka target against a real Apache Kafka broker, into a real server.

What is promised: an offset is committed only when the peer of every client has acknowledged what
lies before it, so no message is lost.  None comes twice either, whether promtail or the broker is
killed or partitions move to another member, save where a member loses a partition whose lines it
could not push in time (the server was away, or the member was dead longer than its session): the
next owner reads them, and what the first had queued is sent too."""
import collections
import time
import unittest

import lib
from kafka import Kafka, Message, PASSWORD, USER

HEAD = """\
server: {http_listen_port: ${PORT}, http_listen_address: 127.0.0.1, grpc_listen_port: 0}
positions: {filename: '${DIR}/positions.yaml', sync_period: 300ms}
clients:
- {url: '${PUSH_URL}', batchwait: 100ms, backoff_config: {min_period: 100ms, max_period: 300ms, max_retries: 1000}}
"""
SLOWLY = ("limits_config: {readline_rate_enabled: true, readline_rate_drop: false, readline_rate: 800, "
          "readline_burst: 50}\n")
RULES = "".join(f"  - {{source_labels: [__meta_kafka_{name}], target_label: {name}}}\n"
                for name in ("topic", "partition", "message_key", "group_id"))


def setUpModule():
    """One broker and one server for all: to start them is what takes most of the time."""
    if "tsan" in lib.BIN:
        raise unittest.SkipTest("librdkafka runs C11 threads (thrd_create), which TSan does not follow: "
                                "the program hangs")
    KafkaTest.kafka = Kafka(secure=True).start()
    unittest.addModuleCleanup(KafkaTest.kafka.__exit__, None, None, None)
    KafkaTest.loge = lib.Loge(config="limits_config: {max_line_size: 4MB}\n").start()
    unittest.addModuleCleanup(KafkaTest.loge.__exit__, None, None, None)


class KafkaTest(unittest.TestCase):
    def job(self, name, topics, more="", authentication="", listener="PLAIN", labels="", rules=""):
        text = f"""\
- job_name: {name}
  kafka:
    brokers: ['127.0.0.1:{self.kafka.ports[listener]}']
    topics: {topics}
    group_id: {name}
    labels: {{job: {name}{labels}}}
"""
        text += "".join(f"    {line}\n" for line in more.splitlines())
        if authentication:
            text += "    authentication:\n"
            text += "".join(f"      {line}\n" for line in authentication.splitlines())
        return text + ("  relabel_configs:\n" + rules if rules else "")

    def promtail(self, *jobs, head=HEAD, folder=None, url=None):
        p = lib.Promtail(head + "scrape_configs:\n" + "".join(jobs),
                         url or self.loge.url + "/loki/api/v1/push", folder)
        p.start()
        self.addCleanup(p.__exit__, None, None, None)
        return p

    def lines(self, selector):
        now = time.time_ns()
        return [line for _, line in
                self.loge.lines(selector, now - 3600 * 10**9, now + 60 * 10**9)]

    def expect(self, selector, want, seconds=30):
        """That these lines arrive, each as often as it is in `want`."""
        def differences():
            want_n, found_n = collections.Counter(want), collections.Counter(self.lines(selector))
            return want_n - found_n, found_n - want_n
        try:
            lib.wait_until(lambda: not differences()[0], seconds)
        except AssertionError as why:
            raise AssertionError(f"{len(differences()[0])} lines lost: "
                                 f"{sorted(differences()[0])[:5]}") from why
        self.assertEqual(differences()[1], {}, "came twice")

    def expect_committed(self, group, topic, want):
        try:
            lib.wait_until(lambda: self.kafka.committed(group, topic, len(want)) == want, 10)
        except AssertionError:
            self.assertEqual(self.kafka.committed(group, topic, len(want)), want)

    def wait_for_log(self, p, *texts, seconds=20):
        for text in texts:
            lib.wait_until(lambda text=text: text in p.tail(1_000_000), seconds,
                           f"{text!r} in the log:\n" + p.tail())


def spread(prefix, n, partitions):
    """(messages over the partitions, their lines)."""
    lines = [f"{prefix} {i}" for i in range(n)]
    return [Message(line.encode(), partition=i % partitions) for i, line in enumerate(lines)], lines


class OnceTest(KafkaTest):
    def test_each_message_arrives_once_though_promtail_is_killed_amid_them(self):
        self.kafka.create_topic("killed", 3)
        messages, want = spread("line", 3000, 3)
        self.kafka.produce("killed", messages)
        p = self.promtail(self.job("killed", "[killed]"), head=HEAD + SLOWLY)
        lib.wait_until(lambda: len(self.lines('{job="killed"}')) > 500, 20, "some of the lines")
        p.kill()
        seen = len(self.lines('{job="killed"}'))
        self.assertLess(seen, 3000)
        self.promtail(self.job("killed", "[killed]"), folder=p.folder)  # once the session is over
        self.expect('{job="killed"}', want)
        self.expect_committed("killed", "killed", {0: 1000, 1: 1000, 2: 1000})

    def test_an_offset_is_committed_when_the_server_has_acknowledged(self):
        self.kafka.create_topic("acked", 1)
        loge = lib.Loge().start()
        loge.stop()
        p = self.promtail(self.job("acked", "[acked]"), url=loge.url + "/loki/api/v1/push")
        self.kafka.produce("acked", [b"%d" % i for i in range(100)])
        self.wait_for_log(p, "consuming topic", "error sending batch")
        time.sleep(2.5)  # more than two times what lies between commits
        self.assertEqual(self.kafka.committed("acked", "acked"), {})
        p.stop()  # nothing could be pushed: nothing is committed on leaving either
        self.assertEqual(self.kafka.committed("acked", "acked"), {})
        loge.start()
        self.addCleanup(loge.__exit__, None, None, None)
        p.start()
        self.expect_committed("acked", "acked", {0: 100})
        now = time.time_ns()
        found = loge.lines('{job="acked"}', now - 3600 * 10**9, now + 60 * 10**9)
        self.assertEqual(sorted(int(line) for _, line in found), list(range(100)))

    def test_each_message_arrives_once_though_the_broker_is_killed_amid_them(self):
        self.kafka.create_topic("broker", 2)
        messages, want = spread("line", 2000, 2)
        self.kafka.produce("broker", messages)
        p = self.promtail(self.job("broker", "[broker]"), head=HEAD + SLOWLY)
        lib.wait_until(lambda: len(self.lines('{job="broker"}')) > 300, 20, "some of the lines")
        self.kafka.kill()
        self.kafka.start()
        later, want_later = spread("later", 100, 2)
        self.kafka.produce("broker", later)
        self.expect('{job="broker"}', want + want_later)
        self.expect_committed("broker", "broker", {0: 1050, 1: 1050})
        self.assertTrue(p.is_running())

    def test_a_dead_cluster_does_not_hold_up_the_stop_nor_does_it_cost_lines(self):
        groups = ("dead1", "dead2", "dead3")
        self.kafka.create_topic("dead", 1)
        self.kafka.produce("dead", [b"line"])
        p = self.promtail(*(self.job(group, "[dead]") for group in groups))
        for group in groups:
            self.expect(f'{{job="{group}"}}', ["line"])
        self.kafka.kill()  # maybe before the commit
        started = time.monotonic()
        self.assertEqual(p.stop(), 0)  # all wait for one session's time at most, together
        self.assertLess(time.monotonic() - started, 16 * lib.PATIENCE)
        self.kafka.start()
        self.kafka.produce("dead", [b"more"])
        p.start()
        for group in groups:
            self.expect(f'{{job="{group}"}}', ["line", "more"])
            self.expect_committed(group, "dead", {0: 2})

    def test_members_that_come_and_go_share_the_partitions_without_loss_or_doubles(self):
        for assignor in ("range", "sticky"):
            with self.subTest(assignor):
                topic = "shared-" + assignor
                selector = f'{{job="{topic}"}}'
                self.kafka.create_topic(topic, 4)
                messages, want = spread("line", 2000, 4)
                self.kafka.produce(topic, messages)

                def member(name):
                    return self.promtail(self.job(topic, f"[{topic}]", f"assignor: {assignor}",
                                                  labels=f", reader: {name}"), head=HEAD + SLOWLY)
                first = member("first")
                lib.wait_until(lambda: len(self.lines(selector)) > 100, 20, "some of the lines")
                second = member("second")
                self.wait_for_log(second, "consuming topic")
                more, want_more = spread("more", 1000, 4)
                self.kafka.produce(topic, more)
                lib.wait_until(lambda: self.lines(f'{{job="{topic}",reader="second"}}'), 20,
                               "lines of the second")
                self.assertEqual(second.stop(), 0, second.tail())
                last, want_last = spread("last", 40, 4)
                self.kafka.produce(topic, last)
                self.expect(selector, want + want_more + want_last)
                self.expect_committed(topic, topic, {i: 760 for i in range(4)})
                self.assertEqual(first.stop(), 0, first.tail())

    def test_who_cannot_push_hands_over_and_nothing_is_lost(self):
        """Here lines may come twice: the first member sends what it had queued when it can."""
        self.kafka.create_topic("stuck", 2)
        messages, want = spread("line", 400, 2)
        self.kafka.produce("stuck", messages)
        nowhere = f"http://127.0.0.1:{lib.free_port()}/loki/api/v1/push"
        first = self.promtail(self.job("stuck", "[stuck]"), url=nowhere)
        self.wait_for_log(first, "consuming topic", "error sending batch")
        second = self.promtail(self.job("stuck", "[stuck]"))
        self.wait_for_log(second, "consuming topic")
        first.stop()
        self.expect('{job="stuck"}', want)
        self.expect_committed("stuck", "stuck", {0: 200, 1: 200})
        self.assertIn("lines may come twice", first.tail(1_000_000))

    def test_a_full_queue_does_not_stop_the_group(self):
        """The first member's queue is full: it reads no more, yet answers the group."""
        self.kafka.create_topic("full", 2)
        big = [Message(bytes([97 + i % 26]) * 500_000 + b"%d" % i, partition=i % 2) for i in range(60)]
        self.kafka.produce("full", big)
        nowhere = f"http://127.0.0.1:{lib.free_port()}/loki/api/v1/push"
        head = HEAD + "wal: {enabled: true, max_bytes: 20KB}\n"
        first = self.promtail(self.job("full", "[full]"), url=nowhere, head=head)
        self.wait_for_log(first, "consuming topic", "error sending batch")
        time.sleep(1.5)
        second = self.promtail(self.job("full", "[full]"))
        self.wait_for_log(second, "consuming topic")
        first.stop()
        self.expect('{job="full"}', [m.value.decode() for m in big])

    def test_an_offset_set_back_and_a_topic_made_again_are_read_from_there(self):
        self.kafka.create_topic("again", 1)
        self.kafka.produce("again", [b"a%d" % i for i in range(10)])
        p = self.promtail(self.job("again", "[again]"))
        first = [f"a{i}" for i in range(10)]
        self.expect('{job="again"}', first)
        self.expect_committed("again", "again", {0: 10})
        p.stop()
        self.kafka.reset("again", "again", 0, 4)
        p.start()
        self.expect('{job="again"}', first + first[4:])
        self.expect_committed("again", "again", {0: 10})
        p.stop()
        self.kafka.delete_topic("again")
        lib.wait_until(lambda: self.recreated("again"), 10, "the topic to be made again")
        self.kafka.produce("again", [b"b%d" % i for i in range(20)])
        p.start()
        self.expect('{job="again"}', first + first[4:] + [f"b{i}" for i in range(20)])
        self.expect_committed("again", "again", {0: 20})

    def recreated(self, topic):
        try:
            self.kafka.create_topic(topic, 1)
            return True
        except AssertionError:
            return False  # it is not quite gone


class MessagesTest(KafkaTest):
    def test_labels_times_and_kinds_of_messages(self):
        for topic in ("kind-1", "kind-22", "kind-x", "other-kind-3"):
            self.kafka.create_topic(topic, 2)
        when = int(time.time() * 1000) - 60_000
        big = b"b" * 990_000
        self.kafka.produce("kind-1", [Message(b"keyed", b"k1", 0, when), Message(b"", b"empty", 0, when + 1),
                                      Message(None, b"gone", 0, when + 2), Message(b"plain", None, 1, when + 3),
                                      Message(b"\xff\x00 bytes", b"", 1, when + 4)])
        self.kafka.produce("kind-22", [Message(big, b"big", 1, when)])
        self.kafka.produce("kind-x", [b"not wanted"])
        self.kafka.produce("other-kind-3", [b"not wanted"])
        self.promtail(self.job("kinds", r"['^kind-\d+$']", "use_incoming_timestamp: true",
                               labels=", topic: none, from: kafka",
                               rules=RULES + "  - {source_labels: [from], target_label: source, replacement: 'x-$1'}\n"
                               "  - {action: labeldrop, regex: from}\n"
                               "  - {source_labels: [__meta_kafka_member_id], regex: 'promtail-.+', "
                               "target_label: member, replacement: known}\n"))

        def found():
            data = self.loge.query_range('{job="kinds"}', (when - 1000) * 10**6, time.time_ns())
            return {(s["stream"].get("topic"), s["stream"].get("partition"), s["stream"].get("message_key")):
                    (s["stream"], [(int(v[0]) // 10**6 - when, v[1]) for v in s["values"]])
                    for s in data["result"]}
        lib.wait_until(lambda: len(found()) == 5, 20, "five streams")
        streams = found()
        self.assertEqual({key: values for key, (_, values) in streams.items()}, {
            ("kind-1", "0", "k1"): [(0, "keyed")],
            ("kind-1", "0", "empty"): [(1, "")],
            ("kind-1", "0", "gone"): [(2, "")],
            ("kind-1", "1", "none"): [(3, "plain"), (4, "\ufffd\x00 bytes")],
            ("kind-22", "1", "big"): [(0, big.decode())]})
        labels = streams["kind-1", "0", "k1"][0]
        labels.pop("detected_level", None)
        labels.pop("service_name", None)
        self.assertEqual(labels, {"job": "kinds", "topic": "kind-1", "partition": "0", "group_id": "kinds",
                                  "message_key": "k1", "source": "x-kafka", "member": "known"})
        self.expect_committed("kinds", "kind-1", {0: 3, 1: 2})

    def test_messages_that_get_no_label_are_dropped_and_done(self):
        self.kafka.create_topic("bare", 1)
        self.kafka.produce("bare", [b"one", b"two"])
        p = self.promtail(self.job("bare", "[bare]").replace("    labels: {job: bare}\n", ""))
        self.expect_committed("bare", "bare", {0: 2})
        self.wait_for_log(p, "dropping messages without labels")
        self.assertEqual(p.tail(1_000_000).count("without labels"), 1)


def indented(text, by):
    return "".join(" " * by + line + "\n" for line in text.splitlines())


class SecureTest(KafkaTest):
    def pem(self, name):
        with open(f"{self.kafka.folder}/{name}") as f:
            return f.read()

    def files(self, ca="ca.pem", certificate="client"):
        d = self.kafka.folder
        text = f"ca_file: {d}/{ca}"
        return text + (f", cert_file: {d}/{certificate}.pem, key_file: {d}/{certificate}.key"
                       if certificate else "")

    def sasl(self, mechanism, password=PASSWORD, more=""):
        return f"type: sasl\nsasl_config: {{mechanism: {mechanism}, user: {USER}, password: {password}{more}}}"

    def test_every_way_to_prove_who_one_is(self):
        self.kafka.create_topic("secure", 1)
        self.kafka.produce("secure", [b"hello"])
        chain = self.pem("other-ca.pem") + self.pem("ca.pem")
        inline = ("type: ssl\ntls_config:\n  ca: |\n" + indented(chain, 4) + "  cert: |\n" +
                  indented(self.pem("client.pem"), 4) + "  key: |\n" + indented(self.pem("client.key"), 4))
        sasl_inline = self.sasl("PLAIN").replace("{", "").replace("}", "").replace(", ", "\n  ") \
            .replace("sasl_config: ", "sasl_config:\n  ") + "\n  use_tls: true\n  ca: |\n" + indented(chain, 4)
        jobs = {
            "files": ("TLS", f"type: ssl\ntls_config: {{{self.files()}}}"),
            "name": ("TLS", f"type: ssl\ntls_config: {{{self.files()}, server_name: kafka.test}}"),
            "unverified": ("TLS", f"type: ssl\ntls_config: {{{self.files('other-ca.pem')}, "
                           "insecure_skip_verify: true}"),
            "inline": ("TLS", inline),
            "plain": ("SASL", self.sasl("PLAIN")),
            "scram256": ("SASL", self.sasl("SCRAM-SHA-256")),
            "scram512": ("SASL", self.sasl("SCRAM-SHA-512")),
            "plaintls": ("SASLTLS", self.sasl("PLAIN", more=f", use_tls: true, {self.files(certificate=None)}")),
            "scram512tls": ("SASLTLS", self.sasl("SCRAM-SHA-512", more=", use_tls: true, server_name: kafka.test, "
                                                 + self.files(certificate=None))),
            "inlinesasl": ("SASLTLS", sasl_inline),
        }
        self.promtail(*(self.job(name, "[secure]", authentication=text, listener=listener)
                        for name, (listener, text) in jobs.items()))
        for name in jobs:
            with self.subTest(name):
                self.expect(f'{{job="{name}"}}', ["hello"])
                self.expect_committed(name, "secure", {0: 1})

    def test_wrong_settings_are_said_and_tried_again_and_do_not_hold_up_the_stop(self):
        self.kafka.create_topic("wrong", 1)
        self.kafka.produce("wrong", [b"hello"])
        tls = "type: ssl\ntls_config: {%s}"
        jobs = {
            "password": ("SASL", self.sasl("SCRAM-SHA-512", "wrong"), "SASL authentication error"),
            "plainword": ("SASL", self.sasl("PLAIN", "wrong"), "Invalid username or password"),
            "ca": ("TLS", tls % self.files("other-ca.pem"), "certificate verify failed"),
            "nocert": ("TLS", tls % self.files(certificate=None), "SSL"),
            "name": ("TLS", tls % (self.files() + ", server_name: wrong.test"),
                     "the certificate is not for wrong.test"),
            "nobroker": ("PLAIN", "", "Connection refused"),
        }
        texts = [self.job("good", "[wrong]")]
        for name, (listener, authentication, _) in jobs.items():
            text = self.job(name, "[wrong]", authentication=authentication, listener=listener)
            if name == "nobroker":
                text = text.replace(str(self.kafka.ports["PLAIN"]), str(lib.free_port()))
            texts.append(text)
        p = self.promtail(*texts)
        self.expect('{job="good"}', ["hello"])
        self.wait_for_log(p, *(text for _, _, text in jobs.values()), "failed to fetch topics")
        log = p.tail(1_000_000)
        self.assertNotIn("wrong\"", log)
        self.assertTrue(all(line.startswith("ts=") for line in log.splitlines()), log)
        lib.wait_until(lambda: p.tail(1_000_000).count("failed to fetch topics") > len(jobs), 20, "more attempts")
        started = time.monotonic()
        self.assertEqual(p.stop(), 0)
        self.assertLess(time.monotonic() - started, 12 * lib.PATIENCE)

    def test_settings_that_cannot_work_end_the_start(self):
        for name, (listener, topics, more, authentication, error) in {
                "pattern": ("PLAIN", "['^(']", "", "", "invalid topic pattern: error parsing regexp"),
                "empty": ("PLAIN", "['']", "", "", "invalid empty topic"),
                "assignor": ("PLAIN", "[t]", "assignor: best", "",
                             "unrecognized consumer group partition assignor: best"),
                "mechanism": ("SASL", "[t]", "", self.sasl("GSSAPI"), "error unsupported sasl mechanism: GSSAPI"),
                "type": ("TLS", "[t]", "", "type: magic", "unsupported authentication type magic"),
                "file": ("TLS", "[t]", "", "type: ssl\ntls_config: {ca_file: /nowhere/ca.pem}", "/nowhere/ca.pem"),
        }.items():
            with self.subTest(name):
                p = self.promtail(self.job(name, topics, more, authentication, listener))
                self.assertEqual(p.process.wait(20 * lib.PATIENCE), 1)
                self.assertIn(error, p.tail().replace('\\"', '"'))


if __name__ == "__main__":
    unittest.main()
