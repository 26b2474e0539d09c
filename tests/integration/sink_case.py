"""promtail into torture_sink, which tells lines "F<file> N<number> ..." and counts them."""
import os
import shutil
import subprocess
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


def lines(first, last, file=1):
    return "".join(f"F{file} N{i} some text\n" for i in range(first, last))


class SinkCase(unittest.TestCase):
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

    def check_all(self, n, file=1):
        lib.wait_until(lambda: self.sink.distinct(file) >= n, what=f"{n} lines of file {file}")
        time.sleep(0.5)
        files, extra = self.sink.report()
        self.assertEqual(files[file], (n, 0))
        return extra

    def read_first(self, n):
        """A promtail that has sent n lines of a.log."""
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", lines(0, n))
        promtail.start()
        lib.wait_until(lambda: self.sink.distinct() == n, what="the first lines")
        return promtail

    def read_a_hundred_lines_and_kill(self):
        promtail = self.read_first(100)
        promtail.kill()
        return promtail
