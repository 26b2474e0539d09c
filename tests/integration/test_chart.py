"""charts/promtail: what helm makes of it, and whether promtail takes the configuration."""
import os
import subprocess
import tempfile
import textwrap
import unittest

import chart
import lib
import peers

# Values as they are written for Grafana's chart.
GRAFANA = """\
image: {registry: registry.example, tag: v7}
config:
  logLevel: debug
  clients:
  - url: http://{{ .Release.Name }}-gateway/loki/api/v1/push
    tenant_id: ops
    basic_auth: {username: me, password: '${PASSWORD}'}
  snippets:
    pipelineStages:
    - docker: {}
    - match: {selector: '{app="noise"}', action: drop}
    addScrapeJobLabel: true
    extraServerConfigs: |
      http_server_read_timeout: 10s
    extraLimitsConfig: |
      readline_rate_enabled: true
      readline_rate: 500
    extraRelabelConfigs:
    - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}
    extraScrapeConfigs: |
      - job_name: syslog
        syslog:
          listen_address: 0.0.0.0:{{ .Values.extraPorts.syslog.containerPort }}
          labels: {job: syslog}
      - job_name: journal
        journal: {path: /var/log/journal, max_age: 12h}
httpPathPrefix: /promtail
extraArgs: [-config.expand-env=true]
extraEnv: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: push, key: password}}}]
extraVolumes: [{name: journal, hostPath: {path: /var/log/journal}}]
extraVolumeMounts: [{name: journal, mountPath: /var/log/journal, readOnly: true}]
extraPorts:
  syslog:
    name: tcp-syslog
    containerPort: 1514
    service: {type: LoadBalancer, port: 514, externalTrafficPolicy: Local}
serviceMonitor: {enabled: true, labels: {release: prometheus}, prometheusRule: {enabled: true}}
podAnnotations: {example.org/a: b}
resources: {limits: {memory: 128Mi}}
tolerations: [{operator: Exists}]
priorityClassName: system-node-critical
extraObjects:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: '{{ .Release.Name }}-more'}}
"""


class ChartTest(unittest.TestCase):
    def check_syntax(self, config):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(config)
            f.flush()
            done = subprocess.run([os.path.join(lib.BIN, "promtail"), "-config.file=" + f.name, "-check-syntax",
                                   "-config.expand-env=true"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=30 * lib.PATIENCE, env={"PASSWORD": "x"}, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_helm_finds_no_fault(self):
        for values in ("", GRAFANA):
            done = chart.run("lint", "--strict", chart.FOLDER, values=values)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_lines_wait_on_disk_where_a_restart_leaves_them(self):
        config = chart.config()
        self.check_syntax(config)
        self.assertIn("wal:\n  drop_oldest: false\n  enabled: true\n", config)
        self.assertIn("positions:\n  filename: /run/promtail/positions.yaml\n", config)
        manifests = chart.render()
        self.assertIn("- mountPath: /run/promtail\n              name: run\n", manifests)
        self.assertIn("- hostPath:\n            path: /var/lib/promtail\n", manifests)

    def test_values_of_the_chart_of_grafana(self):
        config = chart.config(GRAFANA)
        self.check_syntax(config)
        for part in ("url: http://logs-gateway/loki", "http_path_prefix: /promtail", "listen_address: 0.0.0.0:1514",
                     "readline_rate: 500", "- docker: {}", "scrape_job", "labelmap", "log_level: debug"):
            self.assertIn(part, config)
        manifests = chart.render(GRAFANA)
        for part in ("image: \"registry.example/loge/promtail:v7\"", "path: '/promtail/ready'", "path: /promtail/metrics",
                     "port: 514\n", "externalTrafficPolicy: Local", "name: logs-promtail-syslog", "name: 'logs-more'",
                     "name: logs-promtail-metrics", "kind: PrometheusRule", "release: prometheus",
                     "example.org/a: b", "secretKeyRef"):
            self.assertIn(part, manifests)

    def test_promtool_takes_the_alerts(self):
        promtool = peers.program("prometheus", "usr/bin/promtool")
        rules = chart.render(GRAFANA, "--show-only", "templates/monitoring.yaml")
        rules = rules[rules.index("kind: PrometheusRule"):].split("\n---\n")[0]
        groups = textwrap.dedent(rules[rules.index("spec:\n") + len("spec:\n"):])
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(groups)
            f.flush()
            done = subprocess.run([promtool, "check", "rules", f.name], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=30 * lib.PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("2 rules found", done.stdout)

    def test_a_new_configuration_makes_new_pods(self):
        def checksum(values):
            return [line for line in chart.render(values).splitlines() if "checksum/config" in line]
        before = checksum("")
        self.assertEqual(len(before), 1)
        self.assertEqual(before, checksum("podLabels: {a: b}"))
        self.assertNotEqual(before, checksum("config: {logLevel: warn}"))

    def test_a_deployment_touches_no_node(self):
        manifests = chart.render("daemonset: {enabled: false}\ndeployment: {enabled: true, replicaCount: 3}\n")
        self.assertIn("kind: Deployment", manifests)
        self.assertIn("replicas: 3", manifests)
        self.assertNotIn("hostPath", manifests)
        self.assertNotIn("name: pods", manifests)
        self.assertIn("- emptyDir: {}\n          name: run\n", manifests)
        self.assertNotIn("kind: DaemonSet", manifests)

    def test_a_deployment_with_a_volume_of_its_own(self):
        manifests = chart.render("""\
daemonset: {enabled: false}
deployment: {enabled: true, strategy: {type: Recreate}}
defaultVolumes: [{name: run, persistentVolumeClaim: {claimName: positions}}]
""")
        for part in ("claimName: positions", "mountPath: /run/promtail", "type: Recreate"):
            self.assertIn(part, manifests)
        for part in ("emptyDir", "mountPath: /var/log/pods"):
            self.assertNotIn(part, manifests)

    def test_a_config_map_in_the_place_of_the_secret(self):
        manifests = chart.render("configmap: {enabled: true}")
        self.assertIn("kind: ConfigMap", manifests)
        self.assertNotIn("kind: Secret", manifests)
        self.assertIn("configMap: {name: logs-promtail}", manifests)

    def test_what_is_no_boolean_counts_as_in_a_template(self):
        manifests = chart.render("""\
daemonset: {enabled: 'true', autoscaling: null}
deployment: {enabled: null}
configmap: {enabled: 'yes'}
serviceAccount: {create: null}
sidecar: null
""")
        self.assertIn("kind: ConfigMap", manifests)
        self.assertIn("serviceAccountName: default", manifests)

    def test_names_are_as_long_as_names_may_be(self):
        done = chart.run("template", "r" * 53, chart.FOLDER, values="service: {enabled: true}")
        names = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("  name:")]
        self.assertGreater(len(names), 4)
        self.assertLessEqual(max(map(len, names)), 63)
        self.assertEqual(len([n for n in names if n.endswith("-metrics")]), 1)

    def test_what_it_does_not_have_is_refused_by_name(self):
        for values, name in (("networkPolicy: {enabled: true}", "networkPolicy.enabled"),
                             ("sidecar: {configReloader: {enabled: true}}", "sidecar.configReloader.enabled"),
                             ("daemonset: {autoscaling: {enabled: true}}", "daemonset.autoscaling.enabled"),
                             ("extraPorts: {a: {containerPort: 1, ingress: {hosts: [x]}}}", "extraPorts.a.ingress"),
                             ("deployment: {enabled: true}", "one of daemonset.enabled and deployment.enabled")):
            done = chart.run("template", "logs", chart.FOLDER, values=values)
            self.assertNotEqual(done.returncode, 0, values)
            self.assertIn(name, done.stderr)


if __name__ == "__main__":
    unittest.main()
