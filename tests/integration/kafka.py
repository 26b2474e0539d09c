"""A real Kafka broker for tests: one node that is its own controller (KRaft), on loopback ports.

    with Kafka() as kafka:
        kafka.create_topic("logs", partitions=3)
        kafka.produce("logs", [b"line", Message(b"value", key=b"k", partition=1)])
        kafka.committed("group", "logs")   # {partition: offset}

The broker is Apache's, from Maven Central (peers.jars); what is asked of it goes through librdkafka,
which promtail is linked with anyway.
"""
import base64
import collections
import ctypes
import os
import subprocess
import time
import unittest
import uuid

import lib
import peers

# The protocol of each listener.
LISTENERS = {"PLAIN": "PLAINTEXT", "TLS": "SSL", "SASL": "SASL_PLAINTEXT", "SASLTLS": "SASL_SSL"}
USER, PASSWORD = "promtail", "right"

Message = collections.namedtuple("Message", "value key partition timestamp_ms",
                                 defaults=(None, -1, 0))  # value None: a tombstone


def certificates(folder):
    """ca.pem; server.pem for localhost and 127.0.0.1; client.pem; keys beside them; other-ca.pem."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    with open(folder + "/names", "w") as f:
        f.write("subjectAltName=DNS:localhost,DNS:kafka.test,IP:127.0.0.1")
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca + ".key", "-out",
                ca + ".pem", "-subj", "/CN=test " + ca, "-days", "2")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out",
                name + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", name + ".pem", "-days", "2", "-extfile", "names")


class Kafka(lib.Process):
    """With `secure` it listens with TLS (which wants a client's certificate) and SASL too; the
    certificates are those of certificates() in its folder."""

    def __init__(self, folder=None, secure=False):
        self.jars = peers.jars("kafka")
        super().__init__(folder)
        self.secure = secure
        self.ports = {name: lib.free_port() for name in LISTENERS if secure or name == "PLAIN"}
        self.controller_port = lib.free_port()
        self.address = f"127.0.0.1:{self.ports['PLAIN']}"
        self.settings = os.path.join(self.folder, "server.properties")
        self.client = None

    def java(self, *arguments):
        return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                f"-Dlog4j.configuration=file:{self.folder}/log4j.properties",
                "-cp", self.jars + "/*", *arguments]

    def write_settings(self):
        login = "org.apache.kafka.common.security"
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()]
        protocols = [f"{name}:{LISTENERS[name]}" for name in self.ports]
        lines = ["process.roles=broker,controller", "node.id=1",
                 f"controller.quorum.voters=1@127.0.0.1:{self.controller_port}",
                 "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAIN",
                 f"listeners={','.join(listeners)},CONTROLLER://127.0.0.1:{self.controller_port}",
                 f"advertised.listeners={','.join(listeners)}",
                 f"listener.security.protocol.map={','.join(protocols)},CONTROLLER:PLAINTEXT",
                 f"log.dirs={self.folder}/kafka", "offsets.topic.replication.factor=1",
                 "offsets.topic.num.partitions=1", "transaction.state.log.replication.factor=1",
                 "transaction.state.log.min.isr=1", "group.initial.rebalance.delay.ms=0",
                 "auto.create.topics.enable=false", "message.max.bytes=2000000",
                 "log.flush.interval.messages=1"]  # a killed broker keeps what it acknowledged
        if self.secure:
            certificates(self.folder)
            with open(self.folder + "/server.both", "w") as f:
                for name in ("server.key", "server.pem"):
                    with open(os.path.join(self.folder, name)) as part:
                        f.write(part.read())
            lines += ["ssl.keystore.type=PEM", f"ssl.keystore.location={self.folder}/server.both",
                      "ssl.truststore.type=PEM", f"ssl.truststore.location={self.folder}/ca.pem",
                      "listener.name.tls.ssl.client.auth=required"]
            for name in ("sasl", "sasltls"):
                lines += [f"listener.name.{name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                          f"listener.name.{name}.plain.sasl.jaas.config={login}.plain.PlainLoginModule "
                          f'required user_{USER}="{PASSWORD}";']
                lines += [f"listener.name.{name}.scram-sha-{bits}.sasl.jaas.config="
                          f"{login}.scram.ScramLoginModule required;" for bits in (256, 512)]
        with open(self.settings, "w") as f:
            f.write("\n".join(lines) + "\n")
        with open(self.folder + "/log4j.properties", "w") as f:
            f.write("log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
                    "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
                    "log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n\n")

    def format(self):
        """Makes the data folder, with the users of SCRAM."""
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = self.java("kafka.tools.StorageTool", "format", "-t", "A" + name[1:], "-c", self.settings)
        for bits in (256, 512) if self.secure else ():
            command += ["--add-scram", f"SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True,
                              timeout=120 * lib.PATIENCE, check=False)
        if done.returncode != 0:
            raise AssertionError("no storage for Kafka:\n" + done.stdout + done.stderr)

    def command(self):
        return self.java("kafka.Kafka", self.settings)

    def start(self):
        """Also after kill() or stop(): on the same data and ports."""
        if not os.path.exists(self.settings):
            self.write_settings()
            self.format()
        super().start()
        lib.wait_until(self.is_ready, 60, "Kafka to answer")
        self.client = self.client or Client(self.address)
        return self

    def is_ready(self):
        if not self.is_running():
            raise AssertionError("Kafka ended:\n" + self.tail())
        probe = Client(self.address)
        try:
            return probe.has_broker()
        finally:
            probe.close()

    def stop(self, seconds=30):
        status = super().stop(seconds)
        return 0 if status == 143 else status  # what Java makes of SIGTERM

    def __exit__(self, kind, value, trace):
        if self.client is not None:
            self.client.close()
        super().__exit__(kind, value, trace)

    def create_topic(self, topic, partitions=1):
        self.client.create_topic(topic, partitions)

    def delete_topic(self, topic):
        self.client.delete_topic(topic)

    def produce(self, topic, messages):
        """Values or Messages; returns when the broker has them all."""
        self.client.produce(topic, messages)

    def committed(self, group, topic, partitions=1):
        """{partition: offset} as the broker knows it; partitions without an offset are not in it."""
        client = Client(self.address, group)
        try:
            return client.committed(topic, partitions)
        finally:
            client.close()

    def reset(self, group, topic, partition, offset):
        """Sets the offset of a group that has no members, as kafka-consumer-groups does."""
        client = Client(self.address, group)
        try:
            client.commit(topic, partition, offset)
        finally:
            client.close()


# --- librdkafka ---

class Partition(ctypes.Structure):
    _fields_ = [("topic", ctypes.c_char_p), ("partition", ctypes.c_int32), ("offset", ctypes.c_int64),
                ("metadata", ctypes.c_void_p), ("metadata_size", ctypes.c_size_t),
                ("opaque", ctypes.c_void_p), ("err", ctypes.c_int), ("own", ctypes.c_void_p)]


class Partitions(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int), ("size", ctypes.c_int), ("items", ctypes.POINTER(Partition))]


DELIVERED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int), ctypes.c_void_p)
VALUE, KEY, PARTITION, FLAGS, TIME, TOPIC = 4, 5, 3, 7, 8, 1  # what follows, for rd_kafka_producev
COPY = 2
NO_OFFSET = -1001
QUEUE_FULL = -184
WAIT_MS = 10_000


def load():
    try:
        library = ctypes.CDLL("librdkafka.so.1")
    except OSError as why:
        raise unittest.SkipTest(f"no librdkafka: {why}") from why
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result in {"conf_new": pointer, "new": pointer, "queue_new": pointer, "err2str": text,
                         "NewTopic_new": pointer, "DeleteTopic_new": pointer, "queue_poll": pointer,
                         "event_CreateTopics_result": pointer, "event_DeleteTopics_result": pointer,
                         "CreateTopics_result_topics": pointer, "DeleteTopics_result_topics": pointer,
                         "topic_partition_list_new": ctypes.POINTER(Partitions),
                         "topic_partition_list_add": ctypes.POINTER(Partition)}.items():
        getattr(library, "rd_kafka_" + name).restype = result
    return library


class Client:
    """Producer, or with a group one who asks what it has committed (and never joins it)."""

    def __init__(self, address, group=None):
        self.library = load()
        self.failed = []
        self.on_delivered = DELIVERED(self.delivered)  # kept: librdkafka holds the address only
        why = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(self.call("conf_new"))
        settings = {"bootstrap.servers": address, "log_level": "0", "linger.ms": "1",
                    "message.max.bytes": "2000000", "acks": "all", "message.timeout.ms": "20000"}
        if group is not None:
            settings = {"bootstrap.servers": address, "log_level": "0", "group.id": group}
        for name, value in settings.items():
            if self.call("conf_set", conf, name.encode(), value.encode(), why, 512) != 0:
                raise AssertionError(why.value.decode())
        self.call("conf_set_dr_msg_cb", conf, self.on_delivered)
        self.handle = ctypes.c_void_p(self.call("new", 0 if group is None else 1, conf, why, 512))
        assert self.handle.value, why.value

    def call(self, name, *arguments):
        return getattr(self.library, "rd_kafka_" + name)(*arguments)

    def close(self):
        if self.handle is not None:
            self.call("destroy", self.handle)
        self.handle = None

    def delivered(self, handle, message, opaque):
        del handle, opaque
        if message[0] != 0:
            self.failed.append(self.error(message[0]))

    def error(self, code):
        return self.call("err2str", code).decode()

    def check(self, code):
        if code != 0:
            raise AssertionError("Kafka: " + self.error(code))

    def has_broker(self):
        found = ctypes.c_void_p()
        if self.call("metadata", self.handle, 1, None, ctypes.byref(found), 2000) != 0:
            return False
        self.call("metadata_destroy", found)
        return True

    def topics(self, action, made):
        """Has `made`, one topic to be created or deleted, dealt with and waits for the answer."""
        queue = ctypes.c_void_p(self.call("queue_new", self.handle))
        self.call(action, self.handle, (ctypes.c_void_p * 1)(made), ctypes.c_size_t(1), None, queue)
        event = ctypes.c_void_p(self.call("queue_poll", queue, WAIT_MS))
        assert event.value, "no answer from Kafka"
        self.check(self.call("event_error", event))
        result = ctypes.c_void_p(self.call(f"event_{action}_result", event))
        n = ctypes.c_size_t()
        topics = ctypes.c_void_p(self.call(f"{action}_result_topics", result, ctypes.byref(n)))
        first = ctypes.cast(topics, ctypes.POINTER(ctypes.c_void_p))[0]
        self.check(self.call("topic_result_error", ctypes.c_void_p(first)))
        self.call("event_destroy", event)
        self.call("queue_destroy", queue)

    def create_topic(self, topic, partitions):
        why = ctypes.create_string_buffer(512)
        made = self.call("NewTopic_new", topic.encode(), partitions, 1, why, ctypes.c_size_t(512))
        assert made, why.value
        self.topics("CreateTopics", made)
        self.call("NewTopic_destroy", ctypes.c_void_p(made))

    def delete_topic(self, topic):
        made = self.call("DeleteTopic_new", topic.encode())
        self.topics("DeleteTopics", made)
        self.call("DeleteTopic_destroy", ctypes.c_void_p(made))

    def produce(self, topic, messages):
        for m in messages:
            m = m if isinstance(m, Message) else Message(m)
            arguments = [TOPIC, ctypes.c_char_p(topic.encode()), PARTITION, ctypes.c_int32(m.partition),
                         VALUE, ctypes.c_char_p(m.value), ctypes.c_size_t(len(m.value or b"")),
                         FLAGS, COPY, TIME, ctypes.c_int64(m.timestamp_ms)]
            if m.key is not None:
                arguments += [KEY, ctypes.c_char_p(m.key), ctypes.c_size_t(len(m.key))]
            while (code := self.call("producev", self.handle, *arguments, 0)) == QUEUE_FULL:
                self.call("poll", self.handle, 100)
            self.check(code)
        self.check(self.call("flush", self.handle, 30_000))
        failed, self.failed = self.failed, []
        assert not failed, failed[:3]

    def list_of(self, topic, partitions):
        found = self.call("topic_partition_list_new", partitions)
        for i in range(partitions):
            self.call("topic_partition_list_add", found, topic.encode(), i)
        return found

    def until_answered(self, name, *arguments):
        """A coordinator that has just begun refuses for a moment."""
        end = time.monotonic() + 20 * lib.PATIENCE
        while (code := self.call(name, self.handle, *arguments)) != 0 and time.monotonic() < end:
            time.sleep(0.1)
        self.check(code)

    def committed(self, topic, partitions):
        asked = self.list_of(topic, partitions)
        self.until_answered("committed", asked, WAIT_MS)
        items = [asked.contents.items[i] for i in range(partitions)]
        found = {p.partition: p.offset for p in items if p.offset != NO_OFFSET}
        self.call("topic_partition_list_destroy", asked)
        return found

    def commit(self, topic, partition, offset):
        wanted = self.call("topic_partition_list_new", 1)
        self.call("topic_partition_list_add", wanted, topic.encode(), partition).contents.offset = offset
        self.until_answered("commit", wanted, 0)
        self.call("topic_partition_list_destroy", wanted)
