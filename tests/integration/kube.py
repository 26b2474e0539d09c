"""A real Kubernetes API server for tests: etcd and kube-apiserver on loopback, without controllers.

    with KubeApiserver() as api:
        api.create("v1", "namespaces", None, {"metadata": {"name": "demo"}})
        api.kubeconfig(path, token="...")

etcd comes from Debian's etcd-server.  The API server is found under build/peers (made by
helpers/build_kube_apiserver), by the environment variable KUBE_APISERVER, or on the PATH; without
it the test is skipped.
"""
import http.client
import http.server
import json
import os
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

import lib
import peers

ADMIN = "admin-token"
# Tokens that the API server knows from a file: token, user, uid, groups.
TOKENS = [(ADMIN, "admin", "system:masters"), ("promtail-token", "promtail", ""),
          ("other-token", "other", "")]


class Etcd(lib.Process):
    def __init__(self, folder):
        self.program = peers.program("etcd-server", "usr/bin/etcd")
        super().__init__(folder)
        self.url = f"http://127.0.0.1:{lib.free_port()}"
        self.peer_url = f"http://127.0.0.1:{lib.free_port()}"

    def command(self):
        return [self.program, "--name=test", f"--data-dir={self.folder}/etcd", "--logger=zap",
                f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls={self.peer_url}", f"--initial-advertise-peer-urls={self.peer_url}",
                f"--initial-cluster=test={self.peer_url}"]

    def start(self):
        super().start()

        def is_healthy():
            try:
                return lib.http("GET", self.url + "/health", timeout=2)[0] == 200
            except OSError:
                return False
        lib.wait_until(is_healthy, 30, "etcd")
        return self

    def call(self, path, document):
        status, body, _ = lib.http("POST", self.url + path, json.dumps(document).encode())
        assert status == 200, body
        return json.loads(body)

    def compact(self):
        """Forgets all revisions but the last, which is returned."""
        key = "AA=="
        revision = self.call("/v3/kv/range", {"key": key, "limit": 1})["header"]["revision"]
        self.call("/v3/kv/compaction", {"revision": revision, "physical": True})
        return int(revision)


class KubeApiserver(lib.Process):
    """`flags` are added to the command."""

    def __init__(self, flags=()):
        self.program = peers.built("kube-apiserver", "KUBE_APISERVER")
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        super().__init__(tempfile.mkdtemp(prefix="loge-kube-", dir=memory))
        self.own_folder = True
        self.etcd = Etcd(self.folder)
        self.port = lib.free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.flags = list(flags)
        self.connections = threading.local()
        self.write_keys()

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def certificate(self, name, subject, *more):
        """name.pem and name.key, signed by our CA."""
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-subj", subject,
                     "-keyout", name + ".key", "-out", name + ".pem",
                     "-addext", "basicConstraints=critical,CA:FALSE", *more)

    def write_keys(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-days", "2", "-subj", "/CN=test ca", "-keyout", "ca.key",
                     "-out", "ca.pem")
        self.certificate("server", "/CN=kube-apiserver",
                         "-addext", "subjectAltName=IP:127.0.0.1,DNS:kubernetes.default.svc")
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "accounts.key")
        with open(self.path("tokens.csv"), "w", encoding="utf-8") as f:
            for uid, (token, user, groups) in enumerate(TOKENS):
                f.write(f'{token},{user},{uid},"{groups}"\n')

    def command(self):
        # No controllers and no kubelet run: what would wait for them is switched off.
        return [self.program, f"--etcd-servers={self.etcd.url}", "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1", f"--secure-port={self.port}",
                "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
                "--tls-cert-file=server.pem", "--tls-private-key-file=server.key",
                "--client-ca-file=ca.pem", "--token-auth-file=tokens.csv", "--anonymous-auth=false",
                "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
                "--service-account-key-file=accounts.key",
                "--service-account-signing-key-file=accounts.key",
                "--disable-admission-plugins=ServiceAccount,PodSecurity,TaintNodesByCondition",
                "--enable-priority-and-fairness=false", "--profiling=false",
                # Services come from etcd itself, with its way to say what is too old.
                "--watch-cache-sizes=services#0",
                "--cert-dir=" + self.path("certs")] + self.flags

    def start(self):
        if not self.etcd.is_running():
            self.etcd.start()
        super().start()
        lib.wait_until(self.is_ready, 60, "the API server")
        return self

    def is_ready(self):
        if not self.is_running():
            raise AssertionError("kube-apiserver ended:\n" + self.tail())
        try:
            return self.request("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, seconds=30):
        """Both are killed: nothing of theirs is kept."""
        if self.is_running():
            self.kill()
        if self.etcd.is_running():
            self.etcd.kill()
        return 0

    # --- requests ---

    def connection(self, token):
        kept = self.connections.__dict__.setdefault("kept", {})
        if token not in kept:
            context = ssl.create_default_context(cafile=self.path("ca.pem"))
            kept[token] = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30,
                                                      context=context)
        return kept[token]

    def request(self, method, path, document=None, token=ADMIN, kind="application/json"):
        """(status, document) of a request; one that fails on a kept connection is tried anew."""
        headers = {"Authorization": "Bearer " + token, "Content-Type": kind}
        body = None if document is None else json.dumps(document)
        connection = self.connection(token)
        for is_last in (connection.sock is None, True):
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                if is_last:
                    raise
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def must(self, method, path, document=None, **more):
        status, answer = self.request(method, path, document, **more)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    @staticmethod
    def location(api, resource, namespace, name="", part=""):
        path = "/api/v1" if api == "v1" else "/apis/" + api
        if namespace:
            path += "/namespaces/" + namespace
        return path + "/" + resource + ("/" + name if name else "") + ("/" + part if part else "")

    def create(self, api, resource, namespace, document):
        """The object as the server made it.  A `status` is written after it, as a kubelet would."""
        made = self.must("POST", self.location(api, resource, namespace), document)
        if "status" not in document:
            return made
        return self.patch(api, resource, namespace, document["metadata"]["name"],
                          {"status": document["status"]}, "status")

    def patch(self, api, resource, namespace, name, change, part=""):
        return self.must("PATCH", self.location(api, resource, namespace, name, part), change,
                         kind="application/merge-patch+json")

    def delete(self, api, resource, namespace, name):
        """At once: no kubelet would end a pod's grace period."""
        return self.must("DELETE", self.location(api, resource, namespace, name),
                         {"gracePeriodSeconds": 0})

    def namespace(self, name):
        self.create("v1", "namespaces", None, {"metadata": {"name": name}})

    def allow(self, user, resources, namespace=None, name=None):
        """Lets a user list and watch, in a namespace or everywhere; returns the binding's name."""
        name = name or f"{user.split(':')[-1]}-reads"
        kind, prefix = ("Role", "") if namespace else ("ClusterRole", "cluster")
        api = "rbac.authorization.k8s.io/v1"
        self.create(api, prefix + "roles", namespace, {"metadata": {"name": name}, "rules": [
            {"apiGroups": ["*"], "resources": list(resources), "verbs": ["get", "list", "watch"]}]})
        self.create(api, prefix + "rolebindings", namespace, {
            "metadata": {"name": name},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}})
        return name

    def account_token(self, namespace, account, bound_to=None):
        """A token of a service account, which ends with the Secret it is bound to."""
        spec = {"expirationSeconds": 3600}
        if bound_to:
            secret = self.create("v1", "secrets", namespace, {"metadata": {"name": bound_to}})
            spec["boundObjectRef"] = {"kind": "Secret", "apiVersion": "v1", "name": bound_to,
                                      "uid": secret["metadata"]["uid"]}
        path = self.location("v1", "serviceaccounts", namespace, account, "token")
        return self.must("POST", path, {"spec": spec})["status"]["token"]

    def kubeconfig(self, path, user, server=None):
        """`user` is the YAML of the user's block."""
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"""\
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: test, user: me}}}}]
clusters: [{{name: test, cluster: {{server: '{server or self.url}', certificate-authority: '{self.path("ca.pem")}'}}}}]
users: [{{name: me, user: {user}}}]
""")


class Wire:
    """A TCP proxy in front of the API server, which can be cut: refuse and close."""

    def __init__(self, port):
        self.to = port
        self.pairs = []
        self.is_cut = self.is_closed = False
        self.n_accepted = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_closed:
            sockets = [self.server] + [s for pair in self.pairs for s in pair]
            ready = select.select(sockets, [], [], 0.05)[0]
            for s in ready:
                if s is self.server:
                    self.accept()
                elif s.fileno() >= 0:
                    self.move(s)
            if self.is_cut:
                self.drop_all()

    def accept(self):
        s = self.server.accept()[0]
        self.n_accepted += 1
        try:
            if self.is_cut:
                raise OSError("cut")
            self.pairs.append((s, socket.create_connection(("127.0.0.1", self.to), 2)))
        except OSError:
            s.close()

    def move(self, s):
        pair = next(p for p in self.pairs if s in p)
        try:
            piece = s.recv(65536)
            pair[1 - pair.index(s)].sendall(piece)
        except OSError:
            piece = b""
        if not piece:
            self.pairs.remove(pair)
            for one in pair:
                one.close()

    def cut(self):
        self.is_cut = True
        lib.wait_until(lambda: not self.pairs, 5, "the wire to be cut")

    def drop_all(self):
        for pair in self.pairs:
            for s in pair:
                s.close()
        self.pairs = []

    def close(self):
        self.is_closed = True
        self.thread.join()
        self.drop_all()
        self.server.close()


class Tap:
    """An HTTP proxy in front of the API server that notes what is asked and what is watched.

    `rewrite` may change the path of a request on its way; `calls` holds (path, parameters) of each,
    `events` the events of all watches."""

    def __init__(self, api):
        self.calls = []
        self.events = []
        self.rewrite = lambda path, parameters: None
        self.api = api
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                try:
                    outer.forward(self)
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def forward(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        parameters = dict(urllib.parse.parse_qsl(url.query))
        self.calls.append((url.path, dict(parameters)))
        self.rewrite(url.path, parameters)
        context = ssl.create_default_context(cafile=self.api.path("ca.pem"))
        peer = http.client.HTTPSConnection("127.0.0.1", self.api.port, context=context, timeout=60)
        try:
            peer.request("GET", url.path + "?" + urllib.parse.urlencode(parameters), headers={
                "Authorization": handler.headers.get("Authorization", "")})
            answer = peer.getresponse()
            handler.send_response(answer.status)
            handler.send_header("Content-Type", answer.headers["Content-Type"])
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            self.copy(answer, handler, "watch" in parameters and answer.status == 200)
        finally:
            peer.close()

    def copy(self, answer, handler, is_watch):
        rest = b""
        while True:
            piece = answer.read1(65536)
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
            if not piece:
                return
            if is_watch:
                *lines, rest = (rest + piece).split(b"\n")
                self.events += [json.loads(line) for line in lines if line]

    def lists(self):
        return [p for _, p in self.calls if "watch" not in p]

    def watches(self):
        return [p for _, p in self.calls if "watch" in p]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
