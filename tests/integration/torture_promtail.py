#!/usr/bin/env python3
"""Every line exactly once, whatever happens.

Writers append to many files and rotate them all the time, half by rename and half by copy and
truncate; promtail is killed (SIGKILL) and started again at random; the server refuses pushes, cuts
connections after it has taken a push, and answers errors after it has taken one.  At the end every
line written must have arrived exactly once.

What is deleted before promtail could read it is lost, as it must be; on a slow machine the writers
therefore wait when promtail is behind with one file by a third of its kept generations.

With --loge the server is loge, which is killed and started again at random too, and asked at the end.

  torture_promtail.py --bin-dir build/debug/bin [--seconds 20] [--files 100] [--rate 2] [--loge] ...
"""
import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

CONFIG = """\
server: {{disable: true, log_level: debug}}
positions: {{filename: {dir}/positions.yaml, sync_period: 1s}}
clients:
- url: http://127.0.0.1:{port}/loki/api/v1/push
  batchwait: 200ms
  backoff_config: {{min_period: 20ms, max_period: 200ms, max_retries: 1000}}
scrape_configs:
- job_name: torture
  static_configs:
  - labels: {{job: torture, __path__: '{dir}/logs/*.log'}}
"""

LOGE_CONFIG = """\
auth_enabled: false
common: {{path_prefix: {dir}/data}}
limits_config:
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
  max_entries_limit_per_query: 100000000
  query_timeout: 10m
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def report(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as r:
        lines = r.read().decode().split("\n")
    files, extra = {}, {}
    for line in filter(None, lines):
        parts = line.split()
        if parts[0].isdigit():
            files[int(parts[0])] = (int(parts[1]), int(parts[2]))
        else:
            extra[parts[0]] = int(parts[1])
    return files, extra


def print_missing(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/missing", timeout=10) as r:
        for line in r.read().decode().splitlines()[:100]:
            file, first, last = line.split()
            print(f"  f{int(file):03d}.log: {first} to {last} did not arrive")


def ask_loge(port):
    """The same from a loge: lines of each file, none of them told to be a double."""
    result = get_loge(port, "query", time=time.time() + 5, query=(
        'sum by (filename) (count_over_time({job="torture"}[6h]))'))
    return {int(os.path.basename(x["metric"]["filename"])[1:4]): (int(x["value"][1]), 0)
            for x in result}, {}


def get_loge(port, path, **query):
    url = f"http://127.0.0.1:{port}/loki/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=600) as r:
        return json.load(r)["data"]["result"]


def sum_of_numbers(port, path):
    """Of the lines "F<file> N<number> ..." of a file: tells one lost and one doubled."""
    stages = "| pattern `F<_> N<number> <_>` | unwrap number"
    result = get_loge(port, "query", time=time.time() + 5, query=(
        f'sum(sum_over_time({{job="torture",filename="{path}"}} {stages} [6h]))'))
    return int(float(result[0]["value"][1])) if result else 0


def print_ranges(name, numbers, what):
    first = last = None
    for n in sorted(numbers) + [None]:
        if first is not None and n != last + 1:
            print(f"  {name}: {first} to {last} {what}")
            first = None
        first, last = n if first is None else first, n


def print_wrong_of_loge(port, path, written, seconds):
    now, seen, twice = int(time.time()), set(), set()
    for start in range(now - int(seconds), now + 60, 30):
        result = get_loge(port, "query_range", query=f'{{job="torture",filename="{path}"}}',
                          start=start, end=start + 30, limit=100000000)
        for number in (int(line.split()[1][1:]) for x in result for _, line in x["values"]):
            (twice if number in seen else seen).add(number)
    name = os.path.basename(path)
    print_ranges(name, set(range(written)) - seen, "did not arrive")
    print_ranges(name, twice, "arrived twice")


class Torture:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="torture-")
        os.mkdir(os.path.join(self.dir, "logs"))
        self.port = free_port()
        self.config = os.path.join(self.dir, "promtail.yaml")
        with open(self.config, "w") as f:
            f.write(CONFIG.format(dir=self.dir, port=self.port))
        self.log = open(os.path.join(self.dir, "promtail.log"), "ab")
        self.promtail = self.server = self.writer = None
        self.kills = 0
        self.held_s = 0
        self.started = 0

    def tool(self, name):
        return os.path.join(self.args.bin_dir, name)

    def start(self):
        self.promtail = subprocess.Popen(
            [self.tool("promtail"), "-config.file=" + self.config],
            stdout=self.log, stderr=self.log)

    def begin(self):
        """A file that is rotated before promtail has ever seen it is not read: only its name is asked
        for.  So the files are there, and known, before anything is written."""
        for i in range(self.args.files):
            open(os.path.join(self.dir, "logs", f"f{i:03d}.log"), "a").close()
        self.start()
        deadline = time.time() + 60
        while self.known() < self.args.files:
            if time.time() > deadline:
                raise SystemExit(f"promtail does not see the files; see {self.log.name}")
            time.sleep(0.1)

    def known(self):
        try:
            with open(os.path.join(self.dir, "positions.yaml")) as f:
                return f.read().count(".log:")
        except OSError:
            return 0

    def start_server(self):
        command = [self.tool("torture_sink"), str(self.port), str(self.args.trouble)]
        if self.args.loge:
            config = os.path.join(self.dir, "loge.yaml")
            with open(config, "w") as f:
                f.write(LOGE_CONFIG.format(dir=self.dir))
            command = [self.tool("loge"), "-config.file=" + config,
                       "-server.http-listen-address=127.0.0.1",
                       f"-server.http-listen-port={self.port}"]
        self.server = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def counts(self):
        try:
            return ask_loge(self.port) if self.args.loge else report(self.port)
        except (OSError, urllib.error.HTTPError):
            return {}, {}  # it is only starting

    def kill_server(self):
        self.server.kill()
        self.server.wait()
        time.sleep(random.uniform(0, self.args.down))
        self.start_server()

    def kill(self):
        self.promtail.send_signal(signal.SIGKILL)
        self.promtail.wait()
        self.kills += 1

    def run(self):
        try:
            self.start_server()
            self.begin()
            return self.settle(self.write())
        finally:
            for p in (self.writer, self.promtail, self.server):
                if p is not None:
                    if p.poll() is None:
                        p.kill()
                    p.wait()

    def write(self):
        """Until the time is over; returns how many lines each file got."""
        a = self.args
        self.started = time.time()
        self.writer = writer = subprocess.Popen(
            [self.tool("torture_writer"), os.path.join(self.dir, "logs"), str(a.files),
             str(int(a.rate * 1e6)), str(a.seconds), str(a.rotate_ms), str(a.keep)],
            stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.pace, args=(writer,), daemon=True).start()
        self.torment(writer)
        return {int(k): int(v) for k, v in
                (line.split() for line in writer.stdout.read().splitlines())}

    def written(self):
        try:
            with open(os.path.join(self.dir, "written")) as f:
                return [int(line) for line in f]
        except OSError:
            return []  # it is only starting

    def pace(self, writer):
        """Holds the writers while too much of what is kept of a file has not arrived."""
        arrived = {}
        while writer.poll() is None:
            time.sleep(1)
            arrived.update(self.counts()[0])
            run_s = max(1, time.time() - self.started - self.held_s)
            allowed = self.args.keep * self.args.rotate_ms / 1000 / 3 / run_s
            is_held = any(n - arrived.get(i, (0, 0))[0] > n * allowed
                          for i, n in enumerate(self.written()))
            writer.send_signal(signal.SIGSTOP if is_held else signal.SIGCONT)
            self.held_s += 1 if is_held else 0

    def torment(self, writer):
        while writer.poll() is None:
            time.sleep(random.uniform(0.3, self.args.kill_every))
            if self.promtail.poll() is not None:
                raise SystemExit(f"promtail ended by itself: {self.promtail.returncode}; "
                                 f"see {self.log.name}")
            if writer.poll() is not None:
                break
            if self.args.loge and random.random() < 0.5:
                self.kill_server()
                continue
            self.kill()
            time.sleep(random.uniform(0, self.args.down))
            self.start()

    def settle(self, written):
        total = sum(written.values())
        arrived, deadline = -1, time.time() + self.args.settle
        while time.time() < deadline:
            files, extra = self.counts()
            now = sum(d for d, _ in files.values())
            if now >= total:
                time.sleep(1)
                break
            if now != arrived:
                deadline = time.time() + self.args.settle
            arrived = now
            time.sleep(0.5)
        files, extra = self.counts()
        lost = sum(max(0, n - files.get(i, (0, 0))[0]) for i, n in written.items())
        doubles = sum(d + max(0, n - written.get(i, 0)) for i, (n, d) in files.items())
        print(f"{total} lines in {len(written)} files, promtail killed {self.kills} times: "
              f"{lost} lost, {doubles} doubled, {extra.get('repeats', 0)} repeats dropped, "
              f"{extra.get('gaps', 0)} gaps, writers held {self.held_s} s")
        for i in sorted(written):
            got, twice = files.get(i, (0, 0))
            if got != written[i] or twice:
                print(f"  f{i:03d}.log ({'copytruncate' if i % 2 else 'rename'}): "
                      f"{written[i]} written, {got} arrived, {twice} doubled")
        if lost > 0 and not self.args.loge:
            print_missing(self.port)
        return self.check_loge(files, written) and lost == 0 and doubles == 0

    def check_loge(self, files, written):
        """loge counts what is there, not what is there twice."""
        wrong = 0
        for i, n in written.items() if self.args.loge else ():
            path = os.path.join(self.dir, "logs", f"f{i:03d}.log")
            if files.get(i, (0, 0))[0] == n and sum_of_numbers(self.port, path) == n * (n - 1) // 2:
                continue
            wrong += 1
            print_wrong_of_loge(self.port, path, n, time.time() - self.started)
        if self.args.loge:
            print(f"{len(written)} sums of line numbers compared, {wrong} files wrong")
        return wrong == 0


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin-dir", default=os.environ.get("LOGE_BIN_DIR", "build/debug/bin"))
    p.add_argument("--seconds", type=int, default=20)
    p.add_argument("--files", type=int, default=100)
    p.add_argument("--rate", type=float, default=2.0, help="MB/s over all files")
    p.add_argument("--rotate-ms", type=int, default=1000)
    p.add_argument("--keep", type=int, default=30, help="old generations that stay")
    p.add_argument("--trouble", type=int, default=20, help="of a thousand pushes, three times")
    p.add_argument("--kill-every", type=float, default=3.0)
    p.add_argument("--down", type=float, default=1.0)
    p.add_argument("--settle", type=float, default=20.0, help="seconds without progress")
    p.add_argument("--seed", type=int)
    p.add_argument("--keep-dir", action="store_true")
    p.add_argument("--loge", action="store_true", help="a real server, killed too")
    args = p.parse_args()
    random.seed(args.seed)
    torture = Torture(args)
    ok = torture.run()
    if ok and not args.keep_dir:
        shutil.rmtree(torture.dir)
    else:
        print("kept:", torture.dir)
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
