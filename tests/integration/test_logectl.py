"""logectl against a running server."""
import json
import os
import signal
import subprocess
import time
import unittest

from lib import BIN, Loge, logectl, wait_until

NOW = int(time.time()) * 10**9 - 60 * 10**9


class Logectl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.loge = Loge().start()
        cls.loge.push({"job": "ctl", "app": "a"}, [(NOW + i, f"line {i}") for i in range(50)])
        cls.loge.push({"job": "ctl", "app": "b"}, [(NOW + 1000 + i, f'n={i} level=error') for i in range(5)])

    @classmethod
    def tearDownClass(cls):
        cls.loge.stop()

    def test_query_prints_time_labels_and_line(self):
        out = logectl(self.loge, "query", '{app="b"}', "--limit=2").splitlines()
        self.assertEqual(len(out), 2)
        self.assertRegex(out[0], r'^\d{4}-\d\d-\d\dT.* \{app="b",.*job="ctl".*\} n=4 level=error$')

    def test_flags_may_stand_anywhere_and_forward_turns_the_order(self):
        out = logectl(self.loge, "--quiet", "query", "--output=raw", "--forward", '{app="a"}', "--limit", "3")
        self.assertEqual(out, "line 0\nline 1\nline 2\n")

    def test_pages_through_more_than_a_batch(self):
        for forward in ([], ["--forward"]):
            out = logectl(self.loge, "query", '{app="a"}', "-o", "raw", "--limit=0", "--batch=7", *forward)
            self.assertEqual(sorted(out.splitlines()), sorted(f"line {i}" for i in range(50)))

    def test_jsonl_is_an_object_a_line(self):
        out = logectl(self.loge, "query", '{app="b"}', "-o", "jsonl", "--limit=1")
        entry = json.loads(out)
        self.assertEqual(entry["labels"]["app"], "b")
        self.assertEqual(entry["line"], "n=4 level=error")

    def test_metric_queries(self):
        out = logectl(self.loge, "instant-query", 'sum by (app) (count_over_time({job="ctl"}[1h]))')
        self.assertRegex(out, r'\{app="a"\} 50\n')
        out = logectl(self.loge, "instant-query", 'sum(count_over_time({job="ctl"}[1h]))', "-o", "raw")
        self.assertEqual(out, "55\n")

    def test_labels_and_series(self):
        self.assertIn("job", logectl(self.loge, "labels").split())
        self.assertEqual(logectl(self.loge, "labels", "app").split(), ["a", "b"])
        self.assertIn('{app="a", job="ctl"', logectl(self.loge, "series", '{app="a"}'))
        self.assertRegex(logectl(self.loge, "series", '{job="ctl"}', "--analyze-labels"), r"app +2")

    def test_fmt_ready_stats_explain(self):
        self.assertEqual(logectl(self.loge, "fmt", "sum(rate({a='b'}[5m]))".replace("'", '"')),
                         'sum(rate({a="b"}[5m]))\n')
        self.assertEqual(logectl(self.loge, "ready"), "ready\n")
        self.assertIn("bytes:", logectl(self.loge, "stats", '{job="ctl"}'))
        plan = logectl(self.loge, "explain", '{job="ctl"} |= "line"')
        self.assertIn("substring", plan)
        self.assertIn("55 lines", plan)

    def test_push_reads_standard_input(self):
        logectl(self.loge, "push", "--label", "job=stdin,app=x", stdin="one\ntwo\n\nlast without newline")
        out = wait_until(lambda: logectl(self.loge, "query", '{job="stdin"}', "-o", "raw", "--forward"))
        self.assertEqual(out, "one\ntwo\n\nlast without newline\n")

    def test_errors_have_statuses(self):
        logectl(self.loge, "query", "{", status=1)
        logectl(self.loge, "query", status=2)
        logectl(self.loge, "nonsense", status=2)
        logectl(self.loge, "query", "--no-such-flag", "{}", status=2)

    def test_tail_shows_what_comes_and_ends_on_sigint(self):
        process = subprocess.Popen([os.path.join(BIN, "logectl"), f"--addr={self.loge.url}", "tail",
                                    '{job="tailed"} |= "keep"', "-o", "raw"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        try:
            for i in range(200):
                self.loge.push({"job": "tailed"}, [(time.time_ns(), f"keep {i}"), (time.time_ns(), f"not {i}")])
                time.sleep(0.02)
                if i == 100:
                    process.send_signal(signal.SIGINT)
                if process.poll() is not None:
                    break
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
        self.assertEqual(process.returncode, 0, err)
        lines = out.splitlines()
        self.assertGreater(len(lines), 10)
        self.assertTrue(all(line.startswith("keep ") for line in lines))
        numbers = [int(line.split()[1]) for line in lines]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "none is missing")
