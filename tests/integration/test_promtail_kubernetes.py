"""promtail's kubernetes_sd_configs against a real API server (kube.py), and what it then reads.

No kubelet and no controllers run: the tests write what those would write."""
import base64
import json
import os
import re
import shutil
import subprocess
import threading
import time
import unittest

import chart
import lib
import peers
from kube import KubeApiserver, Tap, Wire
from promtail_page import PagePromtail

META = "__meta_kubernetes_"
API = None


def setUpModule():
    global API
    API = KubeApiserver()
    try:
        API.start()
        API.create("v1", "nodes", None, {
            "metadata": {"name": "node-a", "labels": {"zone": "z-1"}, "annotations": {"a/b": "c"}},
            "spec": {"providerID": "cloud://node-a"},
            "status": {"addresses": [{"type": "Hostname", "address": "node-a.local"},
                                     {"type": "InternalIP", "address": "192.168.0.1"},
                                     {"type": "InternalIP", "address": "fd00::a"}],
                       "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})
        API.allow("promtail", ["pods", "nodes", "services", "endpoints", "endpointslices",
                               "ingresses"])
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    API.stop()
    shutil.rmtree(API.folder, ignore_errors=True)


class Promtail(PagePromtail):
    """promtail on the node "node-a"."""
    wrap = ("env", "HOSTNAME=node-a")

    def names(self, job="k8s", label="pod_name"):
        """The sorted names of a job's targets."""
        return sorted(t[META + label] for t in self.page().get(job, []))

    def log_text(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


HEAD = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: ${PORT}, grpc_listen_port: 0}
positions: {filename: '${DIR}/positions.yaml', sync_period: 200ms}
target_config: {sync_period: 500ms}
clients: [{url: '${PUSH_URL}', batchwait: BATCHWAIT}]
scrape_configs:
"""


def pod(name, ip, node="node-a", labels=None, containers=None, **meta):
    return {"metadata": {"name": name, "labels": labels or {}, **meta},
            "spec": {"nodeName": node, "containers": containers or [{"name": "c", "image": "i"}]},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}}


class Kubernetes(unittest.TestCase):
    def setUp(self):
        # A namespace of its own for each test.
        self.ns = re.sub("[^a-z]+", "-", self._testMethodName)[5:45].strip("-")
        if not API.is_running():
            API.start()
        API.namespace(self.ns)

    batchwait = "50ms"

    def promtail(self, jobs, push_url="http://127.0.0.1:9/none"):
        p = Promtail(HEAD.replace("BATCHWAIT", self.batchwait) + jobs, push_url)
        self.prepare(p)
        p.start()
        self.addCleanup(p.__exit__, None, None, None)
        return p

    def prepare(self, p):
        """Before the program starts, in its folder."""
        API.kubeconfig(p.folder + "/kubeconfig", "{token: promtail-token}")

    def pods(self, more="", access="kubeconfig_file: '${DIR}/kubeconfig'"):
        """The job k8s: this test's pods."""
        return f"""\
- job_name: k8s
  kubernetes_sd_configs: [{{role: pod, {access}, namespaces: {{names: [{self.ns}]}}{more}}}]
"""

    def make(self, document, resource="pods", api="v1", namespace=None):
        return API.create(api, resource, namespace or self.ns, document)

    def expect(self, p, names, seconds=10, **more):
        try:
            lib.wait_until(lambda: p.names(**more) == sorted(names), seconds)
        except AssertionError:
            self.assertEqual(p.names(**more), sorted(names), p.tail())


# --- labels ---

def meta(labels):
    return {key if key in ("__address__", "instance") else META + key: value
            for key, value in labels.items() if value is not None}


def from_map(prefix, labels):
    """The labels that a map of labels or annotations becomes."""
    found = {}
    for key, value in labels.items():
        name = re.sub("[^a-zA-Z0-9]", "_", key)
        found[f"{prefix}_{name}"] = value
        found[f"{prefix}present_{name}"] = "true"
    return found


class Labels(Kubernetes):
    """Each role's labels are those that Prometheus' documentation names, and no others."""

    def compare(self, role, expected, more=""):
        p = self.promtail(f"""\
- job_name: k8s
  kubernetes_sd_configs: [{{role: {role}, kubeconfig_file: '${{DIR}}/kubeconfig', namespaces: {{names: [{self.ns}]}}{more}}}]
""")
        expected = [meta(e) for e in expected]

        def found():
            return [{k: v for k, v in t.items() if k in ("__address__", "instance") or k.startswith(META)}
                    for t in p.page().get("k8s", [])]
        try:
            lib.wait_until(lambda: len(found()) >= len(expected), 10)
        except AssertionError:
            pass

        def order(targets):
            return sorted(targets, key=lambda t: json.dumps(t, sort_keys=True))
        self.maxDiff = None
        self.assertEqual(order(found()), order(expected))

    def web(self):
        """A pod with all there is to tell, as the server has it, and its labels."""
        labels = {"app.kubernetes.io/name": "web", "empty": ""}
        notes = {"example.org/note": 'says "<hello>" & more', "kubernetes.io/config.hash": "abc"}
        made = self.make({
            "metadata": {"name": "web", "labels": labels, "annotations": notes, "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "1"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9", "uid": "2",
                 "controller": True}]},
            "spec": {"nodeName": "node-a",
                     "containers": [
                         {"name": "main", "image": "web:1", "ports": [
                             {"name": "http", "containerPort": 8080},
                             {"containerPort": 53, "protocol": "UDP"}]},
                         {"name": "side", "image": "side:2"}],
                     "initContainers": [
                         {"name": "setup", "image": "setup:3"},
                         {"name": "mesh", "image": "mesh:4", "restartPolicy": "Always",
                          "ports": [{"name": "admin", "containerPort": 15000}]}]},
            "status": {"phase": "Running", "podIP": "10.1.0.1", "hostIP": "192.168.0.1",
                       "podIPs": [{"ip": "10.1.0.1"}],
                       "conditions": [{"type": "Initialized", "status": "False"},
                                      {"type": "Ready", "status": "True"}],
                       "containerStatuses": [
                           {"name": name, "containerID": "containerd://" + name, "image": "",
                            "imageID": "", "ready": True, "restartCount": 0}
                           for name in ("main", "side")],
                       "initContainerStatuses": [
                           {"name": "mesh", "containerID": "containerd://mesh", "image": "",
                            "imageID": "", "ready": True, "restartCount": 0}]}})
        API.patch("v1", "pods", self.ns, "web", {"spec": {"ephemeralContainers": [
            {"name": "debug", "image": "debug:5"}]}}, "ephemeralcontainers")
        return {"pod_name": "web", "pod_ip": "10.1.0.1", "pod_ready": "true", "pod_phase": "Running",
                "pod_node_name": "node-a", "pod_host_ip": "192.168.0.1",
                "pod_uid": made["metadata"]["uid"], "pod_controller_kind": "ReplicaSet",
                "pod_controller_name": "web-5d9", **from_map("pod_label", labels),
                **from_map("pod_annotation", notes)}

    @staticmethod
    def container(name, image, port=None, is_init=False):
        """`port`: (name, number, protocol)."""
        labels = {"pod_container_name": name, "pod_container_image": image,
                  "pod_container_init": "true" if is_init else "false"}
        if port:
            labels.update({"pod_container_port_name": port[0], "pod_container_port_number": port[1],
                           "pod_container_port_protocol": port[2]})
        return labels

    HTTP, DNS, ADMIN = ("http", "8080", "TCP"), (None, "53", "UDP"), ("admin", "15000", "TCP")

    def test_pod(self):
        all_of_web = {"namespace": self.ns, **self.web()}
        self.make({"metadata": {"name": "starts"}, "spec": pod("", "")["spec"]})  # has no address
        six = self.make(pod("six", "fd00::5", containers=[
            {"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]))
        self.compare("pod", [
            {"__address__": "10.1.0.1:8080", **all_of_web, **self.container("main", "web:1", self.HTTP),
             "pod_container_id": "containerd://main"},
            {"__address__": "10.1.0.1:53", **all_of_web, **self.container("main", "web:1", self.DNS),
             "pod_container_id": "containerd://main"},
            {"__address__": "10.1.0.1", **all_of_web, **self.container("side", "side:2"),
             "pod_container_id": "containerd://side"},
            {"__address__": "10.1.0.1", **all_of_web, **self.container("setup", "setup:3", is_init=True)},
            {"__address__": "10.1.0.1:15000", **all_of_web, "pod_container_id": "containerd://mesh",
             **self.container("mesh", "mesh:4", self.ADMIN, is_init=True)},
            {"__address__": "[fd00::5]:80", "namespace": self.ns, "pod_name": "six",
             "pod_ip": "fd00::5", "pod_ready": "unknown", "pod_phase": "Running",
             "pod_node_name": "node-a", "pod_uid": six["metadata"]["uid"],
             **self.container("c", "i", (None, "80", "TCP"))},
        ])

    def test_pod_with_its_node(self):
        made = self.make(pod("p", "10.1.0.2"))
        self.compare("pod", [
            {"__address__": "10.1.0.2", "namespace": self.ns, "pod_name": "p", "pod_ip": "10.1.0.2",
             "pod_ready": "unknown", "pod_phase": "Running", "pod_node_name": "node-a",
             "pod_uid": made["metadata"]["uid"], **self.container("c", "i"),
             "node_name": "node-a", **from_map("node_label", {"zone": "z-1"})},
        ], ", attach_metadata: {node: true}")

    def test_node(self):
        self.compare("node", [
            {"__address__": "192.168.0.1:10250", "instance": "node-a", "node_name": "node-a",
             "node_provider_id": "cloud://node-a", "node_address_InternalIP": "192.168.0.1",
             "node_address_Hostname": "node-a.local", **from_map("node_label", {"zone": "z-1"}),
             **from_map("node_annotation", {"a/b": "c"})},
        ], ", selectors: [{role: node, field: metadata.name=node-a}]")

    def test_service(self):
        ports = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
        labels = {"tier": "front"}
        web = self.make({"metadata": {"name": "web", "labels": labels, "annotations": {"x.y/z": "1"}},
                         "spec": {"ports": ports}}, "services")
        out = self.make({"metadata": {"name": "out"}, "spec": {
            "type": "ExternalName", "externalName": "db.example.org", "ports": [{"port": 5432}]}},
            "services")
        self.make({"metadata": {"name": "edge"}, "spec": {
            "type": "LoadBalancer", "loadBalancerIP": "203.0.113.7", "clusterIP": "10.96.7.7",
            "allocateLoadBalancerNodePorts": False, "ports": [{"port": 443}]}}, "services")
        self.assertEqual(out["spec"]["type"], "ExternalName")
        of_web = {"namespace": self.ns, "service_name": "web", "service_type": "ClusterIP",
                  "service_cluster_ip": web["spec"]["clusterIP"], **from_map("service_label", labels),
                  **from_map("service_annotation", {"x.y/z": "1"})}
        self.compare("service", [
            {"__address__": f"web.{self.ns}.svc:80", **of_web, "service_port_name": "http",
             "service_port_number": "80", "service_port_protocol": "TCP"},
            {"__address__": f"web.{self.ns}.svc:53", **of_web, "service_port_name": "dns",
             "service_port_number": "53", "service_port_protocol": "UDP"},
            {"__address__": f"out.{self.ns}.svc:5432", "namespace": self.ns, "service_name": "out",
             "service_type": "ExternalName", "service_external_name": "db.example.org",
             "service_port_number": "5432", "service_port_protocol": "TCP"},
            {"__address__": f"edge.{self.ns}.svc:443", "namespace": self.ns, "service_name": "edge",
             "service_type": "LoadBalancer", "service_cluster_ip": "10.96.7.7",
             "service_loadbalancer_ip": "203.0.113.7", "service_port_number": "443",
             "service_port_protocol": "TCP"},
        ])

    def rest_of_web(self, of_pod, of_group):
        """The ports of the pod that the endpoints do not name."""
        return [
            {"__address__": "10.1.0.1:53", **of_group, **of_pod, **self.container("main", "web:1", self.DNS)},
            {"__address__": "10.1.0.1:15000", **of_group, **of_pod,
             **self.container("mesh", "mesh:4", self.ADMIN, is_init=True)}]

    def test_endpoints(self):
        of_pod = self.web()
        self.make({"metadata": {"name": "web", "labels": {"tier": "front"}},
                   "spec": {"ports": [{"port": 80}]}}, "services")
        self.make({"metadata": {"name": "web", "labels": {"of": "web"}, "annotations": {"n": "1"}}, "subsets": [
            {"addresses": [
                {"ip": "10.1.0.1", "nodeName": "node-a", "hostname": "web-0", "targetRef":
                 {"kind": "Pod", "namespace": self.ns, "name": "web"}}],
             "notReadyAddresses": [{"ip": "10.9.9.9"}],
             "ports": [{"name": "http", "port": 8080}]}]}, "endpoints")
        of_group = {"namespace": self.ns, "endpoints_name": "web", "service_name": "web",
                    **from_map("endpoints_label", {"of": "web"}),
                    **from_map("endpoints_annotation", {"n": "1"}),
                    **from_map("service_label", {"tier": "front"})}
        port = {"endpoint_port_name": "http", "endpoint_port_protocol": "TCP"}
        self.compare("endpoints", [
            {"__address__": "10.1.0.1:8080", **of_group, **of_pod, **port, "endpoint_ready": "true",
             "endpoint_node_name": "node-a", "endpoint_hostname": "web-0",
             "endpoint_address_target_kind": "Pod", "endpoint_address_target_name": "web",
             "node_name": "node-a", **from_map("node_label", {"zone": "z-1"}),
             **self.container("main", "web:1", self.HTTP)},
            {"__address__": "10.9.9.9:8080", **of_group, **port, "endpoint_ready": "false"},
            *self.rest_of_web(of_pod, of_group),
        ], ", attach_metadata: {node: true}")

    def test_endpointslice(self):
        of_pod = self.web()
        self.make({"metadata": {"name": "web", "annotations": {"x": "y"}},
                   "spec": {"ports": [{"port": 80}]}}, "services")
        labels = {"kubernetes.io/service-name": "web"}
        self.make({"metadata": {"name": "web-abc", "labels": labels}, "addressType": "IPv4",
                   "ports": [{"name": "http", "port": 8080, "appProtocol": "kubernetes.io/h2c"}],
                   "endpoints": [
                       {"addresses": ["10.1.0.1"], "nodeName": "node-a", "zone": "z-1", "hostname": "web-0",
                        "conditions": {"ready": True, "serving": True, "terminating": False},
                        "targetRef": {"kind": "Pod", "namespace": self.ns, "name": "web"}},
                       {"addresses": ["10.9.9.9"], "conditions": {"ready": False}}]},
                  "endpointslices", "discovery.k8s.io/v1")
        made = {"endpointslice_name": "web-abc", "endpointslice_address_type": "IPv4"}
        of_group = {"namespace": self.ns, "service_name": "web", **made,
                    **from_map("endpointslice_label", labels),
                    **from_map("service_annotation", {"x": "y"})}
        port = {"endpointslice_port": "8080", "endpointslice_port_name": "http",
                "endpointslice_port_protocol": "TCP",
                "endpointslice_port_app_protocol": "kubernetes.io/h2c"}
        self.compare("endpointslice", [
            {"__address__": "10.1.0.1:8080", **of_group, **of_pod, **port,
             "endpointslice_endpoint_conditions_ready": "true",
             "endpointslice_endpoint_conditions_serving": "true",
             "endpointslice_endpoint_conditions_terminating": "false",
             "endpointslice_endpoint_node_name": "node-a", "endpointslice_endpoint_zone": "z-1",
             "endpointslice_endpoint_hostname": "web-0",
             "endpointslice_address_target_kind": "Pod", "endpointslice_address_target_name": "web",
             **self.container("main", "web:1", self.HTTP)},
            {"__address__": "10.9.9.9:8080", **of_group, **port,
             "endpointslice_endpoint_conditions_ready": "false"},
            *self.rest_of_web(of_pod, of_group),
        ])

    def test_ingress(self):
        def path(value):
            found = {"pathType": "Prefix" if value else "ImplementationSpecific",
                     "backend": {"service": {"name": "s", "port": {"number": 80}}}}
            return {**found, "path": value} if value else found
        self.make({"metadata": {"name": "in", "labels": {"l": "1"}, "annotations": {"a": "2"}}, "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["a.example.org", "*.wild.example.org"]}],
            "rules": [{"host": "a.example.org", "http": {"paths": [path("/x"), path("/y")]}},
                      {"host": "b.wild.example.org", "http": {"paths": [path(None)]}},
                      {"host": "plain.example.org", "http": {"paths": [path("/")]}},
                      {"http": {"paths": [path("/any")]}}]}}, "ingresses", "networking.k8s.io/v1")
        of_group = {"namespace": self.ns, "ingress_name": "in", "ingress_class_name": "nginx",
                    **from_map("ingress_label", {"l": "1"}), **from_map("ingress_annotation", {"a": "2"})}
        self.compare("ingress", [
            {"__address__": host, **of_group, "ingress_scheme": scheme, "ingress_host": host or None,
             "ingress_path": at}
            for host, scheme, at in (("a.example.org", "https", "/x"), ("a.example.org", "https", "/y"),
                                     ("b.wild.example.org", "https", "/"),
                                     ("plain.example.org", "http", "/"), ("", "http", "/any"))])


class Access(Kubernetes):
    """Who promtail is to the server, and what it asks for."""

    def test_kubeconfig_with_certificate_token_and_token_file(self):
        self.make(pod("p", "10.1.0.1"))
        API.certificate("promtail", "/CN=promtail")

        def prepare(p):
            with open(p.folder + "/token", "w", encoding="utf-8") as f:
                f.write("promtail-token\n")
            API.kubeconfig(p.folder + "/token.conf", "{token: promtail-token}")
            API.kubeconfig(p.folder + "/file.conf", "{tokenFile: token}")
            shutil.copy(API.path("promtail.key"), p.folder)
            with open(API.path("promtail.pem"), "rb") as f:
                data = base64.b64encode(f.read()).decode()
            API.kubeconfig(p.folder + "/cert.conf",
                           f"{{client-certificate-data: {data}, client-key: promtail.key}}")
        self.prepare = prepare
        p = self.promtail("".join(f"""\
- job_name: {name}
  kubernetes_sd_configs: [{{role: pod, kubeconfig_file: '${{DIR}}/{name}.conf', namespaces: {{names: [{self.ns}]}}}}]
""" for name in ("token", "file", "cert")))
        for name in ("token", "file", "cert"):
            self.expect(p, ["p"], job=name)

    def test_api_server_with_a_token_file_and_a_ca(self):
        self.make(pod("p", "10.1.0.1"))

        def prepare(p):
            with open(p.folder + "/token", "w", encoding="utf-8") as f:
                f.write("promtail-token")
        self.prepare = prepare
        p = self.promtail(self.pods(access=f"api_server: '{API.url}', tls_config: {{ca_file: "
                                           f"'{API.path('ca.pem')}'}}, bearer_token_file: '${{DIR}}/token'"))
        self.expect(p, ["p"])

    def test_service_account_whose_token_is_replaced(self):
        account = f"system:serviceaccount:{self.ns}:logger"
        self.make({"metadata": {"name": "logger"}}, "serviceaccounts")
        API.allow(account, ["pods"], self.ns)
        first = API.account_token(self.ns, "logger", "first")
        second = API.account_token(self.ns, "logger", "second")
        self.make(pod("one", "10.1.0.1"))

        def write(folder, name, token):
            """As the kubelet does: a new folder, and the link ..data turned to it."""
            os.makedirs(folder + "/" + name)
            for file, text in (("token", token), ("namespace", self.ns)):
                with open(f"{folder}/{name}/{file}", "w", encoding="utf-8") as f:
                    f.write(text)
            shutil.copy(API.path("ca.pem"), f"{folder}/{name}/ca.crt")
            os.symlink(name, folder + "/..next")
            os.rename(folder + "/..next", folder + "/..data")

        def prepare(p):
            folder = p.folder + "/account"
            write(folder, "..1", first)
            for file in ("token", "namespace", "ca.crt"):
                os.symlink("..data/" + file, folder + "/" + file)
            p.wrap = ["unshare", "-m", "sh", "-ec", f"""\
mount -t tmpfs none /var/run
mkdir -p /var/run/secrets/kubernetes.io
ln -s {folder} /var/run/secrets/kubernetes.io/serviceaccount
exec env HOSTNAME=node-a KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT={API.port} "$@"
""", "sh"]
        if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no mount namespace can be made (no root)")
        self.prepare = prepare
        p = self.promtail("""\
- job_name: k8s
  kubernetes_sd_configs: [{role: pod, namespaces: {own_namespace: true}}]
""")
        self.expect(p, ["one"])
        write(p.folder + "/account", "..2", second)
        API.delete("v1", "secrets", self.ns, "first")
        API.kill()  # with it go the connections, and what it remembers of tokens
        API.start()
        self.assertEqual(API.request("GET", f"/api/v1/namespaces/{self.ns}/pods", token=first)[0], 401)
        self.make(pod("two", "10.1.0.2"))
        self.expect(p, ["one", "two"], 15)

    def test_selectors_and_only_the_own_node(self):
        self.make(pod("web", "10.1.0.1", labels={"app": "web", "v": "1"}))
        self.make(pod("db", "10.1.0.2", labels={"app": "db"}))
        self.make(pod("bare", "10.1.0.3"))
        self.make(pod("other", "10.1.0.4", node="node-b", labels={"app": "web"}))
        selectors = {"all": "", "web": "label: app=web", "some": "label: 'app in (web, db), !v'",
                     "field": "field: metadata.name!=web", "both": "label: app, field: status.podIP=10.1.0.2"}
        p = self.promtail("".join(f"""\
- job_name: {name}
  kubernetes_sd_configs: [{{role: pod, kubeconfig_file: '${{DIR}}/kubeconfig', namespaces: {{names: [{self.ns}]}}, selectors: [{{role: pod, {selector}}}]}}]
""" for name, selector in selectors.items()))
        want = {"all": ["bare", "db", "web"], "web": ["web"], "some": ["db"], "field": ["bare", "db"],
                "both": ["db"]}
        for name, names in want.items():
            self.expect(p, names, job=name)
        # What a selector takes in changes with the labels.
        API.patch("v1", "pods", self.ns, "bare", {"metadata": {"labels": {"app": "web"}}})
        API.patch("v1", "pods", self.ns, "web", {"metadata": {"labels": {"app": "db"}}})
        self.expect(p, ["bare"], job="web")
        self.expect(p, ["bare", "db"], job="some")

    def test_namespaces_one_of_which_is_forbidden(self):
        second, third = self.ns + "-2", self.ns + "-3"
        for namespace in (second, third):
            API.namespace(namespace)
        API.allow("other", ["pods"], self.ns)
        for namespace in (self.ns, second, third):
            self.make(pod("in-" + namespace[-1], "10.1.0.1"), namespace=namespace)
        self.prepare = lambda p: API.kubeconfig(p.folder + "/kubeconfig", "{token: other-token}")
        p = self.promtail(f"""\
- job_name: k8s
  kubernetes_sd_configs: [{{role: pod, kubeconfig_file: '${{DIR}}/kubeconfig', namespaces: {{names: [{second}, {self.ns}]}}}}]
""")
        self.expect(p, ["in-" + self.ns[-1]])
        self.assertIn(f'cannot list resource "pods" in API group "" in the namespace "{second}"',
                      p.log_text().replace('\\"', '"'))
        self.assertLess(p.log_text().count("failed to list"), 12)
        API.allow("other", ["pods"], second)
        self.expect(p, ["in-" + self.ns[-1], "in-2"], 30)

    def test_a_token_the_server_does_not_know(self):
        self.make(pod("p", "10.1.0.1"))

        def prepare(p):
            with open(p.folder + "/token", "w", encoding="utf-8") as f:
                f.write("unknown")
            API.kubeconfig(p.folder + "/kubeconfig", "{tokenFile: token}")
        self.prepare = prepare
        p = self.promtail(self.pods())
        lib.wait_until(lambda: "status=401" in p.log_text(), 10, "the refusal in the log")
        self.assertIn("Unauthorized", p.log_text())
        with open(p.folder + "/token", "w", encoding="utf-8") as f:
            f.write("promtail-token")
        self.expect(p, ["p"], 15)


class Life(Kubernetes):
    """Watches end, servers go away, objects come and go."""

    def tap(self):
        tap = Tap(API)
        self.addCleanup(tap.close)
        return tap, f"api_server: '{tap.url}', authorization: {{credentials: promtail-token}}"

    def wire(self):
        wire = Wire(API.port)
        self.addCleanup(wire.close)
        self.prepare = lambda p: API.kubeconfig(p.folder + "/kubeconfig", "{token: promtail-token}",
                                                f"https://127.0.0.1:{wire.port}")
        return wire

    def test_changes_are_seen_as_they_come(self):
        p = self.promtail(self.pods())
        self.make({"metadata": {"name": "a"}, "spec": pod("", "")["spec"]})
        time.sleep(0.3)
        self.assertEqual(p.names(), [])
        API.patch("v1", "pods", self.ns, "a", {"status": pod("", "10.1.0.1")["status"]}, "status")
        self.expect(p, ["a"])
        API.patch("v1", "pods", self.ns, "a", {"metadata": {"annotations": {"n": "v"}}})
        lib.wait_until(lambda: [t.get(META + "pod_annotation_n") for t in p.page()["k8s"]] == ["v"], 10,
                       "the annotation")
        API.patch("v1", "pods", self.ns, "a", {"metadata": {"annotations": {"n": None}}})
        lib.wait_until(lambda: [t.get(META + "pod_annotation_n") for t in p.page()["k8s"]] == [None], 10,
                       "the annotation to go")
        self.make(pod("b", "10.1.0.2"))
        API.delete("v1", "pods", self.ns, "a")
        self.expect(p, ["b"])
        for ip in range(3, 9):  # another of the same name, at once
            API.delete("v1", "pods", self.ns, "b")
            made = self.make(pod("b", f"10.1.0.{ip}"))
        lib.wait_until(lambda: [t[META + "pod_uid"] for t in p.page().get("k8s", [])] ==
                       [made["metadata"]["uid"]], 10, "the last pod of that name")

    def test_watches_that_end_go_on_from_their_bookmarks(self):
        tap, access = self.tap()

        def end_soon(path, parameters):
            if "watch" in parameters:
                parameters["timeoutSeconds"] = "3"  # the server sends a bookmark 2 s before the end
        tap.rewrite = end_soon
        self.make(pod("a", "10.1.0.1"))
        p = self.promtail(self.pods(access=access))
        self.expect(p, ["a"])
        # Elsewhere the versions go on: only a bookmark tells of that.
        API.namespace(self.ns + "-else")
        for i in range(3):
            self.make(pod(f"p{i}", "10.1.0.9"), namespace=self.ns + "-else")
            lib.wait_until(lambda n=i: len(tap.watches()) >= n + 2, 5, "the next watch")
        marks = [e["object"]["metadata"]["resourceVersion"] for e in tap.events if e["type"] == "BOOKMARK"]
        versions = [w["resourceVersion"] for w in tap.watches()]
        self.assertTrue(all(w["allowWatchBookmarks"] == "true" for w in tap.watches()))
        self.assertTrue(set(versions[1:]) <= set(marks), (versions, marks))
        self.assertNotEqual(versions[0], versions[-1])
        self.assertEqual(len(tap.lists()), 1)
        self.make(pod("b", "10.1.0.2"))
        self.expect(p, ["a", "b"])

    def test_a_long_list_comes_in_pages(self):
        for i in range(7):
            self.make({"metadata": {"name": f"s{i}"}, "spec": {"ports": [{"port": 80}]}}, "services")
        tap, access = self.tap()
        compacted = []

        def small_pages(path, parameters):
            if "limit" in parameters:
                parameters["limit"] = "3"
            if "continue" in parameters and not compacted:  # too late: 410, and from the start again
                API.namespace(self.ns + "-more")
                compacted.append(API.etcd.compact())
        tap.rewrite = small_pages
        p = self.promtail(self.pods(access=access).replace("role: pod", "role: service"))
        self.expect(p, [f"s{i}" for i in range(7)], label="service_name")
        self.assertGreaterEqual(len(tap.lists()), 5)
        self.assertTrue(compacted)

    def test_the_server_restarts(self):
        for name in "abc":
            self.make(pod(name, "10.1.0.1"))
        wire = self.wire()
        p = self.promtail(self.pods())
        self.expect(p, ["a", "b", "c"])
        wire.cut()
        API.delete("v1", "pods", self.ns, "a")
        self.make(pod("d", "10.1.0.4"))
        API.patch("v1", "pods", self.ns, "b", {"status": {"podIP": "10.1.0.9"}}, "status")
        API.etcd.compact()
        API.kill()
        time.sleep(1)
        self.assertEqual(p.names(), ["a", "b", "c"])  # nothing is known, nothing is forgotten
        API.start()
        self.assertEqual(p.names(), ["a", "b", "c"])
        wire.is_cut = False
        self.expect(p, ["b", "c", "d"], 15)
        self.assertEqual([t["__address__"] for t in p.page()["k8s"] if t[META + "pod_name"] == "b"],
                         ["10.1.0.9"])
        self.make(pod("e", "10.1.0.5"))
        self.expect(p, ["b", "c", "d", "e"])

    def test_a_cut_connection_is_taken_up_where_it_was(self):
        self.make(pod("a", "10.1.0.1"))
        wire = self.wire()
        p = self.promtail(self.pods())
        self.expect(p, ["a"])
        wire.cut()
        self.make(pod("b", "10.1.0.2"))
        API.delete("v1", "pods", self.ns, "a")
        time.sleep(0.5)
        wire.is_cut = False
        self.expect(p, ["b"])

    def test_five_hundred_pods_come_and_go(self):
        def many(step):
            def work(part):
                for i in range(part, 500, 4):
                    step(f"p-{i}")
            threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        p = self.promtail(self.pods())
        many(lambda name: self.make(pod(name, "10.1.0.1")))
        lib.wait_until(lambda: len(p.names()) == 500, 10, "500 pods")
        many(lambda name: API.delete("v1", "pods", self.ns, name))
        self.expect(p, [])


# What the Helm chart of Promtail makes of the labels of a pod.
CHART = """\
- job_name: pods
  pipeline_stages: [{cri: {}}]
  kubernetes_sd_configs: [{role: pod, kubeconfig_file: '${DIR}/kubeconfig', namespaces: {names: [NAMESPACE]}}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_controller_name], regex: '([0-9a-z-.]+?)(-[0-9a-f]{8,10})?', target_label: __tmp_controller_name}
  - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name, __meta_kubernetes_pod_label_app, __tmp_controller_name, __meta_kubernetes_pod_name], regex: '^;*([^;]+)(;.*)?$', target_label: app}
  - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_component, __meta_kubernetes_pod_label_component], regex: '^;*([^;]+)(;.*)?$', target_label: component}
  - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node_name}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [namespace, app], separator: /, target_label: job}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_container_name], target_label: container}
  - {source_labels: [__meta_kubernetes_pod_uid, __meta_kubernetes_pod_container_name], separator: /, replacement: '${DIR}/pods/*$1/*.log', target_label: __path__}
  - {source_labels: [__meta_kubernetes_pod_annotationpresent_kubernetes_io_config_hash, __meta_kubernetes_pod_annotation_kubernetes_io_config_hash, __meta_kubernetes_pod_container_name], separator: /, regex: 'true/(.*)', replacement: '${DIR}/pods/*$1/*.log', target_label: __path__}
"""


class Installed(Kubernetes):
    """As users install it: docs/examples/promtail-kubernetes.yaml and charts/promtail."""

    def apply(self, manifests):
        peers.needs("kubectl")
        path = os.path.join(API.folder, "admin")
        API.kubeconfig(path, "{token: admin-token}")
        subprocess.run(["kubectl", "--kubeconfig", path, "apply", "--validate=strict", "-f", "-"],
                       input=manifests, text=True, check=True, capture_output=True, timeout=60 * lib.PATIENCE)

    def check_ships(self, config, namespace, account, changes):
        """Runs promtail with the configuration, changed for this machine, and the rights of the account."""
        for old, new in changes:
            self.assertIn(old, config)
            config = config.replace(old, new)
        loge = lib.Loge().start()
        self.addCleanup(loge.__exit__, None, None, None)
        p = Promtail(config, loge.url + "/loki/api/v1/push")
        API.kubeconfig(p.folder + "/kubeconfig", f"{{token: {API.account_token(namespace, account)}}}")
        p.start()
        self.addCleanup(p.__exit__, None, None, None)
        web = self.make(pod("web-0", "10.1.0.1", labels={"app": "web"}))
        self.make(pod("proxy", "10.1.0.2", annotations={"kubernetes.io/config.hash": "ba5e"}))
        for name, uid in (("web-0", web["metadata"]["uid"]), ("proxy", "ba5e")):
            folder = f"{p.folder}/pods/{self.ns}_{name}_{uid}/c"
            os.makedirs(folder)
            with open(folder + "/0.log", "w", encoding="utf-8") as f:
                f.write(time.strftime("%Y-%m-%dT%H:%M:%S.5Z stdout F hello\n", time.gmtime()))

        def found():
            now = time.time_ns()
            data = loge.query_range(f'{{namespace="{self.ns}"}}', now - 3600 * 10**9, now + 60 * 10**9)
            return sorted((s["stream"]["job"], s["stream"]["pod"], s["stream"]["node_name"])
                          for s in data["result"])
        want = [(f"{self.ns}/proxy", "proxy", "node-a"), (f"{self.ns}/web", "web-0", "node-a")]
        try:
            lib.wait_until(lambda: found() == want, 25)  # new folders are looked for every ten seconds
        except AssertionError:
            self.assertEqual(found(), want, p.tail())

    def test_the_api_server_takes_the_example_and_what_it_grants_is_enough(self):
        with open(os.path.join(lib.ROOT, "docs", "examples", "promtail-kubernetes.yaml"), encoding="utf-8") as f:
            manifests = f.read()
        self.apply(manifests)
        self.addCleanup(API.delete, "v1", "namespaces", None, "promtail")
        self.check_ships(lib.kubernetes_config(manifests), "promtail", "promtail", [
            ("9080", "${PORT}"), ("/run/promtail", "${DIR}"), ("/var/log/pods", "${DIR}/pods"),
            ("- role: pod", "- {role: pod, kubeconfig_file: '${DIR}/kubeconfig'}"),
            ("http://loge.loge.svc:3100/loki/api/v1/push", "${PUSH_URL}")])

    def test_the_api_server_takes_the_chart_and_what_it_grants_is_enough(self):
        manifests = chart.render("configmap: {enabled: true}", namespace=self.ns)
        self.apply(manifests)
        self.check_ships(lib.kubernetes_config(manifests), self.ns, "logs-promtail", [
            ("3101", "${PORT}"), ("/run/promtail", "${DIR}"), ("/var/log/pods", "${DIR}/pods"),
            ("- role: pod", "- {role: pod, kubeconfig_file: '${DIR}/kubeconfig'}"),
            ("http://loge:3100/loki/api/v1/push", "${PUSH_URL}")])


class EndToEnd(Kubernetes):
    """From the files of a node's pods into a server."""
    batchwait = "2s"  # much is read that is not sent yet

    def setUp(self):
        super().setUp()
        self.loge = lib.Loge().start()
        self.addCleanup(self.loge.__exit__, None, None, None)
        # So slow that there is something left to read when a pod goes.
        self.p = self.promtail(CHART.replace("NAMESPACE", self.ns) +
                               "limits_config: {readline_rate_enabled: true, readline_rate: 1000, readline_burst: 500, readline_rate_drop: false}\n",
                               self.loge.url + "/loki/api/v1/push")

    def log(self, made, container, lines, name=None):
        """Writes to a container's log as the kubelet's runtime does."""
        name = name or made["metadata"]["uid"]
        folder = f"{self.p.folder}/pods/{self.ns}_{made['metadata']['name']}_{name}/{container}"
        os.makedirs(folder, exist_ok=True)
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        with open(folder + "/0.log", "a", encoding="utf-8") as f:
            f.write("".join(f"{now}.{time.time_ns() % 10**9:09d}Z stdout F {line}\n" for line in lines))
        return folder + "/0.log"

    def found(self, selector):
        now = time.time_ns()
        data = self.loge.query_range(selector, now - 3600 * 10**9, now + 60 * 10**9)
        return {tuple(sorted(s["stream"].items())): sorted(v[1] for v in s["values"])
                for s in data["result"]}

    def lines(self):
        return sorted(line for lines in self.found(f'{{namespace="{self.ns}"}}').values() for line in lines)

    def expect_lines(self, want, seconds=10):
        try:
            lib.wait_until(lambda: self.lines() == sorted(want), seconds)
        except AssertionError:
            self.assertEqual(self.lines(), sorted(want), self.p.tail())

    def open_files(self):
        folder = f"/proc/{self.p.process.pid}/fd"
        return [path for path in (os.path.realpath(os.path.join(folder, fd)) for fd in os.listdir(folder))
                if "/pods/" in path]

    def test_lines_have_the_labels_of_their_pods(self):
        web = self.make(pod("web-0", "10.1.0.1", labels={"app.kubernetes.io/name": "web", "component": "front"},
                            containers=[{"name": "main", "image": "i"}, {"name": "side", "image": "i"}]))
        mirror = self.make(pod("proxy-node-a", "10.1.0.2", annotations={"kubernetes.io/config.hash": "f00d"}))
        job = self.make(pod("once-x7k2p", "10.1.0.3", ownerReferences=[
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "once-5d9f8b7c66", "uid": "1",
             "controller": True}]))
        self.log(web, "main", ["one", "two"])
        self.log(web, "side", ["three"])
        self.log(mirror, "c", ["four"], "f00d")
        self.log(job, "c", ["five"])
        self.expect_lines(["one", "two", "three", "four", "five"])
        streams = {tuple(v): {k: x for k, x in s if k not in ("filename", "service_name", "detected_level")}
                   for s, v in self.found(f'{{namespace="{self.ns}"}}').items()}
        common = {"namespace": self.ns, "node_name": "node-a", "stream": "stdout"}
        self.assertEqual(streams, {
            ("one", "two"): {**common, "app": "web", "job": f"{self.ns}/web", "pod": "web-0",
                             "container": "main", "component": "front"},
            ("three",): {**common, "app": "web", "job": f"{self.ns}/web", "pod": "web-0",
                         "container": "side", "component": "front"},
            ("four",): {**common, "app": "proxy-node-a", "job": f"{self.ns}/proxy-node-a",
                        "pod": "proxy-node-a", "container": "c"},
            ("five",): {**common, "app": "once", "job": f"{self.ns}/once", "pod": "once-x7k2p",
                        "container": "c"}})

    def test_a_pod_is_relabelled_while_it_writes(self):
        made = self.make(pod("p", "10.1.0.1", labels={"app": "v0"}))
        want = []
        for version in range(5):
            API.patch("v1", "pods", self.ns, "p", {"metadata": {"labels": {"app": f"v{version}"}}})
            for i in range(40):
                lines = [f"{version} {i} {n}" for n in range(5)]
                want += lines
                self.log(made, "c", lines)
                time.sleep(0.005)
        self.expect_lines(want)
        lib.wait_until(lambda: [t["__meta_kubernetes_pod_label_app"] for t in self.p.page()["pods"]] == ["v4"],
                       10, "the last label")
        self.log(made, "c", ["end"])
        self.expect_lines(want + ["end"])
        self.assertEqual(self.found(f'{{app="v4"}} |= "end"').popitem()[1], ["end"])

    def test_a_pod_that_is_no_target_for_a_moment_goes_on_where_it_was(self):
        made = self.make(pod("p", "10.1.0.1"))
        want = []
        for step in range(6):
            lines = [f"{step} {n}" for n in range(100)]
            want += lines
            self.log(made, "c", lines)
            time.sleep(0.1)
            ip = "10.1.0.1" if step % 2 else None
            API.patch("v1", "pods", self.ns, "p", {"status": {
                "podIP": ip, "podIPs": [{"ip": ip}] if ip else None}}, "status")
            time.sleep(0.5 if step == 2 else 0)  # as long as its target needs to go for good
        self.expect_lines(want)
        # The server drops what comes twice at the same time of the same stream.
        text = lib.http("GET", self.p.url + "/metrics")[1].decode()
        sent = [line.rsplit(" ", 1)[1] for line in text.splitlines()
                if line.startswith("promtail_sent_entries_total{")]
        self.assertEqual([float(n) for n in sent], [len(want)])

    def test_a_pod_is_relabelled_and_promtail_killed(self):
        made = self.make(pod("p", "10.1.0.1"))
        want = []
        for step in range(8):
            lines = [f"{step} {n}" for n in range(100)]
            want += lines
            self.log(made, "c", lines)
            if step in (2, 3, 5):
                time.sleep(0.1 * step)
                self.p.kill()
            API.patch("v1", "pods", self.ns, "p", {"metadata": {"labels": {"app": f"v{step}"}}})
            if not self.p.is_running():
                self.p.start()
            time.sleep(0.05)
        self.expect_lines(want)

    def test_a_deleted_pod_is_read_to_its_end_and_let_go(self):
        made = self.make(pod("p", "10.1.0.1"))
        path = self.log(made, "c", ["first"])
        self.expect_lines(["first"])
        rest = [f"{i:05d} {300 * 'x'}" for i in range(3000)]  # more than is read at once
        self.log(made, "c", rest)
        API.delete("v1", "pods", self.ns, "p")
        lib.wait_until(lambda: not self.p.page()["pods"], 2, "the target to go")
        self.assertLess(len(self.lines()), len(rest))
        shutil.rmtree(os.path.dirname(path))
        self.expect_lines(["first"] + rest)
        lib.wait_until(lambda: not self.open_files(), 15, "the file to be let go")
        again = self.make(pod("p", "10.1.0.2"))
        self.log(again, "c", ["second life"])
        self.expect_lines(["first"] + rest + ["second life"])


if __name__ == "__main__":
    unittest.main()
