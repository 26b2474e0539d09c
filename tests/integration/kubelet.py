"""Container logs as a kubelet and its runtime keep them: pods/<pod>/<container>/0.log in CRI's format,
a link to it in containers/, rotated to 0.log.<time>, and compressed at the next rotation."""
import os
import random
import time

from rotation import KEPT, Log, pack


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z"


class PodLog(Log):
    rotate_s = (0.4, 0.8)

    def __init__(self, folder, number):
        self.number = number
        self.random = random.Random(number)
        self.folder = os.path.join(folder, "pods", f"ns_pod-{number}_uid-{number}", "c")
        os.makedirs(self.folder)
        self.n_lines = self.n_rotations = 0
        self.open(os.path.join(self.folder, "0.log"))
        links = os.path.join(folder, "containers")
        os.makedirs(links, exist_ok=True)
        os.symlink(self.path, os.path.join(links, f"pod-{number}_ns_c-{number:064x}.log"))

    def entry(self):
        line = super().entry()
        if self.random.random() > 0.1:
            return f"{stamp()} stdout F {line}"
        half = len(line) // 2
        return f"{stamp()} stdout P {line[:half]}\n{stamp()} stdout F {line[half:]}"

    def rotate(self):
        rotated = sorted(name for name in os.listdir(self.folder) if name != "0.log")
        for name in rotated[:-KEPT]:
            os.remove(os.path.join(self.folder, name))
        for name in rotated[-KEPT:]:
            if not name.endswith(".gz"):
                path = os.path.join(self.folder, name)
                pack(path, path + ".tmp")
                os.rename(path + ".tmp", path + ".gz")
        self.n_rotations += 1
        when = time.strftime("%Y%m%d-%H%M%S", time.gmtime(1_800_000_000 + self.n_rotations))
        os.rename(self.path, f"{self.path}.{when}")
        self.reopen(late=True)
