"""A real Consul: one server that is an agent too, on loopback.

    with consul.Consul() as c:
        c.put("/v1/agent/service/register", {...})"""
import json
import os

import lib
import peers

# Lets a client see all services and nodes, and change nothing.
READER = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } agent_prefix "" { policy = "read" }'


class Consul(lib.Process):
    """`token`: the one that may do all; then nobody without a token may do anything."""

    def __init__(self, token=None):
        self.program = peers.built("consul", "CONSUL")
        super().__init__()
        self.token = token
        self.port = lib.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = {"node_name": "node-1", "datacenter": "here", "node_meta": {"rack-no": "7"}, "log_level": "warn"}
        if token is not None:
            config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": token,
                                                                                   "agent": token}}
        with open(os.path.join(self.folder, "consul.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)

    def command(self):
        return [self.program, "agent", "-dev", "-bind=127.0.0.1", f"-http-port={self.port}", "-dns-port=-1",
                "-grpc-port=-1", "-grpc-tls-port=-1", "-serf-wan-port=-1", f"-server-port={lib.free_port()}",
                f"-serf-lan-port={lib.free_port()}", "-config-file=" + os.path.join(self.folder, "consul.json")]

    def request(self, method, path, document=None):
        headers = {"X-Consul-Token": self.token} if self.token else {}
        body = None if document is None else json.dumps(document).encode()
        status, answer, _ = lib.http(method, self.url + path, body, headers)
        if status != 200:
            raise OSError(f"{method} {path}: {status} {answer.decode()}")
        return json.loads(answer) if answer else None

    def put(self, path, document=None):
        return self.request("PUT", path, document)

    def start(self):
        super().start()

        def is_ready():
            try:
                return self.request("GET", "/v1/status/leader") and self.request("GET", "/v1/catalog/services")
            except OSError:
                return False
        lib.wait_until(is_ready, 20, "consul")
        return self

    def stop(self, seconds=30):
        self.kill()  # it has nothing to keep
        return 0

    def register(self, name, number=1, **more):
        self.put("/v1/agent/service/register", {"Name": name, "ID": f"{name}-{number}", **more})

    def deregister(self, name, number=1):
        self.put(f"/v1/agent/service/deregister/{name}-{number}")
