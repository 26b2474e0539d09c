"""The Helm chart of promtail, rendered by helm: charts/promtail."""
import os
import subprocess

import lib
import peers

FOLDER = os.path.join(lib.ROOT, "charts", "promtail")


def run(*arguments, values=""):
    """Result of helm with the chart and these values (YAML)."""
    return subprocess.run([peers.built("helm", "HELM"), *arguments, "-f", "-"], input=values, text=True, timeout=60 * lib.PATIENCE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def render(values="", *more, namespace="promtail"):
    """The manifests of a release `logs`."""
    done = run("template", "logs", FOLDER, "--namespace", namespace, *more, values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config(values=""):
    """The promtail.yaml they hold."""
    return lib.kubernetes_config(render(values, "--show-only", "templates/config.yaml"))
