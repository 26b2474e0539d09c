"""promtail and the server together: nothing lost, nothing twice, over kills on both sides."""
import argparse
import base64
import glob
import http.server
import os
import shutil
import tempfile
import threading
import time
import unittest

import lib
import torture_promtail
from sink_case import Promtail, SinkCase, lines


class PromtailTest(SinkCase):
    def test_resends_after_kill_without_doubles(self):
        self.sink.trouble = 300  # most pushes are taken and then answered by an error
        self.sink.start()
        promtail = self.start()
        for i in range(5):
            promtail.append("a.log", lines(i * 100, i * 100 + 100))
            promtail.start()
            time.sleep(0.3)
            promtail.kill()
        promtail.start()
        self.check_all(500)

    def test_keeps_batches_on_disk_while_the_server_is_away(self):
        promtail = self.start(wal="wal: {enabled: true}", retries=2)
        promtail.append("a.log", lines(0, 1000))
        promtail.start()
        lib.wait_until(lambda: promtail.metric("promtail_batch_retries_total") > 3,
                       what="retries beyond max_retries")
        promtail.kill()
        promtail.append("a.log", lines(1000, 1500))
        promtail.start()
        time.sleep(0.5)
        self.sink.start()
        extra = self.check_all(1500)
        self.assertEqual(extra["gaps"], 0)
        self.assertEqual(promtail.metric("promtail_lost_bytes_total"), 0)

    def test_counts_what_it_gives_up(self):
        promtail = self.start(retries=2)
        promtail.append("a.log", lines(0, 10))
        promtail.start()
        lib.wait_until(lambda: promtail.metric("promtail_lost_bytes_total") > 0, what="the loss")
        self.assertEqual(promtail.metric("promtail_lost_bytes_total"),
                         len(lines(0, 10)) - 10)

    def test_counts_what_was_truncated_before_it_was_read(self):
        self.sink.start()
        promtail = self.start(wal="limits_config: {readline_rate_enabled: true, "
                              "readline_rate_drop: false, readline_rate: 100, readline_burst: 10}")
        promtail.append("a.log", lines(0, 1000))
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() > 20, what="some lines")
        os.truncate(os.path.join(promtail.folder, "logs", "a.log"), 0)
        lib.wait_until(lambda: promtail.metric("promtail_lost_bytes_total") > 0, what="the loss")
        promtail.append("a.log", lines(1000, 1010))
        lost = promtail.metric("promtail_lost_bytes_total")
        n_read = next(n for n in range(1000) if len(lines(n, 1000)) <= lost)
        self.assertEqual(len(lines(n_read, 1000)), lost)
        self.check_all(n_read + 10)

    def test_sets_a_damaged_positions_file_aside(self):
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", lines(0, 10))
        path = os.path.join(promtail.folder, "positions.yaml")
        with open(path, "wb") as f:
            f.write(b"positions:\n  /x: \"1\"\n" + b"\0" * 100)
        promtail.start()
        self.check_all(10)
        self.assertTrue(os.path.exists(path + ".broken"))

    def test_tells_of_a_damaged_journal_and_reads_again(self):
        promtail = self.start()
        promtail.append("a.log", lines(0, 100))
        promtail.start()
        lib.wait_until(lambda: promtail.metric("promtail_batch_retries_total") > 0, what="a try")
        promtail.kill()
        (path,) = glob.glob(os.path.join(promtail.folder, "positions.yaml.journal", "*", "*.seg"))
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            f.write(b"XXXX")
        self.sink.start()
        promtail.start()
        self.check_all(100)
        self.assertGreater(promtail.metric("promtail_journal_damaged_bytes_total"), 0)

    def test_believes_a_positions_file_changed_by_hand(self):
        promtail = self.read_first(10)
        promtail.stop()
        path = os.path.join(promtail.folder, "positions.yaml")
        with open(path, "w") as f:
            f.write(f'positions:\n  {promtail.folder}/logs/a.log: "0"\n')
        promtail.start()
        lib.wait_until(lambda: self.sink.report()[0][1] == (10, 10), what="the same lines again")

    def test_fetches_oauth2_tokens(self):
        seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                auth = self.headers.get("Authorization", "")
                seen.append((self.path, auth, body if self.path == "/token" else b""))
                answer = b"{}"
                if self.path == "/token":
                    answer = b'{"access_token": "tok%d", "expires_in": 3600}' % len(seen)
                self.send_response(401 if len(seen) == 2 else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            port = server.server_address[1]
            self.promtail = promtail = Promtail(port, client="oauth2: {client_id: me, "
                "client_secret: hush, scopes: [a, b], endpoint_params: {x: y z}, "
                f"token_url: 'http://127.0.0.1:{port}/token'}}")
            promtail.append("a.log", "one\n")
            promtail.start()
            lib.wait_until(lambda: len(seen) >= 2, what="a token and a push")
            basic = "Basic " + base64.b64encode(b"me:hush").decode()
            self.assertEqual(seen[0], ("/token", basic,
                b"grant_type=client_credentials&scope=a+b&x=y%20z"))
            self.assertEqual(seen[1][:2], ("/loki/api/v1/push", "Bearer tok1"))
            promtail.append("a.log", "two\n")  # the 401 cost the first push, and the token
            lib.wait_until(lambda: len(seen) >= 4, what="another token")
            self.assertEqual([s[1] for s in seen[2:4]], [basic, "Bearer tok3"])
        finally:
            server.shutdown()

    def pushed_headers(self, client):
        """The headers of the first push of a client with these settings."""
        seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                seen.append(self.headers)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            self.promtail = promtail = Promtail(server.server_address[1], client=client)
            promtail.append("a.log", "one\n")
            promtail.start()
            lib.wait_until(lambda: seen, what="a push")
            promtail.stop()
        finally:
            server.shutdown()
        return seen[0]

    def test_a_header_of_its_own_stands_for_what_is_configured(self):
        headers = self.pushed_headers("bearer_token: t\n"
                                      "  headers: {authorization: mine, Host: other, X-A: b}")
        self.assertEqual(headers.get_all("Authorization"), ["mine"])
        self.assertEqual(headers["X-A"], "b")
        self.assertTrue(headers["Host"].startswith("127.0.0.1:"), headers["Host"])

    def test_credentials_of_a_file_have_their_type(self):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write(" secret\n")
            f.flush()
            headers = self.pushed_headers(
                f"authorization: {{type: Token, credentials_file: '{f.name}'}}")
        self.assertEqual(headers.get_all("Authorization"), ["Token secret"])

    def test_a_dry_run_begins_at_the_saved_position_and_changes_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            log, positions = os.path.join(folder, "a.log"), os.path.join(folder, "positions.yaml")
            with open(log, "w") as f:
                f.write("one\ntwo\nthree\n")
            saved = f'positions:\n  {log}: "4"\n'
            with open(positions, "w") as f:
                f.write(saved)
            config = ("server: {disable: true}\n"
                      "positions: {filename: '%s', sync_period: 100ms}\n"
                      "limits_config: {max_line_size: 3}\n"
                      "clients: [{url: 'http://127.0.0.1:1/push', tenant_id: me}]\n"
                      "scrape_configs:\n- job_name: test\n  static_configs:\n"
                      "  - labels: {job: test, __path__: '%s/*.log'}\n" % (positions, folder))
            promtail = lib.Promtail(config, "", flags=["-dry-run", "-inspect"])
            with promtail:
                lib.wait_until(lambda: "\tthree\n" in promtail.tail(), 10, "the last line")
                out = promtail.tail()
            with open(positions) as f:
                self.assertEqual(f.read(), saved)
            self.assertEqual(sorted(os.listdir(folder)), ["a.log", "positions.yaml"])
        self.assertIn("\ttwo\n", out)
        self.assertNotIn("\tone\n", out)
        self.assertIn("Clients configured:\n----------------------\n", out)
        self.assertIn("\ntenant_id: me\n", out)

    def test_torture(self):
        args = argparse.Namespace(bin_dir=lib.BIN, seconds=12, files=40, rate=1.0, rotate_ms=1000,
                                  keep=30, trouble=20, kill_every=3.0, down=1.0,
                                  settle=20.0 * lib.PATIENCE, seed=None, keep_dir=False, loge=False)
        torture = torture_promtail.Torture(args)
        try:
            self.assertTrue(torture.run())
        finally:
            shutil.rmtree(torture.dir, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
