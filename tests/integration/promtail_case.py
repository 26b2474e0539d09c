"""What the tests of promtail's inputs share: promtail with a few jobs, into a real server."""
import collections
import json
import os
import socket
import subprocess
import time
import unittest

import lib

HEAD = """\
server: {disable: true}
positions: {filename: '${DIR}/positions.yaml', sync_period: 200ms}
clients: [{url: '${PUSH_URL}', batchwait: 50ms}]
scrape_configs:
"""


def lines(loge, selector):
    """All lines of a selector, sorted."""
    now = time.time_ns()
    found = loge.lines(selector, now - 3600 * 10**9, now + 60 * 10**9, limit=100_000)
    return sorted(line for _, line in found)


def certificates(folder):
    """A CA with a server's and a client's certificate: ca, server and client .pem and .key."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out",
            "ca.pem", "-subj", "/CN=test ca", "-days", "2")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out",
                name + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", name + ".pem", "-days", "2")


def shown(found):
    return f"{len(found)}: {[line[:100] for line in found[:5]]!r}"


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def inline(folder, **files):
    """A block of settings, in YAML, with the texts of these files."""
    return json.dumps({name: read(folder, file) for name, file in files.items()})


class PromtailCase(unittest.TestCase):
    def setUp(self):
        self.loge = lib.Loge(config="limits_config: {max_entries_limit_per_query: 100000}\n").start()
        self.addCleanup(self.loge.__exit__, None, None, None)

    def prepare(self, jobs, folder=None):
        """promtail, not started yet, so that its folder can be filled."""
        p = lib.Promtail(HEAD + jobs, self.loge.url + "/loki/api/v1/push", folder)
        self.addCleanup(p.__exit__, None, None, None)
        return p

    def promtail(self, jobs, folder=None):
        return self.prepare(jobs, folder).start()

    def expect(self, selector, want, seconds=10):
        """Waits until exactly these lines are there, in whatever order."""
        want = sorted(want)
        try:
            lib.wait_until(lambda: lines(self.loge, selector) == want, seconds)
        except AssertionError:
            got = lines(self.loge, selector)
            missing, more = (list((collections.Counter(a) - collections.Counter(b)).elements())
                             for a, b in ((want, got), (got, want)))
            if missing or more:
                self.fail(f"{selector}: {len(got)} lines, not {len(want)}; missing {shown(missing)}; "
                          f"too many {shown(more)}")

    def connect(self, port):
        def attempt():
            try:
                return socket.create_connection(("127.0.0.1", port), 5)
            except OSError:
                return None
        return lib.wait_until(attempt, 10, "the listener")
