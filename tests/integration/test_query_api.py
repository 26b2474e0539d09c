"""The query API: shapes of answers, the metadata endpoints, tails over WebSocket, hostile requests."""
import base64
import json
import os
import socket
import struct
import threading
import time
import unittest
import urllib.parse

from lib import PATIENCE, Loge, http

NOW = int(time.time()) * 10**9
MINUTE = 60 * 10**9


class WebSocket:
    """The least of RFC 6455 that reads text frames."""

    def __init__(self, loge, path, headers=()):
        self.sock = socket.create_connection(("127.0.0.1", loge.port), timeout=20 * PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            piece = self.sock.recv(4096)
            if not piece:
                break
            self.buffer += piece
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])

    def read(self, n):
        while len(self.buffer) < n:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def frame(self):
        """The next text frame as JSON; None when the peer closes."""
        while True:
            first, second = self.read(2)
            n = second & 0x7F
            if n == 126:
                n = struct.unpack(">H", self.read(2))[0]
            elif n == 127:
                n = struct.unpack(">Q", self.read(8))[0]
            payload = self.read(n)
            if first & 0xF == 1:
                return json.loads(payload)
            if first & 0xF == 8:
                return None

    def lines_until(self, wanted):
        found = []
        while len(found) < wanted:
            frame = self.frame()
            for s in frame["streams"]:
                found += [v[1] for v in s["values"]]
        return found

    def close(self):
        self.sock.close()


class QueryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.loge = Loge(config="limits_config: {ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000,"
                               " per_stream_rate_limit: 1GB, per_stream_rate_limit_burst: 1GB}\n").start()
        cls.loge.push({"app": "web", "env": "prod"},
                      [(NOW + i * 10**9, f"level=info n={i}", {"trace": f"t{i}"}) for i in range(10)])
        cls.loge.push({"app": "db", "env": "dev"}, [(NOW + 5 * 10**9, '{"user":{"id":7},"ms":1.5}')])

    @classmethod
    def tearDownClass(cls):
        assert cls.loge.stop() == 0, cls.loge.tail()

    def query(self, query, **more):
        return self.loge.query_range(query, NOW - MINUTE, NOW + MINUTE, **more)

    def test_log_answers(self):
        data = self.query('{app="web"}', limit=3, direction="backward")
        self.assertEqual(data["resultType"], "streams")
        values = sorted((v for s in data["result"] for v in s["values"]), reverse=True)
        self.assertEqual([v[1] for v in values], [f"level=info n={i}" for i in (9, 8, 7)])
        self.assertEqual(data["result"][0]["stream"]["service_name"], "web")
        self.assertGreater(data["stats"]["summary"]["totalLinesProcessed"], 0)
        text = self.loge.get("/loki/api/v1/query_range", query='{app="web"}', start=NOW, end=NOW + 1)[1]
        self.assertLess(text.index(b'"resultType"'), text.index(b'"result":'))

    def test_categorized_labels(self):
        data = self.query('{app="web"} | logfmt', headers={
            "X-Loki-Response-Encoding-Flags": "categorize-labels"})
        self.assertEqual(data["encodingFlags"], ["categorize-labels"])
        self.assertEqual(data["result"][0]["stream"], {"app": "web", "env": "prod", "service_name": "web"})
        self.assertEqual(data["result"][0]["values"][0][2],
                         {"structuredMetadata": {"detected_level": "info", "trace": "t0"},
                          "parsed": {"level": "info", "n": "0"}})

    def test_metric_answers(self):
        data = self.query('sum by (app) (count_over_time({env=~".+"}[5m]))', step=60)
        self.assertEqual(data["resultType"], "matrix")
        self.assertEqual({s["metric"]["app"] for s in data["result"]}, {"web", "db"})
        vector = self.loge.get_json("/loki/api/v1/query", query="vector(1)+vector(1)", time=4)["data"]
        self.assertEqual(vector["resultType"], "vector")
        self.assertEqual(vector["result"], [{"metric": {}, "value": [4, "2"]}])

    def test_explain_comes_with_the_answer(self):
        data = self.query('{app="web"} |= "n=3"', explain=1)
        self.assertIn("explain", data)

    def test_labels_series_and_stats(self):
        span = {"start": NOW - MINUTE, "end": NOW + MINUTE}
        get = self.loge.get_json
        self.assertEqual(get("/loki/api/v1/labels", query='{app=~".+"}', **span)["data"], ["app", "env", "service_name"])
        self.assertEqual(get("/loki/api/v1/label/app/values", **span)["data"], ["db", "web"])
        self.assertEqual(get("/loki/api/v1/label/app/values", query='{env="dev"}', **span)["data"], ["db"])
        self.assertEqual(get("/loki/api/v1/label/none/values", **span), {"status": "success"})
        series = get("/loki/api/v1/series", **{"match[]": ['{app="web"}', '{env="prod"}']}, **span)
        self.assertEqual(series["data"], [{"app": "web", "env": "prod", "service_name": "web"}])
        stats = get("/loki/api/v1/index/stats", query='{app="web"}', **span)
        self.assertEqual((stats["streams"], stats["entries"]), (1, 10))
        volume = get("/loki/api/v1/index/volume", query='{app=~".+"}', **span)["data"]
        self.assertEqual(volume["resultType"], "vector")
        self.loge.push({"app": "half", "half": "1", "n": "1"}, [(NOW, "x")])
        self.loge.push({"app": "half", "n": "2"}, [(NOW, "x")])
        for targets, query, wanted in (("half", '{app="half"}', [{"half": "1"}]),
                                       ("half", '{app="half",half!="2"}', [{"half": "1"}, {}]),
                                       ("half,n", '{app="half",half!="2"}', [{"half": "1", "n": "1"}, {"n": "2"}])):
            volume = get("/loki/api/v1/index/volume", query=query, targetLabels=targets, **span)["data"]
            self.assertCountEqual([v["metric"] for v in volume["result"]], wanted, (targets, query))
        detected = get("/loki/api/v1/detected_labels", query='{app=~"web|db"}', **span)["detectedLabels"]
        self.assertEqual({d["label"]: d["cardinality"] for d in detected},
                         {"app": 2, "env": 2, "service_name": 2})
        for i in range(60):
            self.loge.push({"app": "many", "n": str(i), "v": f"v{i}", "pod": str(i)}, [(NOW, "x")])
        detected = get("/loki/api/v1/detected_labels", query='{app="many"}', **span)["detectedLabels"]
        self.assertEqual({d["label"]: d["cardinality"] for d in detected},
                         {"app": 1, "v": 60, "pod": 60, "service_name": 1})
        fields = {f["label"]: f for f in get("/loki/api/v1/detected_fields", query='{app="db"}', **span)["fields"]}
        self.assertEqual(fields["user_id"]["jsonPath"], ["user", "id"])
        self.assertEqual(fields["ms"]["type"], "float")
        values = get("/loki/api/v1/detected_field/user_id/values", query='{app="db"}', **span)
        self.assertEqual(values["values"], ["7"])
        self.loge.push({"app": "sizes"}, [(NOW + i, f"size={size} n={i}") for i, size in enumerate(
            ("1.2MiB", "4KB", "17", "10m", "12 kB", "100MB", "3x"))])
        values = get("/loki/api/v1/detected_field/size/values", query='{app="sizes"}', **span)
        self.assertEqual(values["values"], sorted(["10MB", "100MB", "12", "17", "3x", "1.3MB", "4.0kB"]))
        values = get("/loki/api/v1/detected_field/size/values", query='{app="sizes"}', limit=2, **span)
        self.assertEqual(values, {"values": ["100MB", "3x"], "limit": 2})
        self.assertEqual(get("/loki/api/v1/drilldown-limits")["limits"]["volume_enabled"], True)
        self.assertIn(b"max_query_series", self.loge.get("/config/tenant/v1/limits")[1])

    def test_what_the_metadata_paths_refuse(self):
        span = {"start": NOW - MINUTE, "end": NOW + MINUTE}
        year = {"start": NOW - 366 * 24 * 60 * MINUTE, "end": NOW}
        backwards = {"start": NOW + MINUTE, "end": NOW - MINUTE}
        app, other = '{app=~".+"}', '{app!="x"}'
        shards = {"query": app, "targetBytesPerShard": "1MB"}
        for path, query in (("labels", {"query": app}), ("label/app/values", {"query": app}),
                            ("series", {"match[]": app}), ("index/stats", {"query": app}),
                            ("index/volume", {"query": app}), ("index/volume_range", {"query": app}),
                            ("detected_labels", {"query": app}), ("detected_fields", {"query": app}),
                            ("index/shards", shards)):
            self.assertEqual(self.loge.get("/loki/api/v1/" + path, **query, **span)[0], 200, path)
            status, body, _ = self.loge.get("/loki/api/v1/" + path, **query, **year)
            self.assertEqual(status, 400, path)
            self.assertIn(b"the query time range exceeds the limit", body)
            self.assertEqual(self.loge.get("/loki/api/v1/" + path, **query, **backwards)[0], 400, path)
        for status, path, query in (
                (400, "series", {"match[]": other}), (200, "series", {"match[]": "{ }"}),
                (200, "series", {"match[]": ["{}", "{}"]}), (400, "series", {"match[]": ["{}", app]}),
                (400, "index/volume", {"query": other}), (200, "index/volume", {"query": "{}"}),
                (400, "index/volume", {"query": "{ }"}), (200, "index/volume", {"query": app, "limit": 0}),
                (200, "index/volume", {"query": app, "step": "x"}),
                (400, "index/volume_range", {"query": app, "step": "x"}),
                (400, "detected_fields", {"query": app, "field_limit": 0}),
                (200, "index/shards", {**shards, "query": app + ' |= "x"'}),
                (200, "index/shards", {**shards, "query": f"rate({app}[1m])"}),
                (500, "index/shards", {**shards, "query": f"rate({app}[1m]) + rate({app}[1m])"}),
                (400, "index/shards", {"query": app, "targetBytesPerShard": "x"}),
                (400, "index/shards", {"query": app, "targetBytesPerShard": 0})):
            self.assertEqual(self.loge.get("/loki/api/v1/" + path, **query, **span)[0], status, (path, query))

    def test_errors_are_plain_text_with_lokis_status(self):
        status, body, headers = self.loge.get("/loki/api/v1/query_range", query="{app=")
        self.assertEqual(status, 400)
        self.assertEqual(body, b"parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING")
        self.assertIn("text/plain", headers["Content-Type"])
        self.assertEqual(self.loge.get("/loki/api/v1/query", query='{app="web"}')[0], 400)
        self.assertEqual(http("GET", self.loge.url + "/loki/api/v1/query_range?query=%zz")[0], 400)
        self.assertEqual(http("DELETE", self.loge.url + "/loki/api/v1/query_range")[0], 405)
        status, body, _ = self.loge.get("/loki/api/v1/format_query", query="{")
        self.assertEqual((status, json.loads(body)["status"]), (400, "invalid-query"))

    def test_a_long_answer_is_streamed_whole(self):
        base = NOW - 30 * MINUTE
        for part in range(10):  # 20 MB: beyond what is answered in one piece
            self.loge.push({"long": "yes"}, [(base + part * 500 + i, "%05d " % (part * 500 + i) + "x" * 4000)
                                             for i in range(500)])
        found = self.loge.lines('{long="yes"}', base, base + MINUTE)
        self.assertEqual([int(line[:5]) for _, line in found], list(range(5000)))

    def test_legacy_query(self):
        answer = self.loge.get_json("/api/prom/query", query='{app="db"}', start=NOW - MINUTE, end=NOW + MINUTE)
        self.assertEqual(answer["streams"][0]["entries"][0]["line"], '{"user":{"id":7},"ms":1.5}')
        self.assertIn('app="db"', answer["streams"][0]["labels"])
        self.assertEqual(self.loge.get("/api/prom/query", query="rate({a=\"b\"}[1m])")[0], 400)

    def test_hostile_requests_do_not_hurt(self):
        for query in ("(" * 100000, '{a="b"}' + " | json" * 10000, '{a=~"(((((a*)*)*)*)*)b"}',
                      "1" + "+1" * 20000, '{a="' + "x" * 60000 + '"}'):
            status, _, _ = http("POST", self.loge.url + "/loki/api/v1/query_range",
                                urllib.parse.urlencode({"query": query}).encode(),
                                {"Content-Type": "application/x-www-form-urlencoded"})
            self.assertIn(status, (200, 400, 413, 500), query[:50])
        self.assertTrue(self.loge.is_ready())

    def test_a_client_that_leaves_ends_its_query(self):
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", self.loge.port))
            path = "/loki/api/v1/query_range?" + urllib.parse.urlencode(
                {"query": 'sum(rate({app=~".+"} | json | logfmt [1m]))', "start": NOW - 60 * MINUTE,
                 "end": NOW, "step": 1})
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            s.close()
        self.assertTrue(self.loge.is_ready())


class TailTest(unittest.TestCase):
    def tail(self, loge, query, **more):
        path = "/loki/api/v1/tail?" + urllib.parse.urlencode({"query": query, **more})
        return WebSocket(loge, path)

    def test_history_and_then_what_comes(self):
        with Loge() as loge:
            now = time.time_ns()
            loge.push({"t": "a"}, [(now - 2 * 10**9, "old"), (now - 10**9, "older news")])
            ws = self.tail(loge, '{t="a"} |~ "old|new" | logfmt', limit=10)
            self.assertEqual(ws.status, 101)
            self.assertEqual(ws.lines_until(2), ["old", "older news"])
            for i in range(5):
                loge.push({"t": "a"}, [(time.time_ns(), f"new {i}"), (time.time_ns(), "not this")])
                loge.push({"t": "b"}, [(time.time_ns(), "new elsewhere")])
            self.assertEqual(ws.lines_until(5), [f"new {i}" for i in range(5)])
            ws.close()
            loge.push({"t": "a"}, [(time.time_ns(), "new after the end")])

    def test_nothing_is_lost_or_doubled_around_the_opening(self):
        with Loge() as loge:
            stop = threading.Event()
            sent = []

            def write():
                while not stop.is_set():
                    line = f"new {len(sent)}"
                    loge.push({"t": "a"}, [(time.time_ns(), line)])
                    sent.append(line)
            writer = threading.Thread(target=write)
            writer.start()
            time.sleep(0.3)
            ws = self.tail(loge, '{t="a"}', limit=5000)
            time.sleep(0.5)
            stop.set()
            writer.join()
            self.assertEqual(ws.lines_until(len(sent)), sent)
            ws.close()

    def test_refusals_and_stop(self):
        with Loge(config="limits_config: {max_concurrent_tail_requests: 1}\n") as loge:
            self.assertEqual(loge.get("/loki/api/v1/tail", query='{a="b"}')[0], 400)
            self.assertEqual(self.tail(loge, '{a=').status, 400)
            self.assertEqual(self.tail(loge, 'rate({a="b"}[1m])').status, 400)
            self.assertEqual(self.tail(loge, '{a="b"}', delay_for=6).status, 400)
            first = self.tail(loge, '{a="b"}')
            self.assertEqual(first.status, 101)
            self.assertEqual(self.tail(loge, '{a="b"}').status, 400)
            self.assertEqual(loge.stop(), 0)  # does not wait for the open tail
            self.assertIsNone(first.frame())


if __name__ == "__main__":
    unittest.main()
