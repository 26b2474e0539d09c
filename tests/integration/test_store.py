"""The store behind the real server: kill -9 under load while chunks are flushed, damage on disk."""
import glob
import os
import threading
import time
import unittest

from lib import Loge, http, wait_until

NOW = int(time.time()) * 10**9

# Everything small, so that blocks are cut, chunks flushed and files of the log deleted all the time.
BUSY = """
ingester:
  chunk_block_size: 4096
  chunk_target_size: 8192
  memory_target: 64KB
  flush_check_period: 100ms
  wal: {segment_size: 64KB}
"""
LINE = "worker %d line %06d with some text so that blocks fill up, and a number: %d"


def read_all(loge, query, first, last):
    """Every (ts, line), by pages; equal times do not occur."""
    found = []
    while True:
        page = loge.lines(query, first, last + 1, limit=5000)
        found += page
        if len(page) < 5000:
            return found
        first = page[-1][0] + 1


class Crash(unittest.TestCase):
    def pushers(self, loge, acknowledged, count):
        """Threads that push until the server is gone and note what was acknowledged."""
        def push(worker):
            while True:
                n = len(acknowledged[worker])
                # Each worker's times are its own; now and then some come late.
                times = [NOW + (n + i) * 1000 + worker for i in range(20)]
                if n % 100 == 0:
                    times.reverse()
                batch = [(ts, LINE % (worker, n + i, ts * 7919 % 1000003)) for i, ts in enumerate(times)]
                try:
                    loge.push({"job": "crash", "worker": str(worker)}, batch)
                except (OSError, AssertionError):
                    return
                acknowledged[worker].extend(batch)

        threads = [threading.Thread(target=push, args=(w,)) for w in range(count)]
        for t in threads:
            t.start()
        return threads

    def test_nothing_acknowledged_is_lost_while_chunks_are_flushed(self):
        loge = Loge(config=BUSY).start()
        self.addCleanup(lambda: loge.is_running() and loge.kill())
        acknowledged = [[] for _ in range(4)]
        for pause in (0.3, 0.55, 0.8, 0.4):
            threads = self.pushers(loge, acknowledged, 4)
            time.sleep(pause)
            loge.kill()
            for t in threads:
                t.join()
            loge.start()
        self.assertGreater(len(glob.glob(loge.folder + "/data/tables/*/data.mdb")), 0)
        for flush in (False, True):
            if flush:
                self.assertEqual(http("POST", loge.url + "/flush")[0], 204)
            for worker, want in enumerate(acknowledged):
                self.assertGreater(len(want), 100)
                # A push that was stored and not answered comes again with the same times and lines.
                found = read_all(loge, '{job="crash",worker="%d"}' % worker, NOW,
                                 max(ts for ts, _ in want) + 10**6)
                self.assertEqual(set(want) - set(found), set())
                self.assertEqual(len(found), len(set(found)))
        loge.stop()


class Damage(unittest.TestCase):
    def test_a_damaged_chunk_costs_its_block_and_no_more(self):
        loge = Loge().start()
        self.addCleanup(lambda: loge.is_running() and loge.kill())
        for job in ("whole", "spoiled"):
            loge.push({"job": job}, [(NOW + i, LINE % (0, i, i)) for i in range(500)])
        self.assertEqual(http("POST", loge.url + "/flush")[0], 204)
        loge.stop()
        path = glob.glob(loge.folder + "/data/tables/*/data.mdb")[0]
        with open(path, "r+b") as f:
            data = f.read()
            starts = [i for i in range(0, len(data), 1) if data.startswith(b"LGCH\x01", i)]
            self.assertEqual(len(starts), 2)
            f.seek(starts[1] + 2000)
            f.write(bytes([data[starts[1] + 2000] ^ 1]))
        loge.start()
        found = {job: len(loge.lines('{job="%s"}' % job, NOW, NOW + 1000)) for job in ("whole", "spoiled")}
        self.assertEqual(sorted(found.values()), [0, 500])
        self.assertGreater(loge.metric("loge_store_corrupt_total"), 0)
        loge.stop()

    def test_a_table_that_is_no_table_is_set_aside(self):
        loge = Loge().start()
        self.addCleanup(lambda: loge.is_running() and loge.kill())
        loge.push({"job": "x"}, [(NOW, "in the table")])
        self.assertEqual(http("POST", loge.url + "/flush")[0], 204)
        loge.stop()
        path = glob.glob(loge.folder + "/data/tables/*/data.mdb")[0]
        with open(path, "r+b") as f:
            f.write(b"nonsense" * 1024)
        loge.start()
        self.assertEqual(loge.lines('{job="x"}', NOW, NOW + 1000), [])
        loge.push({"job": "x"}, [(NOW + 1, "anew")])
        self.assertEqual(http("POST", loge.url + "/flush")[0], 204)
        self.assertEqual(loge.lines('{job="x"}', NOW, NOW + 1000), [(NOW + 1, "anew")])
        self.assertEqual(len(glob.glob(loge.folder + "/data/tables/*.damaged-*")), 1)
        loge.stop()


class Sync(unittest.TestCase):
    def test_pushes_are_answered_with_the_disk_in_between(self):
        with Loge(config="ingester: {wal: {sync: always}}\n") as loge:
            threads = [threading.Thread(target=lambda w=w: [
                loge.push({"job": "sync"}, [(NOW + w * 1000 + i, "x")]) for i in range(20)]) for w in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            wait_until(lambda: len(loge.lines('{job="sync"}', NOW, NOW + 10000)) == 80)
            self.assertTrue(os.listdir(loge.folder + "/data/wal"))


if __name__ == "__main__":
    unittest.main()
