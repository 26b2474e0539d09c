"""The machine fails under the server: full disks, spoilt and missing files, two servers at one folder."""
import glob
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from lib import BIN, PATIENCE, Loge, http, wait_until

S = 10**9
NOW = int(time.time()) * S


def push(loge, n, count=1, line="x" * 1000):
    """Pushes lines numbered from n; returns the status, None if the server went away."""
    try:
        return loge.push_raw({"streams": [{"stream": {"job": "f"}, "values": [
            [str(NOW - 600 * S + (n + i) * 1000), f"{n + i} {line}"] for i in range(count)]}]})[0]
    except OSError:
        return None


def numbers(loge):
    found = loge.lines('{job="f"}', NOW - 900 * S, NOW + S)
    return [int(line.split(" ", 1)[0]) for _, line in found]


def restart(loge):
    again = Loge(folder=loge.folder, config=loge.config)
    return again.start()


def spoil(path, where, size=1):
    with open(path, "r+b") as f:
        f.seek(where)
        old = f.read(size)
        f.seek(where)
        f.write(bytes(b ^ 0x5A for b in old))


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="loge-fault-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def wal_files(self):
        return sorted(glob.glob(self.folder + "/data/wal/*.wal"))


class Log(Folder):
    def fill(self, pushes=50, config=""):
        loge = Loge(folder=self.folder, config=config).start()
        for n in range(pushes):
            self.assertEqual(push(loge, n), 204)
        loge.kill()
        return loge

    def test_a_numbered_push_is_known_after_a_kill(self):
        loge = Loge(folder=self.folder).start()

        def send(server, seq, line):
            return server.push_raw({"streams": [{"stream": {"job": "f"}, "values": [
                [str(NOW - 600 * S + seq), f"{seq} {line}"]]}]},
                {"X-Loge-Source": "host-1", "X-Loge-Sequence": str(seq)})[0]
        self.assertEqual([send(loge, seq, "x") for seq in (1, 2)], [204, 204])
        loge.kill()
        again = restart(loge)
        # The answer to the second was lost: it comes again, in other words so that it is told apart.
        self.assertEqual(send(again, 2, "again"), 204)
        self.assertEqual(send(again, 5, "x"), 204)
        self.assertEqual(again.metric("loge_source_duplicates_total"), 1)
        self.assertEqual(again.metric("loge_source_gaps_total"), 2)
        self.assertEqual([line for _, line in again.lines('{job="f"}', NOW - 900 * S, NOW + S)],
                         ["1 x", "2 x", "5 x"])
        again.stop()

    def test_a_flipped_byte_costs_one_record(self):
        loge = self.fill()
        path = self.wal_files()[-1]
        spoil(path, os.path.getsize(path) // 2)
        again = restart(loge)
        found = numbers(again)
        self.assertEqual(len(found), 49)
        self.assertIn("corrupt", again.tail().lower() + again.get("/metrics")[1].decode())
        self.assertGreaterEqual(again.metric("loki_ingester_wal_corruptions_total"), 1)
        self.assertEqual(push(again, 1000), 204)
        self.assertEqual(again.stop(), 0)
        again = restart(loge)
        self.assertEqual(len(numbers(again)), 50)
        again.stop()

    def test_flips_everywhere_cost_no_more_than_they_touch(self):
        loge = self.fill()
        chance = random.Random(4)
        for _ in range(10):
            path = max(self.wal_files(), key=os.path.getsize)
            if os.path.getsize(path) == 0:
                break
            spoil(path, chance.randrange(os.path.getsize(path)), chance.randint(1, 8))
        again = restart(loge)
        self.assertGreaterEqual(len(numbers(again)), 50 - 10 * 2)
        self.assertEqual(again.stop(), 0)

    def test_a_torn_tail_is_cut(self):
        loge = self.fill()
        path = self.wal_files()[-1]
        os.truncate(path, os.path.getsize(path) - 10)
        again = restart(loge)
        self.assertEqual(numbers(again), list(range(49)))
        self.assertEqual(push(again, 49), 204)
        again.kill()
        again = restart(loge)
        self.assertEqual(numbers(again), list(range(50)))
        again.stop()

    def test_empty_missing_and_foreign_files(self):
        config = "ingester: {wal: {segment_size: 10KB}}\n"
        probe = subprocess.run([os.path.join(BIN, "loge"), "-print-config-docs"], stdout=subprocess.PIPE,
                               text=True, timeout=30, check=False).stdout
        if "segment_size" not in probe:
            config = ""
        loge = self.fill(config=config)
        files = self.wal_files()
        if len(files) > 2:
            os.unlink(files[1])
        for name in ("wal/ffffffffffffffff.wal", "wal/README", "wal/zz.wal", "tables/notes.txt",
                     "tables/lost+found/x", "wal/0000000000000003.wal.tmp", "x"):
            path = os.path.join(self.folder, "data", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(b"not ours" if "ffff" not in name else b"")
        again = restart(loge)
        self.assertGreaterEqual(len(numbers(again)), 30)
        self.assertEqual(push(again, 2000), 204)
        self.assertIn(2000, numbers(again))
        self.assertEqual(http("POST", again.url + "/flush")[0], 204)
        again.kill()
        again = restart(loge)
        self.assertIn(2000, numbers(again))
        self.assertEqual(again.stop(), 0)

    def test_kill_9_in_a_loop_loses_nothing_acknowledged(self):
        for sync in ("always", "none"):
            loge = Loge(folder=self.folder, config=f"ingester: {{wal: {{sync: {sync}}}}}\n").start()
            acknowledged, n = set(numbers(loge)), 10000 if sync == "none" else 0
            for _ in range(3):
                stop = threading.Event()

                def pushing(first, loge=loge, stop=stop):
                    for n in range(first, first + 20000, 2):
                        if stop.is_set() or push(loge, n, line="y") != 204:
                            return
                        acknowledged.add(n)
                threads = [threading.Thread(target=pushing, args=(n + i,)) for i in range(2)]
                for t in threads:
                    t.start()
                time.sleep(0.15 * PATIENCE)
                http("POST", loge.url + "/flush")
                time.sleep(0.1 * PATIENCE)
                loge.kill()
                stop.set()
                for t in threads:
                    t.join()
                n += 1000
                loge = restart(loge)
                data = loge.get_json("/loki/api/v1/query", query='count_over_time({job="f"}[1h])',
                                     time=NOW + S)["data"]["result"]
                self.assertGreaterEqual(int(data[0]["value"][1]), len(acknowledged))
                if len(acknowledged) <= 5000:
                    self.assertLessEqual(acknowledged, set(numbers(loge)))
            self.assertEqual(loge.stop(), 0)


class Disk(Folder):
    def test_a_full_disk_refuses_pushes_and_nothing_else(self):
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", data],
                          stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise unittest.SkipTest("mount of a small tmpfs is not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", data], check=False)
        ballast = os.path.join(data, "ballast")
        loge = Loge(folder=self.folder, config="limits_config: {ingestion_rate_mb: 1000,"
                    " ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB}\n").start()
        self.addCleanup(lambda: loge.is_running() and loge.kill())
        good = set()
        for n in range(20):
            self.assertEqual(push(loge, n), 204)
            good.add(n)
        with open(ballast, "wb", buffering=0) as f:
            try:
                while f.write(b"b" * 4096):
                    pass
            except OSError:
                pass
        refused = 0
        for n in range(20, 80):
            status = push(loge, n)
            self.assertIn(status, (204, 500, 503, 507))
            if status == 204:
                good.add(n)
            else:
                self.assertEqual(status, 503)
                refused += 1
        self.assertGreater(refused, 40)
        self.assertLessEqual(good, set(numbers(loge)))  # questions are answered on
        self.assertIn(http("POST", loge.url + "/flush")[0], (204, 503))
        self.assertLessEqual(good, set(numbers(loge)))
        os.unlink(ballast)
        for n in range(100, 120):
            self.assertEqual(push(loge, n), 204)
            good.add(n)
        wait_until(lambda: http("POST", loge.url + "/flush")[0] == 204, 5, "a flush")
        self.assertLessEqual(good, set(numbers(loge)))
        loge.kill()
        again = restart(loge)
        found = set(numbers(again))
        self.assertLessEqual(good, found)
        self.assertEqual(found - good, set())  # what was refused is not there
        self.assertEqual(again.stop(), 0)

    def test_a_start_on_a_full_disk_says_so(self):
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", data],
                          stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise unittest.SkipTest("mount of a small tmpfs is not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", data], check=False)
        with open(os.path.join(data, "ballast"), "wb", buffering=0) as f:
            try:
                while f.write(b"b" * 4096):
                    pass
            except OSError:
                pass
        loge = Loge(folder=self.folder).start()  # it may run: reading needs no space
        self.assertEqual(push(loge, 1), 503)
        self.assertEqual(loge.stop(), 0)


class Start(Folder):
    def run_to_its_end(self, *flags):
        done = subprocess.run([os.path.join(BIN, "loge"), "-auth.enabled=false", "-server.http-listen-port=0",
                               *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=20 * PATIENCE, check=False)
        return done.returncode, done.stdout

    def test_a_second_server_at_one_folder_is_refused(self):
        with Loge(folder=self.folder) as loge:
            status, text = self.run_to_its_end(f"-data.dir={self.folder}/data")
            self.assertEqual(status, 1)
            self.assertIn(f"is held by another process ({loge.process.pid})", text)
            self.assertEqual(push(loge, 1), 204)

    def test_folders_that_cannot_be_written_are_named(self):
        path = os.path.join(self.folder, "file")
        with open(path, "wb"):
            pass
        places = [path, "/proc/version/x", "/proc"]
        data = os.path.join(self.folder, "ro")
        os.mkdir(data)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", data],
                          stderr=subprocess.DEVNULL, check=False).returncode == 0:
            self.addCleanup(subprocess.run, ["umount", "-l", data], check=False)
            places.append(data)
        for place in places:
            status, text = self.run_to_its_end(f"-data.dir={place}")
            self.assertEqual(status, 1, place)
            self.assertIn(place, text)
            self.assertNotIn("assertion", text)

    def test_a_log_that_cannot_be_read_is_an_error(self):
        os.makedirs(self.folder + "/data")
        with open(self.folder + "/data/wal", "wb"):
            pass
        status, text = self.run_to_its_end(f"-data.dir={self.folder}/data")
        self.assertEqual(status, 1)
        self.assertIn("/data/wal", text)


class Store(Folder):
    def test_flipped_bytes_in_a_table_do_not_kill(self):
        chance = random.Random(5)
        for round_ in range(4):
            shutil.rmtree(self.folder + "/data", ignore_errors=True)
            loge = Loge(folder=self.folder).start()
            self.assertEqual(push(loge, 0, 500), 204)
            self.assertEqual(http("POST", loge.url + "/flush")[0], 204)
            self.assertEqual(loge.stop(), 0)
            for path in glob.glob(self.folder + "/data/tables/*/data.mdb"):
                with open(path, "rb") as f:
                    size = len(f.read().rstrip(b"\0"))  # behind it is a hole
                for _ in range(20):
                    # Both meta pages are spared in half of the rounds.
                    low = 0 if round_ % 2 else min(8192, size - 1)
                    spoil(path, chance.randrange(low, size), chance.randint(1, 4))
            for path in self.wal_files():
                os.truncate(path, 0)
            again = restart(loge)
            for query in ('{job="f"}', 'count_over_time({job="f"}[5m])', '{job="f"} |= "7"'):
                status, body, _ = again.get("/loki/api/v1/query_range", query=query, start=NOW - 900 * S,
                                            end=NOW + S, step="60", limit=5000)
                self.assertIn(status, (200, 500), body[:200])
            again.get("/loki/api/v1/series", start=NOW - 900 * S, end=NOW + S)
            self.assertIn(push(again, 5000), (204, 503))
            self.assertTrue(again.is_ready())
            self.assertEqual(again.stop(), 0)

    def test_a_table_cut_short_does_not_kill(self):
        for keep in (0, 100, 4096, 8192, 12288, 20000):
            shutil.rmtree(self.folder + "/data", ignore_errors=True)
            loge = Loge(folder=self.folder).start()
            self.assertEqual(push(loge, 0, 500), 204)
            self.assertEqual(http("POST", loge.url + "/flush")[0], 204)
            self.assertEqual(loge.stop(), 0)
            for path in glob.glob(self.folder + "/data/tables/*/data.mdb"):
                os.truncate(path, min(keep, os.path.getsize(path)))
            again = restart(loge)
            status, body, _ = again.get("/loki/api/v1/query_range", query='{job="f"}', start=NOW - 900 * S,
                                        end=NOW + S)
            self.assertIn(status, (200, 500), body[:200])
            self.assertEqual(push(again, 5000), 204)
            self.assertIn(5000, numbers(again))
            self.assertEqual(again.stop(), 0)


if __name__ == "__main__":
    unittest.main()
