"""promtail killed again and again over logs that are rotated and compressed as by a kubelet."""
import os
import random
import time
import unittest

import lib
from kubelet import Pods
from test_promtail import Sink

CONFIG = """\
server: {disable: true}
positions: {filename: '${DIR}/positions.yaml', sync_period: 500ms}
clients: [{url: '${PUSH_URL}', batchwait: 100ms, backoff_config: {min_period: 20ms, max_period: 200ms, max_retries: 1000}}]
scrape_configs:
- job_name: kubernetes
  pipeline_stages: [{cri: {}}]
  static_configs: [{labels: {job: kubernetes, __path__: '${DIR}/LOGS'}}]
"""
SECONDS = 8


class KubeletTest(unittest.TestCase):
    def check(self, logs):
        if not os.path.exists(os.path.join(lib.BIN, "torture_sink")):
            raise unittest.SkipTest("torture_sink is not built")
        chance = random.Random(1)
        sink = Sink(trouble=50).start()
        self.addCleanup(sink.stop)
        promtail = lib.Promtail(CONFIG.replace("LOGS", logs), f"http://127.0.0.1:{sink.port}/loki/api/v1/push")
        self.addCleanup(promtail.__exit__, None, None, None)
        with Pods(promtail.folder, 5) as pods:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                promtail.start()
                time.sleep(chance.uniform(0.2, 1.5))
                promtail.kill()
                time.sleep(chance.uniform(0, 0.6))
        promtail.start()
        lib.wait_until(lambda: sink.distinct() >= sum(pods.written.values()), 30, "all lines")
        time.sleep(0.5)
        self.assertEqual(sink.report()[0], {n: (count, 0) for n, count in pods.written.items()})

    def test_the_logs_of_pods(self):
        self.check("pods/*/*/*.log")

    def test_the_links_to_them(self):
        self.check("containers/*.log")


if __name__ == "__main__":
    unittest.main()
