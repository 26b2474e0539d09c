"""The syslog target against real senders: util-linux's logger and rsyslogd."""
import calendar
import datetime
import secrets
import signal
import subprocess
import time

import lib
import peers
from promtail_case import PromtailCase, certificates, inline, read
from rsyslog import Rsyslog

FORWARD = """\
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="{protocol}" template="{template}" {more}
       action.resumeRetryCount="-1" action.resumeInterval="1"
       queue.type="LinkedList" queue.size="200000")
"""
LABELS = """\
  relabel_configs:
  - {action: labelmap, regex: __syslog_(message_.+|connection_ip_address)}
"""


def forward(port, protocol="tcp", template="RSYSLOG_SyslogProtocol23Format", more=""):
    return FORWARD.format(port=port, protocol=protocol, template=template, more=more)


class Syslog(PromtailCase):
    def listener(self, more="", name="in", relabel=LABELS, after=""):
        """Starts promtail with one listener and returns it and the port."""
        port = lib.free_port()
        p = self.promtail(f"""\
- job_name: {name}
  syslog: {{listen_address: '127.0.0.1:{port}', labels: {{job: {name}}}{more}}}
{relabel}{after}""")
        self.wait_for(port, "udp" if "udp" in more else "tcp")
        return p, port

    def wait_for(self, port, protocol="tcp"):
        """Without a connection, which would be a sender too."""
        wanted = f"0100007F:{port:04X}"
        lib.wait_until(lambda: wanted in read("/proc/net", protocol), 10, "the listener")

    def rsyslog(self, *arguments, **more):
        r = Rsyslog(*arguments, **more)
        self.addCleanup(r.__exit__, None, None, None)
        return r.start()

    def labels_of(self, selector):
        [series] = self.loge.get_json("/loki/api/v1/series", **{"match[]": selector})["data"]
        return series

    def logger(self, *arguments, text=None):
        peers.needs("logger")
        subprocess.run(["logger", *arguments], input=text, text=True, check=True, timeout=10)

    def test_logger_over_tcp_in_all_its_ways(self):
        _, port = self.listener(", label_structured_data: true")
        peer = ["-n", "127.0.0.1", "-P", str(port), "-T"]
        self.logger(*peer, "-t", "plain", "in lines")
        self.logger(*peer, "-t", "counted", "--octet-count", text="one\ntwo\nthree €\n")
        self.logger(*peer, "-t", "full", "-p", "mail.err", "--id=77", "--msgid", "MID", "--sd-id",
                    "zoo@123", "--sd-param", 'tiger="hun\\"gry"', "--sd-param", 'a="b"', "with data")
        self.logger(*peer, "-t", "bare", "--rfc5424=notime,notq,nohost", "nothing known")
        long = secrets.token_hex(3500)  # logger splits what is longer than --size
        self.logger(*peer, "-t", "long", "--size", "7500", long)
        self.expect('{message_app_name="plain"}', ["in lines"])
        self.expect('{message_app_name="counted"}', ["one", "two", "three €"])
        self.expect('{message_app_name="full"}', ["with data"])
        self.expect('{message_app_name="bare"}', ["nothing known"])
        self.expect('{message_app_name="long"}', [long])
        got = self.labels_of('{message_app_name="full"}')
        want = {"job": "in", "message_severity": "error", "message_facility": "mail",
                "message_proc_id": "77", "message_msg_id": "MID", "connection_ip_address": "127.0.0.1",
                "message_sd_zoo_123_tiger": 'hun"gry', "message_sd_zoo_123_a": "b",
                "message_sd_timeQuality_tzKnown": "1"}
        self.assertEqual({name: got.get(name) for name in want}, want)
        self.assertIn("message_hostname", got)
        self.assertNotIn("message_hostname", self.labels_of('{message_app_name="bare"}'))

    def test_logger_over_udp_and_in_the_old_format(self):
        _, udp = self.listener(", listen_protocol: udp", "udp")
        self.logger("-n", "127.0.0.1", "-P", str(udp), "-d", "-t", "dgram", text="one\ntwo\n")
        self.expect('{job="udp",message_app_name="dgram"}', ["one", "two"])
        _, old = self.listener(", syslog_format: rfc3164, use_incoming_timestamp: true", "old")
        before = time.time() - 1
        self.logger("-n", "127.0.0.1", "-P", str(old), "-T", "--rfc3164", "-t", "su", "--id=9", "-p",
                    "auth.crit", "it was me")
        self.expect('{job="old"}', ["it was me"])
        got = self.labels_of('{job="old"}')
        want = {"message_severity": "critical", "message_facility": "auth",
                "message_app_name": "su", "message_proc_id": "9"}
        self.assertEqual({name: got.get(name) for name in want}, want)
        [(ts, _)] = self.loge.lines('{job="old"}', int((before - 60) * 1e9), time.time_ns() + 10**9)
        # The format has local time without a zone.
        local = calendar.timegm(time.localtime(before))
        self.assertTrue(min(before, local) - 1 <= ts / 1e9 <= max(before, local) + 30)

    def test_logger_over_a_unix_socket(self):
        p = self.promtail("""\
- job_name: unix
  syslog: {listen_address: '${DIR}/log.sock', listen_protocol: unix, labels: {job: unix}}
""" + LABELS)
        path = p.folder + "/log.sock"
        lib.wait_until(lambda: "log.sock" in read("/proc/net/unix"), 10, "the listener")
        self.logger("-u", path, "--rfc5424", "-t", "lines", text="one\ntwo\n")
        self.logger("-u", path, "--rfc5424", "-t", "counted", "--octet-count", text="three\nfour\n")
        self.expect('{job="unix",message_app_name="lines"}', ["one", "two"])
        self.expect('{job="unix",message_app_name="counted"}', ["three", "four"])

    def test_rsyslog_in_lines_counted_and_over_udp(self):
        second = int(time.time()) - 600
        east = datetime.timezone(datetime.timedelta(hours=2))
        time_text = datetime.datetime.fromtimestamp(second, east).isoformat().replace("+", ".891234+")
        stamp = second * 10**9 + 891_234_000
        for name, more in (("lines", 'TCP_Framing="traditional"'),
                           ("counted", 'TCP_Framing="octet-counted"'), ("udp", "")):
            is_udp = name == "udp"
            _, port = self.listener(", use_incoming_timestamp: true, label_structured_data: true"
                                    + (", listen_protocol: udp" if is_udp else ""), name)
            r = self.rsyslog(forward(port, "udp" if is_udp else "tcp", more=more))
            r.send(f'<165>1 {time_text} mine.example app 42 ID7 [ex@9 k="v\\]"] hällo  wörld')
            # The newline at the end of rsyslog's format counts too, and Promtail leaves it there.
            line = "hällo  wörld\n" if name == "counted" else "hällo  wörld"
            self.expect(f'{{job="{name}"}}', [line])
            got = self.labels_of(f'{{job="{name}"}}')
            want = {"message_severity": "notice", "message_facility": "local4",
                    "message_hostname": "mine.example", "message_app_name": "app",
                    "message_proc_id": "42", "message_msg_id": "ID7", "message_sd_ex_9_k": "v]"}
            self.assertEqual({label: got.get(label) for label in want}, want)
            self.assertEqual(self.loge.lines(f'{{job="{name}"}}', stamp - 1, stamp + 1),
                             [(stamp, line)])
            r.stop()

    def test_rsyslog_with_a_byte_order_mark_long_messages_and_newlines(self):
        _, port = self.listener(", max_message_length: 200000")
        r = self.rsyslog(forward(port, template="marked", more='TCP_Framing="octet-counted"'))
        long = secrets.token_hex(60_000)
        r.send(*(f"<13>1 - h a - - - {m}" for m in ("marked", long, "a\nb", "end")))
        # rsyslog itself escapes control characters.
        self.expect('{job="in"}', ["\ufeff" + m for m in ("marked", long, "a#012b", "end")])

    def test_nothing_of_rsyslogs_is_lost_when_promtail_is_held_up_or_away(self):
        p, port = self.listener(relabel="", after="wal: {enabled: true, max_bytes: 300000}\n")
        r = self.rsyslog(forward(port, template="bare", more='TCP_Framing="octet-counted"'))
        many = [f"{i} {secrets.token_urlsafe(700)}" for i in range(10_000)]
        self.loge.process.send_signal(signal.SIGSTOP)
        r.send(*(f"<13>1 - h a - - - {m}" for m in many))
        time.sleep(2)
        self.loge.process.send_signal(signal.SIGCONT)
        self.expect('{job="in"}', many, 20)
        p.stop()
        away = [f"while away {i}" for i in range(100)]
        r.send(*(f"<13>1 - h a - - - {m}" for m in away))
        time.sleep(1)
        p.start()
        self.expect('{job="in"}', many + away, 15)

    def test_rsyslog_over_tls_with_a_certificate_and_pem_in_the_configuration(self):
        port = lib.free_port()
        p = self.prepare("")
        certificates(p.folder)
        p.config += f"""\
- job_name: tls
  syslog:
    listen_address: 127.0.0.1:{port}
    labels: {{job: tls}}
    tls_config: {inline(p.folder, ca="ca.pem", cert="server.pem", key="server.key")}
"""
        p.start()
        self.wait_for(port)

        def send(message, certificate):
            names = {"CAFile": "ca.pem", **certificate}
            r = self.rsyslog(
                forward(port, more='StreamDriver="ossl" StreamDriverMode="1" '
                        'StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="server"'),
                globals=" ".join(f'defaultNetstreamDriver{k}="{p.folder}/{v}"' for k, v in names.items()))
            r.send(f"<13>1 - h a - - - {message}")
            return r
        stranger = send("stranger", {})
        time.sleep(1.5)
        stranger.stop()
        friend = send("friend", {"CertFile": "client.pem", "KeyFile": "client.key"})
        self.expect('{job="tls"}', ["friend"])
        friend.stop()
