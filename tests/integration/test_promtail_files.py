"""promtail and what becomes of files: each generation is read to its end, and once."""
import base64
import gzip
import os
import shutil
import signal
import subprocess
import time
import unittest

import lib
from sink_case import SinkCase, lines


class FilesTest(SinkCase):
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

    def archive(self, promtail, number, text):
        """A log that came and went: straight into its archive, as log4j does."""
        path = os.path.join(promtail.folder, "logs", f"a-{number}.log.gz")
        with gzip.open(path + ".tmp", "wt") as f:
            f.write(text)
        os.rename(path + ".tmp", path)

    def test_reads_the_archives_of_what_came_and_went_while_stopped(self):
        promtail = self.read_a_hundred_lines_and_kill()
        os.remove(os.path.join(promtail.folder, "logs", "a.log"))
        self.archive(promtail, 1, lines(0, 150))
        self.archive(promtail, 2, lines(150, 200))
        promtail.start()
        self.check_all(200)  # though nothing has come in its place

    def test_reads_the_archives_of_what_came_when_all_before_was_done(self):
        promtail = self.read_a_hundred_lines_and_kill()
        os.remove(os.path.join(promtail.folder, "logs", "a.log"))
        self.archive(promtail, 1, lines(0, 150))
        promtail.start()
        self.check_all(150)
        self.archive(promtail, 2, lines(150, 200))
        promtail.append("a.log", "")
        time.sleep(0.5)
        promtail.append("a.log", lines(200, 250))
        self.check_all(250)

    def read_a_few_lines(self):
        """A file so short that its head alone tells it from no other."""
        promtail = self.read_first(1)
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

    def test_goes_on_with_files_of_any_name(self):
        """By positions.yaml alone: not UTF-8, what YAML takes for a line's end, and long."""
        self.sink.start()
        promtail = self.start()
        names = [b"caf\xe9.log", b"nel\xc2\x85.log", b"\n" * 240 + b".log", b": #.log"]
        names = [os.fsdecode(name) for name in names]
        for i, name in enumerate(names):
            promtail.append(name, lines(0, 100, file=i))
        promtail.start()
        positions = os.path.join(promtail.folder, "positions.yaml")
        lib.wait_until(lambda: os.path.exists(positions)
                       and open(positions).read().count('"1690"') == len(names), what="positions")
        promtail.kill()
        shutil.rmtree(positions + ".journal")
        for i, name in enumerate(names):
            promtail.append(name, lines(100, 150, file=i))
        promtail.start()
        for i in range(len(names)):
            self.check_all(150, file=i)

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

    def test_reads_what_came_and_went_in_an_empty_file_soon_after_a_look(self):
        promtail = self.start_with_an_empty_file()
        os.truncate(os.path.join(promtail.folder, "logs", "a.log"), 0)  # it looks now
        time.sleep(0.02)
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

    def test_reads_once_what_grew_and_was_compressed_before_any_of_it_was_read(self):
        """When it was begun it was too short to be told by what there was of it."""
        promtail = self.hold_up()
        promtail.append("c.log", lines(100, 103))
        path = os.path.join(promtail.folder, "logs", "c.log")
        lib.wait_until(lambda: f"started\" path={path}" in promtail.tail(100_000), what="the tail")
        promtail.append("c.log", lines(103, 200))
        os.rename(path, path + ".1")
        time.sleep(0.1)
        subprocess.run(["gzip", "--no-name", path + ".1"], check=True)
        os.utime(path + ".1.gz")  # not all keep the time of the text
        promtail.append("c.log", lines(200, 300))
        time.sleep(0.5)
        self.sink.start()
        self.check_all(200)  # this sink has not seen the first hundred

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


if __name__ == "__main__":
    unittest.main()
