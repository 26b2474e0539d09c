"""Container logs as a kubelet and its runtime keep them: /pods/<pod>/<container>/0.log in CRI's format,
a link to it in /containers, rotated to 0.log.<time>, and compressed at the next rotation.

    with Pods(folder, 5) as pods:
        ...
    pods.written   # lines "F<pod> N<number> ..." of each pod
"""
import gzip
import os
import random
import shutil
import threading
import time

ROTATE_S = 0.4
KEPT = 40  # a kubelet keeps five; here what is deleted unread would be no fault


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z"


class Pod:
    def __init__(self, folder, number):
        self.number = number
        self.random = random.Random(number)
        self.folder = os.path.join(folder, "pods", f"ns_pod-{number}_uid-{number}", "c")
        os.makedirs(self.folder)
        self.path = os.path.join(self.folder, "0.log")
        self.file = open(self.path, "a")
        os.symlink(self.path, os.path.join(folder, "containers", f"pod-{number}_ns_c-{number:064x}.log"))
        self.n_lines = self.n_rotations = 0

    def entry(self):
        text = f"F{self.number} N{self.n_lines} " + "x" * self.random.randrange(5, 200)
        self.n_lines += 1
        if self.random.random() > 0.1:
            return f"{stamp()} stdout F {text}\n"
        half = len(text) // 2
        return f"{stamp()} stdout P {text[:half]}\n{stamp()} stdout F {text[half:]}\n"

    def write(self):
        text = "".join(self.entry() for _ in range(self.random.randrange(1, 20)))
        cut = self.random.randrange(len(text))
        self.file.write(text[:cut])
        self.file.flush()
        time.sleep(0.002)
        self.file.write(text[cut:])
        self.file.flush()

    def compress(self, name):
        path = os.path.join(self.folder, name)
        with open(path, "rb") as plain, gzip.open(path + ".tmp", "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed)
        os.rename(path + ".tmp", path + ".gz")
        os.remove(path)

    def rotate(self):
        rotated = sorted(name for name in os.listdir(self.folder) if name != "0.log")
        for name in rotated[:-KEPT]:
            os.remove(os.path.join(self.folder, name))
        for name in rotated[-KEPT:]:
            if not name.endswith(".gz"):
                self.compress(name)
        self.n_rotations += 1
        when = time.strftime("%Y%m%d-%H%M%S", time.gmtime(1_800_000_000 + self.n_rotations))
        os.rename(self.path, f"{self.path}.{when}")
        if self.random.random() < 0.5:
            self.write()  # the runtime is told of it a little later
        self.file.close()
        self.file = open(self.path, "a")

    def run(self, is_over):
        rotate_at = time.monotonic() + ROTATE_S
        while not is_over.is_set():
            self.write()
            time.sleep(self.random.uniform(0.005, 0.03))
            if time.monotonic() > rotate_at:
                self.rotate()
                rotate_at = time.monotonic() + self.random.uniform(ROTATE_S, 2 * ROTATE_S)
        self.file.close()


class Pods:
    def __init__(self, folder, count):
        os.mkdir(os.path.join(folder, "containers"))
        self.pods = [Pod(folder, i) for i in range(count)]
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=pod.run, args=(self.is_over,)) for pod in self.pods]

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
        return {pod.number: pod.n_lines for pod in self.pods}
