"""The server as a process: start, stop, pages, configuration errors, and what kill -9 leaves."""
import os
import signal
import subprocess
import threading
import time
import unittest

import peers
from lib import BIN, PATIENCE, Loge, http, wait_until

NOW = int(time.time()) * 10**9


def loge_command(*flags, text=None, folder="/tmp"):
    """(exit status, output) of a run that ends by itself."""
    if text is not None:
        path = os.path.join(folder, "bad.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        flags = (f"-config.file={path}",) + flags
    done = subprocess.run([os.path.join(BIN, "loge"), *flags], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30 * PATIENCE, check=False)
    return done.returncode, done.stdout


class Pages(unittest.TestCase):
    def test_every_page_answers(self):
        with Loge() as loge:
            for path, part in [("/ready", b"ready"), ("/services", b"ingester => Running"),
                               ("/config", b"http_listen_port: %d" % loge.port),
                               ("/config?mode=defaults", b"http_listen_port: 3100"),
                               ("/loki/api/v1/status/buildinfo", b'"version":"3.'),
                               ("/metrics", b"process_resident_memory_bytes"),
                               ("/log_level", b"log level")]:
                status, body, _ = http("GET", loge.url + path)
                self.assertEqual(status, 200, path)
                self.assertIn(part, body.lower() if path == "/log_level" else body, path)
            self.assertEqual(http("GET", loge.url + "/nothing")[0], 404)

    def test_metrics_please_promtool(self):
        promtool = peers.program("prometheus", "usr/bin/promtool")
        with Loge() as loge:
            loge.push({"job": "m"}, [(NOW, "x")])
            loge.query_range('{job="m"}', NOW - 10**9, NOW + 10**9)
            text = loge.get("/metrics")[1]
        done = subprocess.run([promtool, "check", "metrics"], input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        # Loki's own names break some of its style hints (exit 3); what it cannot parse is exit 1.
        self.assertIn(done.returncode, (0, 3), done.stdout.decode())
        self.assertNotIn(b"error", done.stdout.lower())


class Command(unittest.TestCase):
    def test_version_help_and_targets(self):
        status, text = loge_command("-version")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"^loge, version \d+\.\d+\.\d+")
        status, text = loge_command("-help")
        self.assertEqual(status, 0)
        self.assertIn("-server.http-listen-port", text)
        status, text = loge_command("-list-targets")
        self.assertEqual(status, 0)
        self.assertIn("distributor", text)

    def test_a_wrong_configuration_names_file_line_and_key(self):
        status, text = loge_command(text="auth_enabled: false\nserver:\n  http_listen_prot: 1\n")
        self.assertEqual(status, 1)
        self.assertIn("bad.yaml:3: server.http_listen_prot: unknown key, did you mean", text)
        status, text = loge_command("-verify-config", text="limits_config: {max_line_size: big}\n")
        self.assertEqual(status, 1)
        self.assertIn("limits_config.max_line_size", text)

    def test_unsupported_settings_are_named_and_lenient_warns(self):
        text = "ruler: {enable_api: true}\n"
        status, out = loge_command("-verify-config", text=text)
        self.assertEqual(status, 1)
        self.assertIn("-config.lenient", out)
        status, out = loge_command("-verify-config", "-config.lenient", text=text)
        self.assertEqual(status, 0, out)
        self.assertIn("ruler", out)

    def test_unknown_flags_and_a_missing_file_are_refused(self):
        self.assertNotEqual(loge_command("-no.such.flag")[0], 0)
        status, text = loge_command("-config.file=/no/such.yaml")
        self.assertEqual(status, 1)
        self.assertIn("/no/such.yaml", text)

    def test_a_taken_port_is_an_error_not_a_hang(self):
        with Loge() as loge:
            status, text = loge_command(f"-server.http-listen-port={loge.port}",
                                        "-server.http-listen-address=127.0.0.1",
                                        f"-data.dir={loge.folder}/other")
            self.assertEqual(status, 1)
            self.assertIn("in use", text.lower())


class Crash(unittest.TestCase):
    def test_what_was_acknowledged_survives_kill_9(self):
        loge = Loge().start()
        self.addCleanup(lambda: loge.is_running() and loge.kill())
        acknowledged = []
        stop = threading.Event()

        def push():
            n = 0
            while not stop.is_set():
                batch = [(NOW + n * 1000 + i, f"line {n} {i}") for i in range(20)]
                try:
                    loge.push({"job": "crash", "worker": "w"}, batch)
                except (OSError, AssertionError):
                    return
                acknowledged.extend(batch)
                n += 1

        for _ in range(3):
            stop.clear()
            thread = threading.Thread(target=push)
            thread.start()
            time.sleep(0.4)
            loge.kill()
            stop.set()
            thread.join()
            loge.start()
        self.assertGreater(len(acknowledged), 100)
        found = set()
        end = max(ts for ts, _ in acknowledged) + 1
        start = NOW
        while start < end:
            page = loge.lines('{job="crash"}', start, end, limit=5000)
            if not page:
                break
            found.update(page)
            start = page[-1][0] + 1
        self.assertEqual(set(acknowledged) - found, set())
        loge.stop()

    def test_sigterm_drains_and_a_restart_finds_everything(self):
        loge = Loge().start()
        loge.push({"job": "drain"}, [(NOW + i, f"l{i}") for i in range(100)])
        self.assertEqual(loge.stop(), 0)
        loge.start()
        self.assertEqual(len(loge.lines('{job="drain"}', NOW, NOW + 1000)), 100)
        loge.push({"job": "drain"}, [(NOW + 500, "after")])
        http("POST", loge.url + "/flush")
        wait_until(lambda: len(loge.lines('{job="drain"}', NOW, NOW + 1000)) == 101)
        self.assertEqual(loge.stop(), 0)
        loge.start()
        self.assertEqual(len(loge.lines('{job="drain"}', NOW, NOW + 1000)), 101)
        loge.stop()

    def test_a_second_sigterm_ends_at_once(self):
        loge = Loge().start()
        loge.process.send_signal(signal.SIGTERM)
        loge.process.send_signal(signal.SIGTERM)
        status = loge.process.wait(20 * PATIENCE)
        self.assertIn(status, (0, 1))
