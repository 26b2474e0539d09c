"""A real systemd-journald for tests, with a /run and a configuration of its own (a mount namespace).

    with Journald() as j:
        j.send(MESSAGE="hello", PRIORITY="4")      # journald's own protocol
        j.run("logger", "--journald", text="...")  # a program that talks to this journald
        j.journal                                  # the folder with the journal's files

Needs root."""
import glob
import os
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

import lib
import peers

CONFIG = """\
[Journal]
Storage=volatile
Seal=no
ReadKMsg=no
Audit=no
RateLimitIntervalSec=0
RateLimitBurst=0
SyncIntervalSec=1
RuntimeMaxUse=200M
RuntimeMaxFileSize={file_size}
"""
SCRIPT = """\
mount --bind {folder}/run /run && mount --bind {folder}/journald.conf /etc/systemd/journald.conf &&
mount --bind {folder}/machine-id /etc/machine-id && exec {program}
"""


def find_program():
    installed = "/lib/systemd/systemd-journald"
    if os.path.exists(installed):
        return installed
    return peers.program("systemd", "lib/systemd/systemd-journald")


class Journald(lib.Process):
    def __init__(self, file_size="8M"):
        if os.getuid() != 0:
            raise unittest.SkipTest("systemd-journald needs root")
        for path in ("/etc/machine-id", "/etc/systemd/journald.conf"):
            if not os.path.exists(path):
                raise unittest.SkipTest(f"no {path} to mount a file over")
        peers.needs("unshare", "nsenter", "logger", "journalctl", "systemd-cat")
        self.program = find_program()
        super().__init__()
        self.machine = os.urandom(16).hex()
        self.journal = os.path.join(self.folder, "run/log/journal")
        self.socket_path = os.path.join(self.folder, "run/systemd/journal/socket")
        os.makedirs(self.journal)
        os.makedirs(os.path.dirname(self.socket_path))
        for name, text in (("journald.conf", CONFIG.format(file_size=file_size)),
                           ("machine-id", self.machine + "\n")):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
                f.write(text)

    def command(self):
        return ["unshare", "--mount", "sh", "-c",
                SCRIPT.format(folder=self.folder, program=self.program)]

    def start(self):
        super().start()

        def is_listening():
            if not self.is_running():
                raise unittest.SkipTest(f"systemd-journald does not work here: {self.tail(1000)}")
            return os.path.exists(self.socket_path) and glob.glob(self.journal + "/*/system.journal")
        lib.wait_until(is_listening, 10, "systemd-journald")
        return self

    def send(self, **fields):
        """One entry; values are text or bytes."""
        data = b""
        for name, value in fields.items():
            value = value if isinstance(value, bytes) else value.encode()
            data += name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(data, self.socket_path)

    def run(self, *command, text=None):
        subprocess.run(["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", *command], input=text,
                       text=True, check=True, timeout=20)

    def rotate(self):
        before = self.files()
        self.process.send_signal(signal.SIGUSR2)
        lib.wait_until(lambda: self.files() > before, 10, "the rotation")

    def files(self):
        return len(glob.glob(self.journal + "/*/*.journal"))

    def vacuum(self):
        """Deletes all that was written so far."""
        self.rotate()
        self.rotate()  # journalctl keeps one archived file: an empty one
        subprocess.run(["journalctl", "-q", "-D", self.journal, "--vacuum-files=1"], check=True,
                       capture_output=True, timeout=20)


class Unit:
    """A control group by which journald takes this process for one of the unit `name`."""

    def __init__(self, name):
        root = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"
        if not os.path.exists(root + "/cgroup.procs"):
            raise unittest.SkipTest("no unified control groups")
        self.slice = os.path.join(root, os.path.basename(tempfile.mktemp(prefix="loge")) + ".slice")
        self.group = os.path.join(self.slice, name)

    def run(self, *command):
        os.makedirs(self.group)
        try:
            subprocess.run(["sh", "-c", 'echo $$ > "$0"/cgroup.procs && "$@"', self.group, *command],
                           check=True, timeout=20)
        finally:
            os.rmdir(self.group)
            os.rmdir(self.slice)
