"""Programs that only tests need, from Debian packages unpacked under build/peers (never installed)."""
import os
import subprocess
import unittest

from lib import ROOT

FOLDER = os.path.join(ROOT, "build", "peers")


def program(package, path):
    """Path of a program of a Debian package, unpacked on first use; skips the test if it cannot be had."""
    folder = os.path.join(FOLDER, package)
    found = os.path.join(folder, path)
    if os.path.exists(found):
        return found
    os.makedirs(folder, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, timeout=300,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        archives = [f for f in os.listdir(folder) if f.endswith(".deb")]
        subprocess.run(["dpkg", "-x", archives[0], "."], cwd=folder, check=True, timeout=300)
    except (OSError, subprocess.SubprocessError, IndexError) as why:
        raise unittest.SkipTest(f"the package {package} cannot be had: {why}") from why
    if not os.path.exists(found):
        raise unittest.SkipTest(f"the package {package} holds no {path}")
    return found
