"""A real Docker engine for tests: Debian's dockerd, containerd and runc, in namespaces of its own.

    engine = DockerEngine().start()
    box = engine.run("web", labels={"a": "b"})
    box.say("a line on stdout"); box.say("and on stderr", "err")

Everything it writes is in its folder, /run (a tmpfs nobody else sees) or under a control group that
is removed at the stop; its networks are in a network namespace of its own.  Needs root."""
import fcntl
import glob
import http.client
import io
import json
import os
import signal
import socket
import tarfile
import termios
import unittest
import urllib.parse

import lib
import peers

SCRIPT = """\
mount -t tmpfs run /run
ip link set lo up
exec dockerd --host=unix://{folder}/docker.sock --iptables=false --ip6tables=false --ip-forward=false \\
  --ip-masq=false --userland-proxy=false --storage-driver=vfs --data-root={folder}/data \\
  --exec-root=/run/docker --pidfile=/run/docker.pid --cgroup-parent={cgroup} --log-level=warn
"""
# Whatever is written to a fifo in /io comes out on the container's stdout or stderr.  Opened for
# writing too, a fifo never ends.
BOX = "busybox cat 0<>/io/err >&2 & exec busybox cat 0<>/io/out"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class DockerEngine(lib.Process):
    def __init__(self):
        if os.getuid() != 0:
            raise unittest.SkipTest("a Docker engine needs root")
        if not glob.glob("/sys/fs/cgroup/*"):
            raise unittest.SkipTest("a Docker engine needs control groups")
        peers.needs("unshare", "ip")
        programs = [peers.program("docker.io", "usr/sbin/dockerd"),
                    peers.program("containerd", "usr/bin/containerd"),
                    peers.program("runc", "usr/sbin/runc")]
        self.busybox = peers.program("busybox-static", "bin/busybox")
        super().__init__()
        self.path = ":".join([os.path.dirname(p) for p in programs] + [os.environ["PATH"]])
        self.socket_path = os.path.join(self.folder, "docker.sock")
        self.cgroup = "/" + os.path.basename(self.folder)

    def command(self):
        return ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                "env", "PATH=" + self.path, "sh", "-c",
                SCRIPT.format(folder=self.folder, cgroup=self.cgroup)]

    def start(self):
        super().start()
        try:
            lib.wait_until(self.is_ready, 20, "dockerd")
        except AssertionError as why:
            self.kill()
            raise unittest.SkipTest(f"dockerd does not work here: {why}\n{self.tail(1000)}") from why
        if not self.call("GET", "/images/json"):
            self.import_image()
        return self

    def is_ready(self):
        if not self.is_running():
            raise AssertionError("dockerd ended")
        try:
            return self.call("GET", "/version")
        except OSError:
            return False

    def stop(self, seconds=30):
        """The engine runs as the only child of unshare."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        if self.is_running():
            with open(children, encoding="ascii") as f:
                os.kill(int(f.read().split()[0]), signal.SIGTERM)
        status = self.process.wait(seconds * lib.PATIENCE)
        self.log.close()
        return status

    def __exit__(self, kind, value, trace):
        for box in self.call("GET", "/containers/json?all=1") if self.is_running() else []:
            self.call("DELETE", f"/containers/{box['Id']}?force=1")
        super().__exit__(kind, value, trace)
        for root in glob.glob("/sys/fs/cgroup/*" + self.cgroup) + ["/sys/fs/cgroup" + self.cgroup]:
            if os.path.isdir(root):
                os.rmdir(root)

    def call(self, method, path, body=None, content_type="application/json"):
        connection = UnixConnection(self.socket_path)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text.strip() else None

    def import_image(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(self.busybox, "bin/busybox")
            link = tarfile.TarInfo("bin/sh")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        self.call("POST", "/images/create?fromSrc=-&repo=box&tag=1", packed.getvalue(),
                  "application/x-tar")

    def run(self, name, **options):
        return Box(self, name, **options)


class Box:
    """A running container that says what it is told to."""

    def __init__(self, engine, name, tty=False, labels=None, network="default", ports=()):
        self.engine, self.name = engine, name
        self.folder = os.path.join(engine.folder, "io-" + name)
        os.mkdir(self.folder)
        for fifo in ("out", "err"):
            os.mkfifo(os.path.join(self.folder, fifo))
        self.id = engine.call("POST", "/containers/create?" + urllib.parse.urlencode({"name": name}), {
            "Image": "box:1", "Cmd": ["sh", "-c", BOX], "Tty": tty, "Labels": labels or {},
            "StopSignal": "SIGKILL", "ExposedPorts": {p: {} for p in ports},
            "HostConfig": {"Binds": [self.folder + ":/io"], "NetworkMode": network}})["Id"]
        self.start()

    def start(self):
        self.engine.call("POST", f"/containers/{self.id}/start")

    def stop(self):
        self.engine.call("POST", f"/containers/{self.id}/stop")

    def remove(self):
        self.engine.call("DELETE", f"/containers/{self.id}?force=1")

    def addresses(self):
        networks = self.engine.call("GET", f"/containers/{self.id}/json")["NetworkSettings"]["Networks"]
        return {name: n["IPAddress"] for name, n in networks.items()}

    def say(self, text, stream="out"):
        """Returns when the container has taken all of it over."""
        with open(self.open_fifo(stream), "wb", buffering=0) as f:
            rest = memoryview((text + "\n").encode())
            while rest:
                rest = rest[f.write(rest):]
            lib.wait_until(lambda: fcntl.ioctl(f, termios.FIONREAD, bytes(4)) == bytes(4), 10,
                           "the container to read")

    def open_fifo(self, stream):
        def attempt():
            try:
                return os.open(os.path.join(self.folder, stream), os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                return None
        fd = lib.wait_until(attempt, 10, "the container to listen")
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
        return fd
