"""Logs that are written and rotated all the time, in the ways that are in use.

    with Writers([Log(folder, number, style) for number, style in enumerate(STYLES)]) as writers:
        ...
    writers.written   # lines "F<number> N<line> ..." of each log
"""
import gzip
import os
import random
import shutil
import threading
import time

KEPT = 60  # what is deleted unread would be no fault


def pack(path, to=None, keep_time=False):
    """As gzip does; it leaves the time of the text, other programs do not."""
    to = to or path + ".gz"
    times = os.stat(path)
    with open(path, "rb") as plain, gzip.open(to, "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed)
    if keep_time:
        os.utime(to, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.remove(path)


class Log:
    """<folder>/logs/<style>-<number>/app.log and what becomes of it."""
    rotate_s = (0.2, 1.2)

    def __init__(self, folder, number, style):
        self.number, self.style = number, style
        self.random = random.Random(number)
        self.folder = os.path.join(folder, "logs", f"{style}-{number}")
        os.makedirs(self.folder)
        self.n_lines = self.n_rotations = 0
        self.open(os.path.join(self.folder, "app-1000000.log" if style == "dated" else "app.log"))

    def open(self, path):
        self.path = path
        self.file = open(path, "a")

    def reopen(self, late=False):
        """The writer hears of the rotation, perhaps a little later."""
        if late and self.random.random() < 0.5:
            self.write()
        self.file.close()
        self.open(self.path)

    def entry(self):
        self.n_lines += 1
        return f"F{self.number} N{self.n_lines - 1} " + "x" * self.random.randrange(200) + "\n"

    def write(self):
        text = "".join(self.entry() for _ in range(self.random.randrange(1, 30)))
        cut = self.random.randrange(len(text))
        self.file.write(text[:cut])
        self.file.flush()
        time.sleep(0.002)
        self.file.write(text[cut:])
        self.file.flush()

    # --- the ways of rotation ---

    def shift(self):
        """app.log.1 becomes app.log.2, and so on."""
        for i in range(KEPT, 0, -1):
            for end in ("", ".gz"):
                path = f"{self.path}.{i}{end}"
                if os.path.exists(path):
                    os.rename(path, f"{self.path}.{i + 1}{end}")

    def copy(self, to):
        shutil.copyfile(self.path, to)
        os.truncate(self.path, 0)

    def dated_name(self):
        return f"{self.path}-{1_000_000 + self.n_rotations}"

    def numbered(self):
        self.shift()
        os.rename(self.path, self.path + ".1")
        self.reopen(late=True)

    def numbered_packed(self):
        self.numbered()
        pack(self.path + ".1", keep_time=self.random.random() < 0.5)

    def numbered_packed_later(self):
        self.numbered()
        if os.path.exists(self.path + ".2"):
            pack(self.path + ".2", keep_time=True)

    def copied(self):
        self.copy(self.dated_name())

    def copied_packed(self):
        name = self.dated_name()
        self.copy(name)
        pack(name, keep_time=self.random.random() < 0.5)

    def copied_numbered(self):
        self.shift()
        self.copy(self.path + ".1")

    def packed(self):
        """As log4j does: straight into the archive."""
        self.file.close()
        pack(self.path, os.path.join(self.folder, f"app-{1_000_000 + self.n_rotations}.log.gz"))
        time.sleep(self.random.uniform(0, 0.1))
        self.open(self.path)

    def dated(self):
        """Each one has its own name from the start."""
        self.file.close()
        self.open(os.path.join(self.folder, f"app-{1_000_000 + self.n_rotations}.log"))

    def rotate(self):
        self.n_rotations += 1
        getattr(self, self.style)()

    def run(self, is_over):
        rotate_at = time.monotonic() + self.random.uniform(*self.rotate_s)
        while not is_over.is_set():
            self.write()
            time.sleep(self.random.uniform(0.005, 0.03))
            if time.monotonic() > rotate_at:
                self.rotate()
                rotate_at = time.monotonic() + self.random.uniform(*self.rotate_s)
        self.file.close()


STYLES = ("numbered", "numbered_packed", "numbered_packed_later", "copied", "copied_packed",
          "copied_numbered", "packed", "dated")


class Writers:
    def __init__(self, logs):
        self.logs = logs
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=log.run, args=(self.is_over,)) for log in logs]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    @property
    def written(self):
        return {log.number: log.n_lines for log in self.logs}
