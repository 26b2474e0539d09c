"""A real DNS server: unbound of Debian, unpacked under build/peers, on a loopback address of its own.

    with unbound.Unbound({"web.test": ["SRV 0 5 8080 a.test."]}) as u:
        u.wrap      # goes before a command that shall ask this server: /etc/resolv.conf names it
        u.tell({})  # other records from now on

It listens on port 53 and is put into /etc/resolv.conf of a mount namespace, so it wants root."""
import os
import random
import signal
import socket
import subprocess
import unittest

import lib
import peers

CONFIG = """\
server:
  interface: {address}
  port: 53
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  local-zone: "test." static
  include: "{folder}/records"
  module-config: "iterator"
remote-control:
  control-enable: no
"""


class Unbound(lib.Process):
    def __init__(self, records):
        peers.needs("unshare")
        if subprocess.run(["unshare", "-m", "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
            raise unittest.SkipTest("no right to make a mount namespace")
        self.program = peers.program("unbound", "usr/sbin/unbound")
        self.library = os.path.dirname(
            peers.program("libprotobuf-c1", "usr/lib/x86_64-linux-gnu/libprotobuf-c.so.1"))
        super().__init__()
        self.address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        for name, text in (("unbound.conf", CONFIG.format(address=self.address, folder=self.folder)),
                           ("resolv.conf", f"nameserver {self.address}\n")):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        self.write(records)
        self.wrap = ("unshare", "-m", "sh", "-ec",
                     f'mount --bind {self.folder}/resolv.conf "$(realpath /etc/resolv.conf)"; exec "$0" "$@"')

    def write(self, records):
        with open(os.path.join(self.folder, "records"), "w", encoding="utf-8") as f:
            for name, values in records.items():
                f.writelines(f'local-data: "{name}. 1 IN {value}"\n' for value in values)

    def command(self):
        return ["env", f"LD_LIBRARY_PATH={self.library}", self.program, "-d", "-p", "-c",
                os.path.join(self.folder, "unbound.conf")]

    def start(self):
        super().start()

        def is_listening():
            if not self.is_running():
                raise unittest.SkipTest(f"unbound does not work here: {self.tail(1000)}")
            try:
                socket.create_connection((self.address, 53), 1).close()
                return True
            except OSError:
                return False
        lib.wait_until(is_listening, 10, "unbound")
        return self

    def tell(self, records):
        self.write(records)
        self.process.send_signal(signal.SIGHUP)
