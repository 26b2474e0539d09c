"""promtail's discovery by DNS and by Consul, against real ones."""
import signal
import time
import unittest

import lib
from consul import READER, Consul
from promtail_page import PagePromtail
from unbound import Unbound

HEAD = """\
server: {http_listen_address: 127.0.0.1, http_listen_port: ${PORT}, grpc_listen_port: 0}
positions: {filename: '${DIR}/positions.yaml'}
clients: [{url: '${PUSH_URL}'}]
scrape_configs:
"""
RECORDS = {
    "_http._tcp.web.test": ["SRV 0 5 8080 a.test.", "SRV 0 5 8081 b.test."],
    "web.test": ["A 10.0.0.1", "A 10.0.0.2", "AAAA fd00::1"],
    "test": ["MX 10 mail.test.", "NS ns1.test."],
    "many.test": [f"A 10.1.{i // 256}.{i % 256}" for i in range(300)],  # too long for a datagram
}


def dns(name, config):
    return f"- job_name: {name}\n  dns_sd_configs: [{{refresh_interval: 200ms, {config}}}]\n"


class Discovery(unittest.TestCase):
    def promtail_with(self, jobs, push_url="http://127.0.0.1:9/none", wrap=()):
        self.promtail = PagePromtail(HEAD + jobs, push_url)
        self.promtail.wrap = wrap
        self.run_to_the_end(self.promtail)

    def run_to_the_end(self, program):
        """Starts it; it is stopped, and its folder goes, even if it does not come up."""
        self.addCleanup(program.__exit__, None, None, None)
        return program.start()

    def addresses(self, name):
        return sorted(t["__address__"] for t in self.promtail.page().get(name, []))

    def expect(self, name, want, seconds=10):
        try:
            lib.wait_until(lambda: self.addresses(name) == sorted(want), seconds)
        except AssertionError:
            self.assertEqual(self.addresses(name), sorted(want), self.promtail.tail())


class DnsTest(Discovery):
    def start(self, jobs, push_url="http://127.0.0.1:9/none"):
        self.server = self.run_to_the_end(Unbound(RECORDS))
        self.promtail_with(jobs, push_url, self.server.wrap)

    def test_records_of_each_type(self):
        self.start(dns("srv", "names: [_http._tcp.web.test]") + dns("a", "names: [web.test], type: A, port: 80")
                   + dns("aaaa", "names: [web.test], type: AAAA, port: 81")
                   + dns("mx", "names: [test], type: MX, port: 25") + dns("ns", "names: [test], type: NS, port: 53")
                   + dns("many", "names: [many.test], type: A, port: 1"))
        self.expect("srv", ["a.test:8080", "b.test:8081"])
        self.expect("a", ["10.0.0.1:80", "10.0.0.2:80"])
        self.expect("aaaa", ["[fd00::1]:81"])
        self.expect("mx", ["mail.test:25"])
        self.expect("ns", ["ns1.test:53"])
        self.expect("many", [f"10.1.{i // 256}.{i % 256}:1" for i in range(300)])
        page = self.promtail.page()
        (srv,) = [t for t in page["srv"] if t["__address__"] == "a.test:8080"]
        self.assertEqual({k: v for k, v in srv.items() if k.startswith("__meta")}, {
            "__meta_dns_name": "_http._tcp.web.test", "__meta_dns_srv_record_target": "a.test.",
            "__meta_dns_srv_record_port": "8080"})
        self.assertEqual(page["mx"][0]["__meta_dns_mx_record_target"], "mail.test.")
        self.assertEqual(page["ns"][0]["__meta_dns_ns_record_target"], "ns1.test.")

    def test_targets_follow_the_records_and_stay_while_the_server_is_away(self):
        self.start(dns("a", "names: [web.test, new.test], type: A, port: 80"))
        self.expect("a", ["10.0.0.1:80", "10.0.0.2:80"])
        self.server.tell({"web.test": ["A 10.0.0.2"], "new.test": ["A 10.0.0.3"]})
        self.expect("a", ["10.0.0.2:80", "10.0.0.3:80"])
        self.server.kill()
        time.sleep(1)
        self.assertEqual(self.addresses("a"), ["10.0.0.2:80", "10.0.0.3:80"])
        self.server.write({"new.test": ["A 10.0.0.4"]})
        self.server.start()
        self.expect("a", ["10.0.0.4:80"])

    def test_a_server_that_does_not_answer_holds_nothing_up(self):
        self.start(dns("a", "names: [web.test], type: A, port: 80"))
        self.expect("a", ["10.0.0.1:80", "10.0.0.2:80"])
        self.server.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.server.kill)
        time.sleep(0.5)
        self.assertEqual(len(self.addresses("a")), 2)  # the page is there
        self.check_stops_soon()

    def test_nor_does_a_client_whose_name_is_asked_for_in_vain(self):
        self.start("""\
- job_name: file
  static_configs: [{labels: {__path__: '${DIR}/*.txt'}}]
""", "http://none.test:9/none")
        self.server.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.server.kill)
        with open(self.promtail.folder + "/a.txt", "w", encoding="utf-8") as f:
            f.write("a line\n")
        lib.wait_until(lambda: "Resolving timed out" in self.promtail.tail(), 20)
        time.sleep(0.5)  # it asks again, for ten seconds
        self.check_stops_soon(grace=5)  # in which it tries to send

    def check_stops_soon(self, grace=0):
        before = time.monotonic()
        self.assertEqual(self.promtail.stop(), 0)
        took = time.monotonic() - before
        self.assertLess(took, grace + 3 * lib.PATIENCE, "the resolver alone waits ten seconds")


class ConsulTest(Discovery):
    def start(self, jobs, token=None):
        self.consul = self.run_to_the_end(Consul(token))
        self.consul.register("web", 1, Address="10.0.0.1", Port=80, Tags=["blue", "new"], Meta={"a-b": "c"})
        self.consul.register("web", 2, Port=81)
        self.consul.register("db", 1, Address="fd00::1", Port=5432, Tags=["blue"])
        self.promtail_with(jobs.replace("SERVER", f"server: '127.0.0.1:{self.consul.port}', refresh_interval: 500ms"))

    def target(self, job, address):
        """What the page says of one target."""
        found = [t for t in self.promtail.page()[job] if t["__address__"] == address]
        self.assertEqual(len(found), 1)
        return {k: v for k, v in found[0].items() if k.startswith("__meta_")}

    def test_labels(self):
        self.start("- {job_name: c, consul_sd_configs: [{SERVER}]}\n- {job_name: a, consulagent_sd_configs: [{SERVER}]}\n")
        self.expect("c", ["10.0.0.1:80", "127.0.0.1:81", "[fd00::1]:5432"] + self.addresses_of_consul())
        self.expect("a", ["10.0.0.1:80", "127.0.0.1:81", "[fd00::1]:5432"])
        want = {"address": "127.0.0.1", "dc": "here", "health": "passing", "node": "node-1", "service": "web",
                "service_address": "10.0.0.1", "service_id": "web-1", "service_metadata_a_b": "c",
                "service_port": "80", "tags": ",blue,new,", "metadata_rack_no": "7"}

        def check(job, more):
            found = self.target(job, "10.0.0.1:80")
            prefix = "__meta_consul_" if job == "c" else "__meta_consulagent_"
            found = {k[len(prefix):]: v for k, v in found.items() if k.startswith(prefix)}
            for name in set(found) - set(want) - set(more):  # what this version adds
                self.assertRegex(name, "^(metadata|tagged_address)_", found)
            self.assertEqual({k: found.get(k) for k in {**want, **more}}, {**want, **more})
        check("c", {"tagged_address_lan": "127.0.0.1"})
        check("a", {"tagged_address_lan_ipv4": "10.0.0.1:80"})
        self.assertEqual(self.target("c", "127.0.0.1:81")["__meta_consul_tags"], ",,")

    def addresses_of_consul(self):
        """It is a service itself, to its catalog."""
        (own,) = self.consul.request("GET", "/v1/catalog/service/consul")
        return [f"{own['Address']}:{own['ServicePort']}"]

    def test_services_come_change_and_go(self):
        both = ["consul_sd_configs", "consulagent_sd_configs"]
        self.start("".join(f"- {{job_name: {kind[:-11]}, {kind}: [{{SERVER, services: [web, new]}}]}}\n" for kind in both))
        jobs = [kind[:-11] for kind in both]
        for job in jobs:
            self.expect(job, ["10.0.0.1:80", "127.0.0.1:81"])
        self.consul.register("new", Port=90)
        self.consul.deregister("web", 1)
        self.consul.register("web", 2, Address="10.0.0.9", Port=81)
        for job in jobs:
            self.expect(job, ["10.0.0.9:81", "127.0.0.1:90"])
        self.consul.deregister("web", 2)
        for job in jobs:
            self.expect(job, ["127.0.0.1:90"])

    def test_health(self):
        self.start("- {job_name: c, consul_sd_configs: [{SERVER}]}\n- {job_name: a, consulagent_sd_configs: [{SERVER}]}\n")
        self.consul.put("/v1/agent/check/register", {"Name": "alive", "ServiceID": "db-1", "TTL": "1h"})

        def health(job):
            (found,) = [v for t in self.promtail.page().get(job, []) if t["__address__"] == "[fd00::1]:5432"
                        for k, v in t.items() if k.endswith("_health")] or [None]
            return found
        for path, want in (("fail", "critical"), ("warn", "warning"), ("pass", "passing")):
            self.consul.put(f"/v1/agent/check/{path}/alive")
            for job in "ca":
                lib.wait_until(lambda j=job, w=want: health(j) == w, 10, f"{job}: {want}, not {health(job)}")
        self.consul.put("/v1/agent/service/maintenance/db-1?enable=true")
        lib.wait_until(lambda: health("c") == "maintenance", 10, "maintenance")

    def test_filters(self):
        self.start("""\
- {job_name: tags, consul_sd_configs: [{SERVER, tags: [blue, new]}]}
- {job_name: node, consul_sd_configs: [{SERVER, services: [web], node_meta: {rack-no: '7'}}]}
- {job_name: other-node, consul_sd_configs: [{SERVER, services: [web], node_meta: {rack-no: '8'}}]}
- {job_name: filter, consul_sd_configs: [{SERVER, filter: 'ServiceName == "db"'}]}
- {job_name: separator, consul_sd_configs: [{SERVER, services: [db], tag_separator: ';', allow_stale: false}]}
""")
        self.expect("tags", ["10.0.0.1:80"])
        self.expect("node", ["10.0.0.1:80", "127.0.0.1:81"])
        self.expect("filter", ["[fd00::1]:5432"])
        self.expect("separator", ["[fd00::1]:5432"])
        self.assertEqual(self.target("separator", "[fd00::1]:5432")["__meta_consul_tags"], ";blue;")
        self.assertEqual(self.addresses("other-node"), [])

    def test_a_token(self):
        self.start("- {job_name: none, consul_sd_configs: [{SERVER, services: [web]}]}\n", token="master")
        policy = self.consul.put("/v1/acl/policy", {"Name": "reader", "Rules": READER})
        token = self.consul.put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]})["SecretID"]
        time.sleep(2)  # it is told of nothing, not refused
        self.assertEqual(self.addresses("none"), [])
        self.promtail.stop()
        self.promtail_with(f"""\
- {{job_name: c, consul_sd_configs: [{{server: '{self.consul.url}', token: {token}, services: [web]}}]}}
- {{job_name: a, consulagent_sd_configs: [{{server: '{self.consul.url}', token: {token}}}]}}
""")
        self.expect("c", ["10.0.0.1:80", "127.0.0.1:81"])
        self.expect("a", ["10.0.0.1:80", "127.0.0.1:81", "[fd00::1]:5432"])

    def test_targets_stay_while_it_is_away_and_are_those_of_the_new_one(self):
        self.start("- {job_name: c, consul_sd_configs: [{SERVER, services: [web]}]}\n")
        self.expect("c", ["10.0.0.1:80", "127.0.0.1:81"])
        self.consul.kill()
        time.sleep(1)
        self.assertEqual(self.addresses("c"), ["10.0.0.1:80", "127.0.0.1:81"])
        self.consul.start()  # with nothing, and its index begins anew
        self.consul.register("web", 3, Address="10.0.0.3", Port=80)
        self.expect("c", ["10.0.0.3:80"], 30)  # it is tried again after 15 s


if __name__ == "__main__":
    unittest.main()
