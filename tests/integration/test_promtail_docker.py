"""docker_sd_configs against a real Docker engine."""
import secrets
import signal
import threading
import time

import lib
from docker_engine import DockerEngine
from promtail_case import PromtailCase, lines, read

JOB = """\
- job_name: docker
  docker_sd_configs: [{{host: 'unix://{engine.socket_path}', refresh_interval: 200ms{more}}}]
  relabel_configs:
  - {{source_labels: [__meta_docker_container_name], regex: '/(.*)', target_label: container}}
  - {{source_labels: [__meta_docker_container_log_stream], target_label: stream}}
"""


class Docker(PromtailCase):
    def setUp(self):
        super().setUp()
        self.engine = DockerEngine()
        self.addCleanup(self.engine.__exit__, None, None, None)
        self.engine.start()

    def job(self, more=""):
        return JOB.format(engine=self.engine, more=more)

    def test_streams_terminals_and_lines_that_the_engine_splits(self):
        plain, terminal = self.engine.run("plain"), self.engine.run("terminal", tty=True)
        self.promtail(self.job())
        long = "".join(f"{i:07} " for i in range(8_000))  # 64 kB: four parts and a bit
        fits = "x" * (16 * 1024)
        blanks = " two  blanks "
        for line in ("out", "", blanks, long, fits, "äöü €", "last"):
            plain.say(line)
            terminal.say(line)
        plain.say("err", "err")
        plain.say(long, "err")
        self.expect('{container="plain",stream="stdout"}',
                    ["out", "", blanks, long, fits, "äöü €", "last"])
        self.expect('{container="plain",stream="stderr"}', ["err", long])
        self.expect('{container="terminal",stream="stdout"}',
                    ["out", "", blanks, long, fits, "äöü €", "last"])

    def test_labels_of_containers_and_their_networks(self):
        self.engine.call("POST", "/networks/create", {"Name": "inner", "Internal": True,
                                                      "Labels": {"team": "x"}})
        web = self.engine.run("web", labels={"com.example/part": "front"}, ports=["80/tcp", "53/udp"])
        inner = self.engine.run("inside", network="inner")
        self.engine.run("other", labels={"skip": "me"})
        outer = self.engine.run("outside", network="host")
        for box in (web, inner, outer):
            box.say("hello")
        self.promtail(self.job(", host_networking_host: there, port: 8080, filters: "
                               "[{name: name, values: [web, side]}]") + """\
  - {action: labelmap, regex: __meta_docker_(.+)}
  - {source_labels: [__address__], target_label: address}
""")
        self.expect('{stream="stdout"}', ["hello"] * 3)
        series = self.loge.get_json("/loki/api/v1/series", **{"match[]": '{stream="stdout"}'})["data"]
        found = {s["container"]: s for s in series}
        ip = web.addresses()["bridge"]
        want = {"container_id": web.id, "container_name": "/web", "container_network_mode": "default",
                "container_label_com_example_part": "front", "network_name": "bridge",
                "network_scope": "local", "network_internal": "false", "network_ingress": "false",
                "network_ip": ip, "port_private": "80", "address": ip + ":80"}
        self.assertEqual({k: found["web"].get(k) for k in want}, want)
        ip = inner.addresses()["inner"]
        want = {"network_name": "inner", "network_internal": "true", "network_label_team": "x",
                "network_ip": ip, "address": ip + ":8080", "port_private": None}
        self.assertEqual({k: found["inside"].get(k) for k in want}, want)
        want = {"container_network_mode": "host", "network_name": "host", "address": "there"}
        self.assertEqual({k: found["outside"].get(k) for k in want}, want)
        self.assertNotIn("other", found)

    def test_what_a_container_said_before_it_went_is_read_to_the_end(self):
        self.promtail(self.job() + "wal: {enabled: true, max_bytes: 500000}\n")
        kept, gone = self.engine.run("kept"), self.engine.run("gone")
        many = [f"{i} {secrets.token_urlsafe(700)}" for i in range(5_000)]
        for box in (kept, gone):
            box.say("first")
            self.expect(f'{{container="{box.name}"}}', ["first"])
        self.loge.process.send_signal(signal.SIGSTOP)  # so that promtail stops to read
        for box, end in ((kept, kept.stop), (gone, gone.remove)):
            box.say("\n".join(many))
            end()
        time.sleep(1)  # some refreshes
        self.loge.process.send_signal(signal.SIGCONT)
        for box in (kept, gone):
            self.expect(f'{{container="{box.name}"}}', ["first"] + many, 20)
        kept.start()
        kept.say("again")
        self.expect('{container="kept"}', ["first", "again"] + many)

    def test_nothing_is_lost_or_doubled_when_promtail_is_killed_or_the_server_halts(self):
        box = self.engine.run("busy")
        p = self.promtail(self.job())
        want = {"out": [], "err": []}

        def talk(stream):
            for burst in range(60):
                text = [f"{stream} {burst} {i} {'z' * 100}" for i in range(200)]
                box.say("\n".join(text), stream)
                want[stream] += text
                time.sleep(0.05)
        threads = [threading.Thread(target=talk, args=(s,)) for s in want]
        for t in threads:
            t.start()
        for round in range(5):
            time.sleep(0.7)
            if round == 2:
                self.loge.process.send_signal(signal.SIGSTOP)
                time.sleep(1)
                self.loge.process.send_signal(signal.SIGCONT)
            p.kill()
            p.start()
        for t in threads:
            t.join()
        self.expect('{container="busy",stream="stdout"}', want["out"], 20)
        self.expect('{container="busy",stream="stderr"}', want["err"], 20)
        # The server itself drops a line that it has: nothing came twice either.
        self.assertEqual(self.loge.metric("loki_distributor_lines_received_total"),
                         len(want["out"]) + len(want["err"]))
        lib.wait_until(lambda: "cursor-" + box.id in read(p.folder, "positions.yaml"), 10, "positions")

    def test_the_engine_may_be_started_anew(self):
        box = self.engine.run("web")
        self.promtail(self.job())
        box.say("before")
        self.expect('{container="web"}', ["before"])
        self.engine.stop()
        time.sleep(0.5)
        self.engine.start()
        box.start()
        box.say("after")
        self.expect('{container="web"}', ["before", "after"], 15)
        late = self.engine.run("late")
        late.say("new")
        self.expect('{container="late"}', ["new"])
        self.assertEqual(lines(self.loge, '{container="web"}'), ["after", "before"])
