"""What the integration tests share: the real programs on free loopback ports, started and stopped.

Standard library only.  Every wait has a limit; every process that was started is ended.
    with Loge() as loge:
        loge.push({"job": "x"}, [(ts_ns, "line")])
        loge.query_range('{job="x"}', start, end)
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("LOGE_BIN", os.path.join(ROOT, "build/release/bin"))
# Sanitizer builds are slower by a factor.
PATIENCE = float(os.environ.get("LOGE_PATIENCE", "1"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, seconds=20, what="condition"):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


def http(method, url, body=None, headers=None, timeout=60):
    """(status, body bytes, headers) of one request; an error status is no exception."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout * PATIENCE) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


class Process:
    """A program with its folder and its log; subclasses fill in the command."""

    def __init__(self, folder=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="loge-test-")
        self.process = None
        self.log_path = os.path.join(self.folder, type(self).__name__.lower() + ".log")

    def command(self):
        raise NotImplementedError

    def start(self):
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self, seconds=30):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{type(self).__name__} did not stop on SIGTERM\n{self.tail()}")
        self.log.close()
        return status

    def tail(self, size=4000):
        with open(self.log_path, "rb") as f:
            return f.read()[-size:].decode(errors="replace")

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            if self.is_running():
                status = self.stop()
                assert kind is not None or status == 0, f"exit status {status}\n{self.tail()}"
        finally:
            if kind is not None:
                print(self.tail())
            elif self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)


class Loge(Process):
    """The server with -target=all in a folder of its own."""

    def __init__(self, folder=None, config="", flags=()):
        super().__init__(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = config
        self.flags = list(flags)

    def command(self):
        path = os.path.join(self.folder, "loge.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"auth_enabled: false\ncommon: {{path_prefix: {self.folder}/data}}\n" + self.config)
        return [os.path.join(BIN, "loge"), f"-config.file={path}",
                "-server.http-listen-address=127.0.0.1", f"-server.http-listen-port={self.port}"] + self.flags

    def start(self):
        super().start()
        wait_until(self.is_ready, 30, "loge to be ready:\n" + self.tail())
        return self

    def is_ready(self):
        if not self.is_running():
            raise AssertionError("loge ended:\n" + self.tail())
        try:
            return http("GET", self.url + "/ready")[0] == 200
        except OSError:
            return False

    def get(self, path, headers=None, **params):
        query = urllib.parse.urlencode(params, doseq=True)
        return http("GET", self.url + path + ("?" + query if query else ""), headers=headers)

    def get_json(self, path, headers=None, **params):
        status, body, _ = self.get(path, headers, **params)
        assert status == 200, f"{path} {params}: {status} {body[:500]!r}"
        return json.loads(body)

    def push(self, labels, entries, headers=None):
        """entries: (ts_ns, line) or (ts_ns, line, metadata).  Fails unless the answer is 204."""
        values = [[str(e[0])] + list(e[1:]) for e in entries]
        status, body, _ = self.push_raw({"streams": [{"stream": labels, "values": values}]}, headers)
        assert status == 204, f"push: {status} {body[:500]!r}"

    def push_raw(self, document, headers=None):
        return http("POST", self.url + "/loki/api/v1/push", json.dumps(document).encode(),
                    {"Content-Type": "application/json", **(headers or {})})

    def query_range(self, query, start_ns, end_ns, limit=5000, direction="forward", **more):
        return self.get_json("/loki/api/v1/query_range", query=query, start=start_ns, end=end_ns,
                             limit=limit, direction=direction, **more)["data"]

    def lines(self, query, start_ns, end_ns, **more):
        """[(ts_ns, line)] of a log query, by time."""
        data = self.query_range(query, start_ns, end_ns, **more)
        found = [(int(v[0]), v[1]) for s in data["result"] for v in s["values"]]
        return sorted(found)

    def metric(self, name, labels=""):
        """Sum of a metric's samples whose labels contain `labels`."""
        text = self.get("/metrics")[1].decode()
        total = 0.0
        for line in text.splitlines():
            if line.startswith((name + "{", name + " ")) and labels in line:
                total += float(line.rsplit(" ", 1)[1])
        return total


class Promtail(Process):
    """The shipper with the given configuration; ${DIR}, ${PUSH_URL} and ${PORT} are filled in."""

    def __init__(self, config, push_url, folder=None, flags=()):
        super().__init__(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.push_url = push_url
        self.config = config
        self.flags = list(flags)

    def command(self):
        path = os.path.join(self.folder, "promtail.yaml")
        text = (self.config.replace("${DIR}", self.folder).replace("${PORT}", str(self.port))
                .replace("${PUSH_URL}", self.push_url))
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return [os.path.join(BIN, "promtail"), f"-config.file={path}"] + self.flags


def logectl(loge, *arguments, stdin=None, status=0):
    """Runs logectl against `loge`; returns its standard output."""
    done = subprocess.run([os.path.join(BIN, "logectl"), f"--addr={loge.url}", *arguments],
                          input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60 * PATIENCE, check=False)
    assert done.returncode == status, f"logectl {arguments}: {done.returncode}\n{done.stderr}"
    return done.stdout


def kubernetes_config(manifest):
    """promtail.yaml in the ConfigMap of docs/examples/promtail-kubernetes.yaml."""
    block = manifest[manifest.index("  promtail.yaml: |\n"):].split("\n---\n")[0]
    return "".join(line[4:] + "\n" for line in block.splitlines()[1:])
