"""promtail's reloads: what was read, queued and sent before goes on behind them."""
import os
import re
import shutil
import signal
import time
import unittest

import lib
from sink_case import Sink, SinkCase, lines


class ReloadTest(SinkCase):
    def label(self, value):
        """Gives all files another label in the configuration."""
        with open(self.promtail.config) as f:
            text = re.sub(r"job: test(, env: \w+)?,", f"job: test, env: {value},", f.read())
        with open(self.promtail.config, "w") as f:
            f.write(text)

    def running_config(self):
        try:
            return lib.http("GET", f"http://127.0.0.1:{self.promtail.http}/config")[1].decode()
        except OSError:
            return ""

    def test_a_reload_during_a_reload_is_not_forgotten(self):
        promtail = self.start()
        promtail.append("a.log", lines(0, 10))  # nobody takes them: the stop takes a while
        promtail.start()
        lib.wait_until(lambda: promtail.metric("promtail_batch_retries_total") > 0, what="a try")
        for value in ("b", "c"):
            self.label(value)
            promtail.process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
        lib.wait_until(lambda: 'env: "c"' in self.running_config(), 15, "the last configuration")
        self.sink.start()
        self.check_all(10)

    def test_a_stop_during_a_reload_ends_it_and_nothing_is_lost(self):
        promtail = self.start()
        promtail.append("a.log", lines(0, 10))  # nobody takes them: the stop takes a while
        promtail.start()
        lib.wait_until(lambda: promtail.metric("promtail_batch_retries_total") > 0, what="a try")
        self.label("b")
        promtail.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        self.assertTrue(promtail.is_running())
        promtail.process.send_signal(signal.SIGTERM)
        self.assertEqual(promtail.process.wait(20 * lib.PATIENCE), 0)
        self.assertNotIn("config reloaded", promtail.tail(100_000))
        self.sink.start()
        promtail.start()
        self.check_all(10)

    def write_and_rotate_with_nobody_there(self):
        promtail = self.start()
        promtail.append("a.log", lines(0, 100))
        promtail.start()
        lib.wait_until(lambda: promtail.metric("promtail_batch_retries_total") > 0, what="a try")
        path = os.path.join(promtail.folder, "logs", "a.log")
        os.rename(path, path + ".1")
        promtail.append("a.log", lines(100, 150))
        time.sleep(1)
        with open(promtail.config) as f:
            text = f.read()
        old, self.sink = self.sink, Sink()
        with open(promtail.config, "w") as f:
            f.write(text.replace(f":{old.port}/", f":{self.sink.port}/"))
        self.sink.start()
        return promtail

    def test_what_was_not_delivered_goes_to_the_new_address(self):
        promtail = self.write_and_rotate_with_nobody_there()
        promtail.process.send_signal(signal.SIGHUP)
        self.check_all(150)
        self.assertEqual(len(os.listdir(os.path.join(promtail.folder, "positions.yaml.journal"))),
                         1)

    def test_what_was_not_delivered_goes_to_the_new_address_after_a_restart(self):
        promtail = self.write_and_rotate_with_nobody_there()
        promtail.kill()
        promtail.start()
        self.check_all(150)

    def add_client(self, port):
        with open(self.promtail.config) as f:
            text = f.read()
        with open(self.promtail.config, "w") as f:
            f.write(text.replace("clients:\n", "clients:\n- url: "
                                 f"http://127.0.0.1:{port}/loki/api/v1/push\n"
                                 "  batchwait: 100ms\n"))

    def test_a_client_that_is_added_gets_what_is_read_from_then_on(self):
        self.sink.start()
        promtail = self.start()
        promtail.append("a.log", lines(0, 100))
        promtail.start()
        self.check_all(100)
        other = Sink().start()
        try:
            self.add_client(other.port)
            promtail.process.send_signal(signal.SIGHUP)
            lib.wait_until(lambda: str(other.port) in self.running_config(), what="the reload")
            promtail.append("a.log", lines(100, 110))
            self.check_all(110)
            lib.wait_until(lambda: other.distinct() == 10, what="the new lines")
            time.sleep(0.5)
            self.assertEqual(other.report()[0][1], (10, 0))
        finally:
            other.stop()


if __name__ == "__main__":
    unittest.main()
