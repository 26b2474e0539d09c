"""The journal target against a real systemd-journald."""
import json
import sys
import threading
import time

import lib
from journald import Journald, Unit
from promtail_case import PromtailCase, lines, read

JOB = """\
- job_name: {name}
  journal: {{path: '{path}', labels: {{job: {name}}}{more}}}
  relabel_configs:
  - {{source_labels: [__journal_priority_keyword], target_label: level}}
  - {{source_labels: [__journal_syslog_identifier], target_label: ident}}
  - {{source_labels: [__journal__systemd_unit], target_label: unit}}
"""
# Sends one entry from a process of its own.
SEND = "import socket,sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])"


class Journal(PromtailCase):
    def journald(self, **more):
        j = Journald(**more)
        self.addCleanup(j.__exit__, None, None, None)
        return j.start()

    def test_fields_priorities_and_units(self):
        j = self.journald()
        self.promtail(JOB.format(name="all", path=j.journal, more="")
                      + JOB.format(name="some", path=j.journal, more=", matches: SYSLOG_IDENTIFIER=two")
                      + JOB.format(name="json", path=j.journal, more=", json: true, matches: "
                                   "SYSLOG_IDENTIFIER=two"))
        j.send(MESSAGE="one line", SYSLOG_IDENTIFIER="one", PRIORITY="0")
        j.send(MESSAGE="several\n\nlines\twith\x01bytes", SYSLOG_IDENTIFIER="two", PRIORITY="3",
               OWN_FIELD="a\nb", MANY="1")
        j.send(SYSLOG_IDENTIFIER="two", NOTHING="said")
        for number, word in enumerate(("emerg", "alert", "crit", "error", "warning", "notice", "info",
                                       "debug")):
            j.send(MESSAGE=word, PRIORITY=str(number), SYSLOG_IDENTIFIER="words")
        j.send(MESSAGE="y" * 100_000, SYSLOG_IDENTIFIER="long")  # journald packs what is long
        j.run("logger", "--journald", text="MESSAGE=by logger\nPRIORITY=4\nSYSLOG_IDENTIFIER=three\n")
        j.run("systemd-cat", "-t", "cat", "-p", "notice", "echo", "by systemd-cat")
        self.expect('{job="all",ident="one",level="emerg"}', ["one line"])
        self.expect('{ident="two",job!="json"}', ["several\n\nlines\twith\x01bytes"] * 2)
        for word in ("emerg", "crit", "error", "debug"):
            self.expect(f'{{job="all",ident="words",level="{word}"}}', [word])
        self.expect('{job="all",ident="long"}', ["y" * 100_000])
        self.expect('{job="all",ident="three",level="warning"}', ["by logger"])
        self.expect('{job="all",ident="cat",level="notice"}', ["by systemd-cat"])
        lib.wait_until(lambda: len(lines(self.loge, '{job="json"}')) == 2, 10, "two entries")
        first, second = sorted((json.loads(t) for t in lines(self.loge, '{job="json"}')),
                               key=lambda e: "MESSAGE" not in e)
        self.assertEqual((first["MESSAGE"], first["OWN_FIELD"], first["PRIORITY"], first["_MACHINE_ID"]),
                         ("several\n\nlines\twith\x01bytes", "a\nb", "3", j.machine))
        self.assertEqual(second["NOTHING"], "said")

    def test_units_and_max_age(self):
        j = self.journald()
        unit = Unit("web.service")
        unit.run(sys.executable, "-c", SEND, j.socket_path, "MESSAGE=of a unit\nSYSLOG_IDENTIFIER=x\n")
        time.sleep(3)
        j.send(MESSAGE="young", SYSLOG_IDENTIFIER="x")
        self.promtail(JOB.format(name="all", path=j.journal, more="")
                      + JOB.format(name="young", path=j.journal, more=", max_age: 2s"))
        self.expect('{job="all",unit="web.service"}', ["of a unit"])
        self.expect('{job="young",ident="x"}', ["young"])
        self.expect('{job="all",ident="x"}', ["of a unit", "young"])

    def test_nothing_is_lost_or_doubled_by_rotation_and_kills(self):
        j = self.journald(file_size="512K")
        p = self.promtail(JOB.format(name="all", path=j.journal, more=", matches: SYSLOG_IDENTIFIER=t"))
        want = []

        def write():
            for i in range(12_000):
                want.append(f"{i} {'z' * (i % 300)}")
                j.send(MESSAGE=want[-1], SYSLOG_IDENTIFIER="t")
                if i % 100 == 0:
                    time.sleep(0.04)
        writer = threading.Thread(target=write)
        writer.start()
        for round in range(5):
            time.sleep(0.5)
            if round % 2 == 0:
                j.rotate()
            p.kill()
            p.start()
        writer.join()
        self.expect('{job="all"}', want, 20)
        self.assertEqual(self.loge.metric("loki_distributor_lines_received_total"), len(want))
        self.assertGreater(j.files(), 3)

    def test_a_kill_before_the_first_cursor_is_saved_doubles_nothing(self):
        j = self.journald()
        p = self.prepare(JOB.format(name="all", path=j.journal, more=", matches: SYSLOG_IDENTIFIER=t"))
        p.config = p.config.replace("sync_period: 200ms", "sync_period: 1h")
        p.start()
        want = []
        for round in range(3):
            for i in range(100):
                want.append(f"{round} {i}")
                j.send(MESSAGE=want[-1], SYSLOG_IDENTIFIER="t")
            self.expect('{job="all"}', want)
            self.assertNotIn("cursor-all:", read(p.folder, "positions.yaml"))
            p.kill()
            p.start()
        time.sleep(1)
        self.assertEqual(self.loge.metric("loki_distributor_lines_received_total"), len(want))

    def test_a_vacuum_while_it_reads_and_while_it_does_not(self):
        j = self.journald()
        p = self.promtail(JOB.format(name="all", path=j.journal, more=", matches: SYSLOG_IDENTIFIER=t"))
        want = []

        def say(what):
            for i in range(100):
                want.append(f"{what} {i}")
                j.send(MESSAGE=want[-1], SYSLOG_IDENTIFIER="t")
        say("first")
        self.expect('{job="all"}', want)
        j.vacuum()
        say("second")
        self.expect('{job="all"}', want)
        lib.wait_until(lambda: "cursor-all:" in read(p.folder, "positions.yaml"), 10, "the cursor")
        p.kill()
        j.send(MESSAGE="read by nobody", SYSLOG_IDENTIFIER="t")
        j.vacuum()  # the entry of the cursor too
        say("third")
        p.start()
        self.expect('{job="all"}', want)
        self.assertEqual(self.loge.metric("loki_distributor_lines_received_total"), len(want))
