"""promtail's network targets and discovery against peers of our own making, into a real server."""
import base64
import gzip
import http.client
import http.server
import json
import os
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
import unittest

import lib
import peers
from promtail_case import PromtailCase, certificates, inline


class Targets(PromtailCase):
    def test_syslog_over_tls_wants_a_certificate_of_the_ca(self):
        port = lib.free_port()
        p = self.prepare(f"""\
- job_name: tls
  syslog:
    listen_address: 127.0.0.1:{port}
    labels: {{job: tls}}
    tls_config: {{cert_file: '${{DIR}}/server.pem', key_file: '${{DIR}}/server.key', ca_file: '${{DIR}}/ca.pem'}}
""")
        certificates(p.folder)
        p.start()
        context = ssl.create_default_context(cafile=p.folder + "/ca.pem")
        context.check_hostname = False
        with self.assertRaises((ssl.SSLError, OSError)):
            with context.wrap_socket(self.connect(port)) as s:
                s.sendall(b"<13>1 - h a - - - no certificate\n")
                s.recv(1)
                raise OSError("closed")  # TLS 1.3: the refusal comes with the first read
        context.load_cert_chain(p.folder + "/client.pem", p.folder + "/client.key")
        big = "x" * 300_000  # over many TLS records
        with context.wrap_socket(self.connect(port)) as s:
            s.sendall(b"<13>1 - h a - - - one\n<13>1 - h a - - - " + big.encode()[:200_000] + b"\n")
            s.sendall(b"<13>1 - h a - - - last\n")
            s.unwrap()
        self.expect('{job="tls"}', ["one", big[:200_000], "last"])

    def test_push_over_tls_with_pem_in_the_configuration(self):
        own, push = lib.free_port(), lib.free_port()
        p = self.prepare("")
        certificates(p.folder)
        pem = inline(p.folder, cert="server.pem", key="server.key", client_ca="ca.pem")
        p.config = p.config.replace("server: {disable: true}", f"""\
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {own}
  http_tls_config: {pem}""") + f"""\
- job_name: push
  loki_push_api:
    server: {{http_listen_address: 127.0.0.1, http_listen_port: {push}, http_tls_config: {pem}}}
    labels: {{job: push}}
"""
        p.start()

        def ask(port, path, body=None):
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
            connection.request("POST" if body else "GET", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        context = ssl.create_default_context(cafile=p.folder + "/ca.pem")
        context.check_hostname = False
        self.connect(push).close()
        for port, path in ((own, "/metrics"), (push, "/promtail/api/v1/raw")):
            with self.assertRaises((AssertionError, OSError, http.client.HTTPException)):
                status, _ = ask(port, path, b"from a stranger" if port == push else None)
                self.assertIn(status, (200, 204))
        context.load_cert_chain(p.folder + "/client.pem", p.folder + "/client.key")
        self.assertIn(b"promtail_", ask(own, "/metrics")[1])
        self.assertEqual(ask(push, "/promtail/api/v1/raw", b"one\ntwo\n")[0], 204)
        self.expect('{job="push"}', ["one", "two"])

    def test_a_push_is_read_as_its_headers_say(self):
        port = lib.free_port()
        self.promtail(f"""\
- job_name: push
  loki_push_api:
    server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}}}
    labels: {{job: push, gone: ''}}
  relabel_configs:
  - {{source_labels: [all], regex: gone, target_label: job, replacement: ''}}
  - {{source_labels: [all], regex: gone, target_label: all, replacement: ''}}
""")
        self.connect(port).close()

        def push(headers, *streams, encode=bytes):
            body = json.dumps({"streams": [{"stream": labels, "values": [["1", line]]}
                                           for labels, line in streams]}).encode()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/loki/api/v1/push", encode(body), headers)
            return connection.getresponse().status
        kind = {"Content-Type": "application/json; charset=utf-8"}
        self.assertEqual(push({}, ({"a": "b"}, "no type")), 400)
        self.assertEqual(push(kind | {"Content-Encoding": "br"}, ({"a": "b"}, "encoding")), 400)
        self.assertEqual(push(kind | {"Content-Encoding": "gzip"}, ({"gone": "b"}, "zipped"),
                              encode=gzip.compress), 204)
        self.assertEqual(push(kind, ({"all": "gone"}, "no labels"), ({"a": "b"}, "behind it")), 204)
        self.assertEqual(push(kind, ({"a": "b"}, "last")), 204)
        self.expect('{job="push"}', ["zipped", "last"])
        self.expect('{job="push", gone!=""}', [])

    def test_a_heroku_app_drains_here(self):
        port = lib.free_port()
        self.promtail(f"""\
- job_name: drain
  heroku_drain:
    server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}}}
    labels: {{job: heroku, app: fixed}}
    use_incoming_timestamp: true
  relabel_configs:
  - {{source_labels: [__heroku_drain_app], regex: '(a.*)', target_label: app}}
  - {{source_labels: [__heroku_drain_proc], target_label: proc}}
  - {{source_labels: [__heroku_drain_param_env], target_label: env}}
  - {{source_labels: [__tenant_id__], target_label: tenant}}
""")
        self.connect(port).close()

        def drain(query, *messages, headers=None):
            now = time.strftime("%Y-%m-%dT%H:%M:%S.5+00:00", time.gmtime(time.time() - 60))
            frames = [f"<190>1 {now} host {m}\n" for m in messages]
            body = "".join(f"{len(f)} {f}" for f in frames)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/heroku/api/v1/drain" + query, body, headers or {})
            return connection.getresponse().status
        self.assertEqual(drain("?env=a&env=b%20c", "app web.1 - one", "heroku router - two"), 204)
        self.assertEqual(drain("", "app web.2 - three", "nothing"), 400)
        self.expect('{job="heroku", app="app", proc="web.1", env="a,b c", tenant=""}', ["one\n"])
        self.expect('{job="heroku", app="fixed", proc="router"}', ["two\n"])
        self.expect('{job="heroku", proc="web.2", env=""}', ["three\n"])

    def test_file_discovery_wants_json_that_is_json_and_a_job_has_one_target(self):
        """Numbers and trailing words make a .json file useless; the YAML beside it counts."""
        port = lib.free_port()
        p = self.prepare(f"""\
- job_name: both
  file_sd_configs: [{{files: ['${{DIR}}/sd/*.json', '${{DIR}}/sd/*.yml'], refresh_interval: 1s}}]
  syslog: {{listen_address: '127.0.0.1:{port}', labels: {{job: syslog}}}}
""")
        os.mkdir(p.folder + "/sd")
        path = json.dumps(p.folder + "/a.log")
        group = '[{"targets": ["h"], "labels": {"job": %s, "__path__": ' + path + '}}]'
        for name, text in (("number.json", group % "1"), ("trailing.json", group % '"t"' + " x"),
                           ("good.json", group % '"j"'), ("good.yml", group % "2")):
            with open(os.path.join(p.folder, "sd", name), "w", encoding="utf-8") as f:
                f.write(text)
        with open(p.folder + "/a.log", "w", encoding="utf-8") as f:
            f.write("line\n")
        p.start()
        self.expect('{job="j"}', ["line"])
        self.expect('{job="2"}', ["line"])
        self.expect('{job=~"1|t"}', [])
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()

    def test_the_rest_of_an_encoded_file_that_goes_is_read(self):
        p = self.prepare("- job_name: j\n  encoding: UTF-16LE\n  static_configs:\n"
                         "  - labels: {job: j, __path__: '${DIR}/*.log'}\n")
        path = os.path.join(p.folder, "a.log")
        with open(path, "w", encoding="utf-16-le") as f:
            f.write("größer\nthe rest ß")
        p.start()
        self.expect('{job="j"}', ["größer"])
        os.unlink(path)
        self.expect('{job="j"}', ["größer", "the rest ß"])

    def test_syslog_over_a_unix_socket(self):
        p = self.promtail("""\
- job_name: unix
  syslog: {listen_address: '${DIR}/log.sock', listen_protocol: unix, syslog_format: rfc3164, labels: {job: unix}}
""")
        path = p.folder + "/log.sock"
        with socket.socket(socket.AF_UNIX) as s:
            lib.wait_until(lambda: s.connect_ex(path) == 0, 10, path)
            s.sendall(b"<34>Oct 11 22:14:15 box su[1]: one\n<34>Oct 11 22:14:15 box su[1]: two\n")
        self.expect('{job="unix"}', ["one", "two"])
        p.stop()
        self.assertFalse(os.path.exists(path))

    def test_gelf_over_tcp_and_gzip_over_udp(self):
        tcp, udp = lib.free_port(), lib.free_port()
        self.promtail(f"""\
- job_name: tcp
  pipeline_stages: [{{json: {{expressions: {{m: short_message}}}}}}, {{output: {{source: m}}}}]
  gelf: {{listen_address: '127.0.0.1:{tcp}', listen_protocol: tcp, labels: {{job: gelf}}}}
- job_name: udp
  pipeline_stages: [{{json: {{expressions: {{m: short_message}}}}}}, {{output: {{source: m}}}}]
  gelf: {{listen_address: '127.0.0.1:{udp}', labels: {{job: gelf}}}}
""")
        with self.connect(tcp) as s:
            s.sendall(b'{"version":"1.1","host":"h","short_mess')
            time.sleep(0.1)
            s.sendall(b'age":"one"}\0{"host":"h","short_message":"two"}\0{"bro')
        packed = gzip.compress(b'{"host":"h","short_message":"three"}')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(packed, ("127.0.0.1", udp))
        self.expect('{job="gelf"}', ["one", "two", "three"])

    def test_docker_containers_are_followed_and_taken_up_again(self):
        daemon = FakeDaemon(self)
        jobs = f"""\
- job_name: docker
  docker_sd_configs: [{{host: 'unix://{daemon.path}', refresh_interval: 200ms}}]
  relabel_configs:
  - {{source_labels: [__meta_docker_container_name], regex: '/(.*)', target_label: container}}
  - {{source_labels: [__meta_docker_container_log_stream], target_label: stream}}
"""
        p = self.promtail(jobs)
        self.expect('{container="web",stream="stdout"}', ["line 1"])
        self.expect('{container="web",stream="stderr"}', ["line 2"])
        p.stop()
        daemon.n = 4  # two more since
        self.promtail(jobs, p.folder)
        self.expect('{container="web"}', ["line 1", "line 2", "line 3", "line 4"])
        # Where stdout was; what stderr said since is known.
        self.assertTrue(any(f"since={daemon.start + 1}.000000001" in path for path in daemon.paths))

    def test_kubernetes_by_kubeconfig_with_certificates_and_a_token_that_changes(self):
        p = self.prepare("""\
- job_name: k8s
  kubernetes_sd_configs: [{role: pod, kubeconfig_file: '${DIR}/kubeconfig'}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {target_label: __path__, replacement: '${DIR}/pod.log'}
""")
        certificates(p.folder)
        api = FakeApi(self, p.folder)

        def data(name):
            with open(os.path.join(p.folder, name), "rb") as f:
                return base64.b64encode(f.read()).decode()
        with open(p.folder + "/kubeconfig", "w") as f:
            f.write(f"""\
current-context: c
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
clusters: [{{name: k, cluster: {{server: 'https://127.0.0.1:{api.port}', tls-server-name: server, certificate-authority-data: {data("ca.pem")}}}}}]
users: [{{name: u, user: {{client-certificate-data: {data("client.pem")}, client-key-data: {data("client.key")}, tokenFile: token}}}}]
""")
        with open(p.folder + "/token", "w") as f:
            f.write("first")
        with open(p.folder + "/pod.log", "w") as f:
            f.write("hello\n")
        p.start()
        self.expect('{pod="web"}', ["hello"])
        with open(p.folder + "/token", "w") as f:
            f.write("second")
        lib.wait_until(lambda: "Bearer second" in api.tokens, 10, "the new token")
        self.assertEqual(api.tokens[0], "Bearer first")

    def test_the_journal_is_followed_from_the_saved_cursor_on(self):
        tool = peers.program("systemd-journal-remote", "lib/systemd/systemd-journal-remote")
        p = self.prepare("""\
- job_name: journal
  journal: {path: '${DIR}/journal', labels: {job: journal}, matches: _SYSTEMD_UNIT=x.service}
  relabel_configs: [{source_labels: [__journal_priority_keyword], target_label: level}]
""")
        os.mkdir(p.folder + "/journal")

        def write(name, *messages):
            text = ""
            for i, (message, unit) in enumerate(messages):
                text += (f"__REALTIME_TIMESTAMP={time.time_ns() // 1000 + i}\n"
                         f"__MONOTONIC_TIMESTAMP={time.monotonic_ns() // 1000 + i}\n"
                         f"_BOOT_ID={'a' * 32}\nMESSAGE={message}\nPRIORITY=4\n"
                         f"_SYSTEMD_UNIT={unit}\n\n")
            subprocess.run([tool, "-o", f"{p.folder}/journal/{name}.journal", "-"], check=True,
                           input=text.encode(), capture_output=True)
        write("a", ("one", "x.service"), ("other", "y.service"), ("two", "x.service"))
        p.start()
        self.expect('{job="journal",level="warning"}', ["one", "two"])
        write("b", ("three", "x.service"))  # while it runs
        self.expect('{job="journal"}', ["one", "two", "three"])
        p.stop()
        write("c", ("four", "x.service"))  # while it does not
        p.start()
        self.expect('{job="journal"}', ["one", "two", "three", "four"])
        with open(p.folder + "/positions.yaml") as f:
            self.assertIn("cursor-journal:", f.read())


class FakeApi:
    """A Kubernetes API over TLS with one pod; its watches last half a second."""

    def __init__(self, test, folder):
        self.tokens = []
        outer = self
        pod = {"metadata": {"name": "web", "namespace": "n", "resourceVersion": "5"},
               "spec": {"containers": [{"name": "c"}]}, "status": {"podIP": "10.0.0.1"}}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                outer.tokens.append(self.headers.get("Authorization"))
                is_watch = "watch=1" in self.path
                if is_watch:
                    time.sleep(0.5)
                body = b"" if is_watch else json.dumps(
                    {"metadata": {"resourceVersion": "7"}, "items": [pod]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/server.pem", folder + "/server.key")
        context.load_verify_locations(folder + "/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)


class FakeDaemon:
    """Enough of a Docker daemon: one container whose log has `n` lines, one a second."""

    def __init__(self, test):
        self.n = 2
        self.start = int(time.time()) - 60
        self.paths = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self, document):
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                outer.paths.append(self.path)
                if self.path.startswith("/containers/json"):
                    self.answer([{"Id": "c0ffee", "Names": ["/web"], "HostConfig": {"NetworkMode": "b"},
                                  "NetworkSettings": {"Networks": {"b": {"IPAddress": "10.0.0.9"}}}}])
                elif self.path.startswith("/containers/c0ffee/logs"):
                    self.logs(float(self.path.split("since=")[1]))
                elif self.path.startswith("/containers/c0ffee/json"):
                    self.answer({"Config": {"Tty": False}})
                else:
                    self.answer([])

            def logs(self, since):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for i in range(1, outer.n + 1):
                    if outer.start + i < since:
                        continue
                    text = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z ", time.gmtime(outer.start + i))
                    line = f"{text}line {i}\n".encode()
                    frame = struct.pack(">BxxxI", 1 + (i + 1) % 2, len(line)) + line
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
                    self.wfile.flush()
                time.sleep(30)

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def get_request(self):
                return super().get_request()[0], ("docker", 0)

        self.path = test.loge.folder + "/docker.sock"
        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)


if __name__ == "__main__":
    unittest.main()
