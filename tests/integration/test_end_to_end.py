"""A line from a file through promtail and loge to logectl: the main job."""
import os
import time
import unittest

from lib import Loge, Promtail, logectl, wait_until

CONFIG = """
server: {http_listen_address: 127.0.0.1, http_listen_port: ${PORT}}
positions: {filename: ${DIR}/positions.yaml, sync_period: 200ms}
clients: [{url: "${PUSH_URL}", batchwait: 200ms}]
scrape_configs:
  - job_name: files
    static_configs:
      - targets: [localhost]
        labels: {job: e2e, __path__: "${DIR}/logs/**/*.log"}
    pipeline_stages:
      - regex: {expression: 'level=(?P<level>\\w+)'}
      - labels: {level: }
"""


class EndToEnd(unittest.TestCase):
    def test_lines_of_files_are_queried_back_once_over_restarts(self):
        with Loge() as loge:
            promtail = Promtail(CONFIG, loge.url + "/loki/api/v1/push")
            folder = os.path.join(promtail.folder, "logs", "deep")
            os.makedirs(folder)
            path = os.path.join(folder, "app.log")
            expected = []

            def write(n):
                with open(path, "a", encoding="utf-8") as f:
                    for _ in range(n):
                        line = f"level=info number {len(expected)}"
                        expected.append(line)
                        f.write(line + "\n")

            def found():
                out = logectl(loge, "query", '{job="e2e",level="info"}', "-o", "raw", "--limit=0")
                return sorted(out.splitlines()) == sorted(expected)

            write(100)
            promtail.start()
            wait_until(found, 30, "the first lines")
            write(100)
            wait_until(found, 30, "lines appended")
            self.assertEqual(promtail.stop(), 0)
            write(100)
            os.rename(path, path + ".1")  # rotated while stopped, to a name outside the glob
            write(50)
            promtail.start()
            wait_until(found, 30, "lines written while promtail was stopped")
            time.sleep(0.5)
            self.assertTrue(found(), "none twice")
            promtail.stop()
