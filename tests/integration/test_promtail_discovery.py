"""promtail's discovery by DNS, against a real name server."""
import signal
import time
import unittest

import lib
import peers
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


def job(name, config):
    return f"- job_name: {name}\n  dns_sd_configs: [{{refresh_interval: 200ms, {config}}}]\n"


class DnsTest(unittest.TestCase):
    def start(self, jobs, push_url="http://127.0.0.1:9/none"):
        self.server = Unbound(RECORDS).start()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.promtail = PagePromtail(HEAD + jobs, push_url)
        self.promtail.wrap = self.server.wrap
        self.promtail.start()
        self.addCleanup(self.promtail.__exit__, None, None, None)

    def addresses(self, name):
        return sorted(t["__address__"] for t in self.promtail.page().get(name, []))

    def expect(self, name, want):
        try:
            lib.wait_until(lambda: self.addresses(name) == sorted(want), 10)
        except AssertionError:
            self.assertEqual(self.addresses(name), sorted(want), self.promtail.tail())

    def test_records_of_each_type(self):
        self.start(job("srv", "names: [_http._tcp.web.test]") + job("a", "names: [web.test], type: A, port: 80")
                   + job("aaaa", "names: [web.test], type: AAAA, port: 81")
                   + job("mx", "names: [test], type: MX, port: 25") + job("ns", "names: [test], type: NS, port: 53")
                   + job("many", "names: [many.test], type: A, port: 1"))
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
        self.start(job("a", "names: [web.test, new.test], type: A, port: 80"))
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
        self.start(job("a", "names: [web.test], type: A, port: 80"))
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


def setUpModule():
    peers.needs("unshare")


if __name__ == "__main__":
    unittest.main()
