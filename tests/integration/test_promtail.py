"""promtail and the server together: nothing lost, nothing twice, over kills on both sides."""
import argparse
import base64
import http.server
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import lib
import torture_promtail

CONFIG = """\
server: {{http_listen_address: 127.0.0.1, http_listen_port: {http}}}
positions: {{filename: {dir}/positions.yaml, sync_period: {sync}}}
{wal}
clients:
- url: http://127.0.0.1:{port}/loki/api/v1/push
  batchwait: 100ms
  backoff_config: {{min_period: 20ms, max_period: 200ms, max_retries: {retries}}}
  {client}
scrape_configs:
- job_name: test
  static_configs:
  - labels: {{job: test, __path__: '{dir}/logs/*.log'}}
"""


class Promtail(lib.Process):
    def __init__(self, port, wal="", retries=1000, client="", sync="200ms"):
        super().__init__()
        os.mkdir(os.path.join(self.folder, "logs"))
        self.http = lib.free_port()
        self.config = os.path.join(self.folder, "promtail.yaml")
        with open(self.config, "w") as f:
            f.write(CONFIG.format(dir=self.folder, port=port, http=self.http, wal=wal,
                                  retries=retries, client=client, sync=sync))

    def command(self):
        return [os.path.join(lib.BIN, "promtail"), "-config.file=" + self.config]

    def append(self, name, text):
        with open(os.path.join(self.folder, "logs", name), "a") as f:
            f.write(text)

    def metric(self, name):
        try:
            _, body, _ = lib.http("GET", f"http://127.0.0.1:{self.http}/metrics")
        except OSError:
            return 0  # it is only starting
        return sum(float(line.split()[-1]) for line in body.decode().splitlines()
                   if line.startswith((name + "{", name + " ")))


class Sink:
    """tests/integration/helpers/torture_sink: counts lines "F<file> N<number> ..."."""

    def __init__(self, port=None, trouble=0):
        self.port = port or lib.free_port()
        self.trouble = trouble
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(lib.BIN, "torture_sink"), str(self.port), str(self.trouble)])
        lib.wait_until(self.answers, what="the sink")
        return self

    def answers(self):
        try:
            return self.report() is not None
        except OSError:
            return False

    def report(self):
        return torture_promtail.report(self.port)

    def distinct(self, file=None):
        """How many different lines came, of one file or of all."""
        files = self.report()[0]
        return sum(d for number, (d, _) in files.items() if file in (None, number))

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def lines(first, last):
    return "".join(f"F1 N{i} some text\n" for i in range(first, last))


class PromtailTest(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(os.path.join(lib.BIN, "torture_sink")):
            raise unittest.SkipTest("torture_sink is not built")
        self.sink = Sink()
        self.promtail = None

    def tearDown(self):
        self.sink.stop()
        if self.promtail is not None:
            if self.promtail.is_running():
                self.promtail.kill()
            shutil.rmtree(self.promtail.folder, ignore_errors=True)

    def start(self, **options):
        self.promtail = Promtail(self.sink.port, **options)
        return self.promtail

    def check_all(self, n):
        lib.wait_until(lambda: self.sink.distinct(1) >= n, what=f"{n} lines")
        time.sleep(0.5)
        files, extra = self.sink.report()
        self.assertEqual(files[1], (n, 0))
        return extra

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

    def read_a_hundred_lines_and_kill(self):
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", lines(0, 100))
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() == 100, what="the first lines")
        promtail.kill()
        return promtail

    def test_drains_a_file_that_was_rotated_while_stopped(self):
        promtail = self.read_a_hundred_lines_and_kill()
        logs = os.path.join(promtail.folder, "logs")
        promtail.append("a.log", lines(100, 150))
        os.rename(os.path.join(logs, "a.log"), os.path.join(logs, "a.log.2"))
        promtail.append("a.log.1", lines(150, 200))
        promtail.append("a.log", lines(200, 250))
        promtail.start()
        self.check_all(250)

    def test_drains_a_rotated_file_that_was_compressed(self):
        promtail = self.read_a_hundred_lines_and_kill()
        logs = os.path.join(promtail.folder, "logs")
        promtail.append("a.log", lines(100, 150))
        os.rename(os.path.join(logs, "a.log"), os.path.join(logs, "a.log.1"))
        subprocess.run(["gzip", os.path.join(logs, "a.log.1")], check=True)
        promtail.append("a.log", lines(150, 200))
        promtail.start()
        self.check_all(200)

    def test_does_not_read_again_what_is_compressed_when_it_was_read(self):
        promtail = self.read_a_hundred_lines_and_kill()
        path = os.path.join(promtail.folder, "logs", "a.log")
        os.rename(path, path + ".1")
        subprocess.run(["gzip", path + ".1"], check=True)
        promtail.append("a.log", lines(100, 150))
        promtail.start()
        self.check_all(150)  # and so the first one is read to its end
        promtail.append("a.log", lines(150, 200))
        self.check_all(200)
        promtail.kill()
        os.rename(path, path + ".2")
        promtail.append("a.log.2", lines(200, 250))
        promtail.append("a.log.3", lines(250, 300))  # came and went meanwhile
        os.utime(path + ".1.gz")
        promtail.append("a.log", lines(300, 350))
        promtail.start()
        self.check_all(350)

    def test_drains_a_rotated_file_that_is_reached_through_a_link(self):
        self.sink.start()
        promtail = self.start()
        real = os.path.join(promtail.folder, "real")
        os.mkdir(real)
        os.symlink("../real/0.log", os.path.join(promtail.folder, "logs", "a.log"))
        promtail.append("a.log", lines(0, 100))
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() == 100, what="the first lines")
        promtail.kill()
        promtail.append("a.log", lines(100, 150))
        os.rename(real + "/0.log", real + "/0.log.1")
        promtail.append("a.log", lines(150, 200))
        promtail.start()
        self.check_all(200)

    def test_drains_a_rotated_file_though_nothing_has_come_in_its_place(self):
        promtail = self.read_a_hundred_lines_and_kill()
        path = os.path.join(promtail.folder, "logs", "a.log")
        promtail.append("a.log", lines(100, 150))
        os.rename(path, path + ".1")
        promtail.start()
        self.check_all(150)
        promtail.append("a.log", lines(150, 200))
        self.check_all(200)

    def read_a_few_lines(self):
        """A file so short that its head alone tells it from no other."""
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", lines(0, 1))
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() == 1, what="the first line")
        return promtail, os.path.join(promtail.folder, "logs", "a.log")

    def test_copies_and_truncates_a_short_file(self):
        promtail, path = self.read_a_few_lines()
        shutil.copy(path, path + ".1")
        os.truncate(path, 0)
        promtail.append("a.log", lines(1, 2))
        self.check_all(2)

    def test_does_not_read_what_was_compressed_or_copied_beside_its_successor(self):
        promtail, path = self.read_a_few_lines()
        os.rename(path, path + ".1")
        subprocess.run(["gzip", path + ".1"], check=True)
        os.utime(path + ".1.gz")
        promtail.append("a.log", lines(1, 2))
        self.check_all(2)
        shutil.copyfile(path, path + ".2")
        os.remove(path)
        promtail.append("a.log", lines(2, 3))
        self.check_all(3)

    def test_leaves_alone_what_was_rotated_before_it_began(self):
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", lines(0, 1))
        promtail.append("a.log.1", lines(500, 501))
        time.sleep(0.1)
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() == 1, what="the first line")
        path = os.path.join(promtail.folder, "logs", "a.log")
        os.rename(path, path + ".2")
        promtail.append("a.log", lines(1, 2))
        self.check_all(2)

    def test_reads_a_new_file_under_a_name_whose_file_was_deleted(self):
        self.sink.start()
        promtail = self.start(sync="7s")
        promtail.append("a.log", lines(0, 100))
        promtail.start()
        path = os.path.join(promtail.folder, "logs", "a.log")
        lib.wait_until(lambda: "/a.log" in self.positions(promtail), what="the position")
        os.unlink(path)
        lib.wait_until(lambda: promtail.metric("promtail_files_active_total") == 0, what="the end")
        promtail.append("a.tmp", lines(100, 900))  # larger than the one before
        os.rename(os.path.join(promtail.folder, "logs", "a.tmp"), path)
        self.check_all(900)

    def positions(self, promtail):
        try:
            with open(os.path.join(promtail.folder, "positions.yaml")) as f:
                return f.read()
        except OSError:
            return ""

    def test_goes_on_with_a_compressed_file_over_a_kill(self):
        promtail = self.read_a_hundred_lines_and_kill()
        path = os.path.join(promtail.folder, "logs", "a.log")
        padding = [base64.b64encode(os.urandom(750)).decode() for _ in range(20000)]
        os.rename(path, path + ".2")
        promtail.append("a.log.1", "".join(f"F1 N{i + 100} {p}\n" for i, p in enumerate(padding)))
        subprocess.run(["gzip", "-1", path + ".1"], check=True)
        promtail.append("a.log", lines(20100, 20150))
        self.sink.stop()
        promtail.start()
        time.sleep(1.5)  # 20 MB do not fit the queue: it is killed while it reads
        promtail.kill()
        promtail.start()
        self.sink.start()  # this one has not seen the first hundred
        lib.wait_until(lambda: self.sink.distinct() >= 20050, what="all lines")
        time.sleep(0.5)
        arrived, twice = self.sink.report()[0][1]
        self.assertIn(arrived, (20050, 20150))  # the first hundred may not have been acknowledged
        self.assertEqual(twice, 0)

    def test_waits_for_the_rest_of_a_compressed_file(self):
        promtail = self.read_a_hundred_lines_and_kill()
        path = os.path.join(promtail.folder, "logs", "a.log")
        promtail.append("a.log", "".join(f"F1 N{i} {os.urandom(20).hex()}\n"
                                         for i in range(100, 5000)))
        whole = subprocess.run(["gzip", "-c", path], check=True, stdout=subprocess.PIPE).stdout
        os.unlink(path)
        promtail.append("a.log", lines(5000, 5050))
        with open(path + ".1.gz", "wb") as f:
            f.write(whole[:len(whole) // 2])
            f.flush()
            promtail.start()
            lib.wait_until(lambda: self.sink.distinct() > 1000, what="the first half")
            time.sleep(1)
            f.write(whole[len(whole) // 2:])
        self.check_all(5050)

    def test_waits_for_descriptors(self):
        self.sink.start()
        promtail = self.start()
        for i in range(60):
            promtail.append(f"{i}.log", lines(i * 20, i * 20 + 10))
        command = promtail.command
        promtail.command = lambda: ["sh", "-c", "ulimit -n 40; exec " + " ".join(command())]
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() == 600, what="the first lines")
        for i in range(60):
            promtail.append(f"{i}.log", lines(i * 20 + 10, i * 20 + 20))
        self.check_all(1200)

    def start_with_an_empty_file(self):
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", "")
        promtail.start()
        lib.wait_until(lambda: promtail.metric("promtail_files_active_total") == 1, what="the tail")
        time.sleep(1.5)  # a position is written each second
        return promtail

    def write_and_truncate(self, promtail):
        path = os.path.join(promtail.folder, "logs", "a.log")
        promtail.append("a.log", lines(0, 100))
        shutil.copy(path, path + ".1")
        os.truncate(path, 0)
        promtail.append("a.log", lines(100, 150))

    def test_reads_what_came_and_went_in_an_empty_file_while_stopped(self):
        promtail = self.start_with_an_empty_file()
        promtail.kill()
        self.write_and_truncate(promtail)
        promtail.start()
        self.check_all(150)

    def test_reads_what_came_and_went_in_an_empty_file_between_two_looks(self):
        promtail = self.start_with_an_empty_file()
        promtail.process.send_signal(signal.SIGSTOP)
        self.write_and_truncate(promtail)
        promtail.process.send_signal(signal.SIGCONT)
        self.check_all(150)

    def hold_up(self):
        """A promtail that has read a hundred lines of a.log and cannot read on."""
        promtail = self.read_a_hundred_lines_and_kill()
        promtail.start()
        time.sleep(0.5)
        self.sink.stop()
        padding = (base64.b64encode(os.urandom(750)).decode() for _ in range(20000))
        promtail.append("b.log", "".join(f"F2 N{i} {p}\n" for i, p in enumerate(padding)))
        time.sleep(2)  # 20 MB do not fit the queue
        return promtail

    def test_reads_what_was_truncated_before_any_of_it_was_read(self):
        promtail = self.hold_up()
        promtail.append("c.log", lines(100, 200))
        lib.wait_until(lambda: f"started\" path={promtail.folder}/logs/c.log" in promtail.tail(100_000),
                       what="the tail")
        path = os.path.join(promtail.folder, "logs", "c.log")
        shutil.copy(path, path + ".1")
        os.truncate(path, 0)
        self.sink.start()
        self.check_all(100)

    def test_reads_what_came_and_went_in_an_empty_file_while_held_up(self):
        """It was seen with its first lines, but the queue was full until others stood there."""
        promtail = self.hold_up()
        path = os.path.join(promtail.folder, "logs", "a.log")
        os.truncate(path, 0)
        while "file was truncated" not in promtail.tail():
            time.sleep(0.001)
        promtail.append("a.log", lines(100, 150))
        for i in range(40):  # each new name makes it look
            promtail.append(f"{i}.tmp", "")
            time.sleep(0.02)
            if i == 20:
                shutil.copy(path, path + ".1")
                os.truncate(path, 0)
                promtail.append("a.log", lines(150, 200))
        time.sleep(0.5)
        self.sink.start()
        lib.wait_until(lambda: self.sink.report()[0].get(2, (0, 0))[0] == 20000, what="b.log")
        self.check_all(100)  # this sink has not seen the first hundred

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

    def test_believes_a_positions_file_changed_by_hand(self):
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", lines(0, 10))
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() == 10, what="the first lines")
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
