"""A real rsyslogd for tests: Debian's, with a configuration, queue and pid file of its own.

It takes messages on a unix socket and from spool (imptcp), and forwards them as `action` says."""
import os
import socket

import lib
import peers

HEAD = "<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% %APP-NAME% %PROCID% %MSGID% - "
CONFIG = """\
global(workDirectory="{folder}" maxMessageSize="256k" preserveFQDN="on" localHostname="box.example"
       {globals})
module(load="imptcp")
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="{folder}/in.sock" rateLimit.interval="0" useSysTimeStamp="off")
input(type="imptcp" address="127.0.0.1" port="{port}" maxSessions="10")
template(name="bare" type="string" string="{head}%msg%")
template(name="marked" type="string" string="{head}\ufeff%msg%")
{action}
"""


class Rsyslog(lib.Process):
    def __init__(self, action, globals=""):
        self.program = peers.program("rsyslog", "usr/sbin/rsyslogd")
        library = "usr/lib/x86_64-linux-gnu"
        folders = [peers.program(name, f"{library}/{file}") for name, file in
                   (("libestr0", "libestr.so.0"), ("libfastjson4", "libfastjson.so.4"))]
        self.libraries = ":".join(os.path.dirname(f) for f in folders)
        self.modules = os.path.join(os.path.dirname(self.program), "../lib/x86_64-linux-gnu/rsyslog")
        if "ossl" in action:
            self.modules += ":" + os.path.dirname(peers.program(
                "rsyslog-openssl", f"{library}/rsyslog/lmnsd_ossl.so"))
        super().__init__()
        self.port = lib.free_port()
        self.action, self.globals = action, globals
        self.socket_path = os.path.join(self.folder, "in.sock")

    def command(self):
        path = os.path.join(self.folder, "rsyslog.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(folder=self.folder, port=self.port, action=self.action,
                                  globals=self.globals, head=HEAD))
        return ["env", "LD_LIBRARY_PATH=" + self.libraries, self.program, "-n", "-f", path, "-i",
                os.path.join(self.folder, "pid"), "-M", self.modules]

    def start(self):
        super().start()
        lib.wait_until(lambda: os.path.exists(self.socket_path), 10, "rsyslogd:\n" + self.tail())
        return self

    def send(self, *messages):
        """Over its own TCP input: whole messages without a newline in them."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall("".join(f"{len(m.encode())} {m}" for m in messages).encode())
