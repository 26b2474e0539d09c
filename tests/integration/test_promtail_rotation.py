"""promtail killed again and again over logs that are rotated in every way: each line arrives once."""
import os
import random
import time
import unittest

import lib
from kubelet import PodLog
from rotation import Log, STYLES, Writers
from sink_case import Sink

CONFIG = """\
server: {disable: true}
positions: {filename: '${DIR}/positions.yaml', sync_period: 500ms}
clients: [{url: '${PUSH_URL}', batchwait: 100ms, backoff_config: {min_period: 20ms, max_period: 200ms, max_retries: 1000}}]
scrape_configs:
- job_name: rotation
  pipeline_stages: [STAGES]
  static_configs: [{labels: {job: rotation, __path__: '${DIR}/LOGS'}}]
"""
SECONDS = 10


class RotationTest(unittest.TestCase):
    def begin(self, logs, sink):
        """Rotated before promtail has ever seen it, a log would not be read: only its name is asked for."""
        for log in logs:
            log.write()
        lib.wait_until(lambda: sink.distinct() >= sum(log.n_lines for log in logs), what="the first lines")

    def check(self, logs, make, stages=""):
        if not os.path.exists(os.path.join(lib.BIN, "torture_sink")):
            raise unittest.SkipTest("torture_sink is not built")
        chance = random.Random(1)
        sink = Sink(trouble=50).start()
        self.addCleanup(sink.stop)
        promtail = lib.Promtail(CONFIG.replace("LOGS", logs).replace("STAGES", stages),
                                f"http://127.0.0.1:{sink.port}/loki/api/v1/push")
        self.addCleanup(promtail.__exit__, None, None, None)
        writers = Writers(make(promtail.folder))
        promtail.start()
        self.begin(writers.logs, sink)
        with writers:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                time.sleep(chance.uniform(0.2, 1.5))
                promtail.kill()
                time.sleep(chance.uniform(0, 0.6))
                promtail.start()
        want = {n: (count, 0) for n, count in writers.written.items()}
        try:
            lib.wait_until(lambda: sink.distinct() >= sum(writers.written.values()), 30, "all lines")
            time.sleep(0.5)
        finally:
            self.assertEqual(sink.report()[0], want)

    def test_logrotate_and_loggers(self):
        self.check("logs/*/*.log", lambda folder: [
            Log(folder, number, style) for number, style in enumerate(STYLES)])

    def test_the_logs_of_pods(self):
        self.check("pods/*/*/*.log", lambda folder: [PodLog(folder, i) for i in range(5)], "{cri: {}}")

    def test_the_links_to_them(self):
        self.check("containers/*.log", lambda folder: [PodLog(folder, i) for i in range(5)], "{cri: {}}")


if __name__ == "__main__":
    unittest.main()
