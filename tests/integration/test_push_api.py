"""Pushes over HTTP: forms, encodings, answers, tenants, limits, numbered sources, /ring."""
import gzip
import json
import threading
import time
import unittest
import zlib

from lib import Loge, http

NOW = int(time.time()) * 10**9
PUSH = "/loki/api/v1/push"


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def snappy(plain):
    """A block of literals only."""
    out = bytearray(varint(len(plain)))
    for at in range(0, len(plain), 60):
        piece = plain[at:at + 60]
        out += bytes([(len(piece) - 1) << 2]) + piece
    return bytes(out)


def protobuf(labels, entries):
    stream = field(1, labels.encode())
    for ts, line, meta in entries:
        stamp = b"\x08" + varint(ts // 10**9) + b"\x10" + varint(ts % 10**9)
        entry = field(1, stamp) + field(2, line.encode())
        for name, value in meta.items():
            entry += field(3, field(1, name.encode()) + field(2, value.encode()))
        stream += field(2, entry)
    return snappy(field(1, stream))


def document(labels, line, ts=NOW, **more):
    return {"streams": [{"stream": labels, "values": [[str(ts), line, *([more] if more else [])]]}]}


class PushTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.loge = Loge().start()

    @classmethod
    def tearDownClass(cls):
        assert cls.loge.stop() == 0, cls.loge.tail()

    def post(self, body, headers, path=PUSH):
        status, text, _ = http("POST", self.loge.url + path, body, headers)
        return status, text.decode()

    def lines(self, query):
        return [line for _, line in self.loge.lines(query, NOW - 10**9, NOW + 10**10)]

    def test_every_form_and_encoding_arrives(self):
        as_json = {"Content-Type": "application/json"}
        for name, body, headers in [
            ("plain", lambda b: b, {}),
            ("gzip", gzip.compress, {"Content-Encoding": "gzip"}),
            ("deflate", lambda b: zlib.compress(b)[2:-4], {"Content-Encoding": "deflate"}),
            ("charset", lambda b: b, {"Content-Type": "application/json; charset=utf-8"}),
        ]:
            text = json.dumps(document({"form": name}, "a line in " + name)).encode()
            self.assertEqual(self.post(body(text), {**as_json, **headers}), (204, ""), name)
            self.assertEqual(self.lines('{form="%s"}' % name), ["a line in " + name])
        packed = protobuf('{form="proto"}', [(NOW, "one", {}), (NOW + 1, "two", {"a.b": "c"})])
        for headers in ({"Content-Type": "application/x-protobuf"},
                        {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}):
            self.assertEqual(self.post(packed, headers), (204, ""))
        self.assertEqual(self.lines('{form="proto"}'), ["one", "two"])  # a repeat is stored once
        self.assertEqual(self.lines('{form="proto"} | a_b="c"'), ["two"])
        legacy = {"streams": [{"labels": '{form="old"}', "entries": [
            {"ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW // 10**9)), "line": "x"}]}]}
        self.assertEqual(self.post(json.dumps(legacy).encode(), as_json, "/api/prom/push"), (204, ""))
        self.assertEqual(self.lines('{form="old"}'), ["x"])

    def test_bad_pushes_are_answered_as_loki_does(self):
        as_json = {"Content-Type": "application/json"}
        for body, headers, status, text in [
            (b"{}", {"Content-Type": ""}, 400, "mime: no media type\n"),
            (b"{}", {**as_json, "Content-Encoding": "br"}, 400,
             'Content-Encoding "br" not supported\n'),
            (b"{}", {**as_json, "Content-Encoding": "gzip"}, 400, "gzip: invalid header\n"),
            (b"nonsense", {"Content-Type": "application/x-protobuf"}, 400, "snappy: corrupt input\n"),
            (b"", as_json, 400, "EOF\n"),
            (b'{"streams":[]}', as_json, 422,
             "error at least one valid stream is required for ingestion\n"),
            (json.dumps(document({"a-b": "1"}, "x")).encode(), as_json, 400,
             "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '-'\n"),
        ]:
            self.assertEqual(self.post(body, headers), (status, text), body)
        status, text = self.post(json.dumps(document({"a": "b"}, "x", 4102444800 * 10**9)).encode(), as_json)
        self.assertEqual(status, 400)
        self.assertIn("has timestamp too new: 2100-01-01T00:00:00Z", text)
        before = self.loge.metric("loki_discarded_samples_total", 'reason="too_far_in_future"')
        self.assertGreaterEqual(before, 1)

    def test_bombs_are_refused_and_cost_no_memory(self):
        bomb = gzip.compress(b'{"streams":[' + b" " * (300 << 20), 9)
        status, text = self.post(bomb, {"Content-Type": "application/json", "Content-Encoding": "gzip"})
        self.assertEqual(status, 413, text)
        lie = varint(0xF0000000) + b"\x00"
        status, _ = self.post(lie, {"Content-Type": "application/x-protobuf"})
        self.assertEqual(status, 400)
        deep = b'{"streams":' + b"[" * 1000000
        status, _ = self.post(deep, {"Content-Type": "application/json"})
        self.assertEqual(status, 400)

    def test_a_numbered_push_is_stored_once_and_gaps_are_counted(self):
        def send(seq, line):
            return self.post(json.dumps(document({"numbered": "yes"}, line, NOW + seq)).encode(),
                             {"Content-Type": "application/json", "X-Loge-Source": "host-1",
                              "X-Loge-Sequence": str(seq)})
        for seq, line in [(1, "first"), (1, "first again, other words"), (2, "second"), (5, "fifth")]:
            self.assertEqual(send(seq, line), (204, ""))
        self.assertEqual(self.lines('{numbered="yes"}'), ["first", "second", "fifth"])
        self.assertEqual(self.loge.metric("loge_source_duplicates_total"), 1)
        self.assertEqual(self.loge.metric("loge_source_gaps_total"), 2)

    def test_ring_pages(self):
        for path in ("/ring", "/distributor/ring"):
            status, body, headers = self.loge.get(path, {"Accept": "application/json"})
            self.assertEqual(status, 200)
            self.assertEqual([s["state"] for s in json.loads(body)["shards"]], ["ACTIVE"])
            self.assertIn("text/html", self.loge.get(path)[2]["Content-Type"])

    def test_received_lines_and_bytes_are_counted(self):
        before = self.loge.metric("loki_distributor_lines_received_total")
        self.loge.push({"count": "me"}, [(NOW + i, "12345", {"k": "v"}) for i in range(10)])
        self.assertEqual(self.loge.metric("loki_distributor_lines_received_total") - before, 10)


class LimitsTest(unittest.TestCase):
    def test_tenants_are_told_apart_and_limited_each(self):
        config = ("auth_enabled: true\n"
                  "limits_config: {ingestion_rate_mb: 0.001, ingestion_burst_size_mb: 0.001}\n")
        loge = Loge()
        loge.config = config
        command = loge.command

        def without_default():
            flags = command()
            path = loge.folder + "/loge.yaml"
            with open(path, encoding="utf-8") as f:
                text = f.read().replace("auth_enabled: false\n", "")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            return flags
        loge.command = without_default
        with loge:
            status, body, _ = loge.push_raw(document({"a": "b"}, "x"))
            self.assertEqual((status, body), (401, b"no org id\n"))
            for tenant in ("one", "two"):
                status, body, _ = loge.push_raw(document({"a": "b"}, tenant), {"X-Scope-OrgID": tenant})
                self.assertEqual(status, 204, body)
                found = loge.get_json("/loki/api/v1/query_range", {"X-Scope-OrgID": tenant},
                                      query='{a="b"}', start=NOW - 1, end=NOW + 1)
                self.assertEqual(found["data"]["result"][0]["values"][0][1], tenant)
            status, body, headers = loge.push_raw(document({"a": "b"}, "y" * 2000), {"X-Scope-OrgID": "one"})
            self.assertEqual(status, 429)
            self.assertIn(b"Ingestion rate limit exceeded for user one (limit: 1048 bytes/sec)", body)
            self.assertEqual(loge.get("/loki/api/v1/labels")[0], 401)

    def test_many_pushes_at_once(self):
        with Loge() as loge:
            def work(who):
                for i in range(20):
                    loge.push({"who": str(who)}, [(NOW + i, "line %d" % i)])
            threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(len(loge.lines('{who=~".+"}', NOW - 1, NOW + 10**9)), 160)


if __name__ == "__main__":
    unittest.main()
