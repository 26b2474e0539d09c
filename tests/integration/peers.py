"""Programs that only tests need, kept under build/peers (never installed): from Debian packages, Go
modules, and Java programs from Maven Central."""
import os
import shutil
import subprocess
import unittest

from lib import ROOT

FOLDER = os.path.join(ROOT, "build", "peers")
HELPERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "helpers")


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


def built(name, variable):
    """Path of a program that helpers/build_<name> makes from its Go module; one of the environment
    variable, or else of the PATH, will do.  Skips the test without any."""
    made = os.path.join(FOLDER, name, name)
    found = os.environ.get(variable) or (made if os.path.exists(made) else shutil.which(name))
    if not found:
        raise unittest.SkipTest(f"no {name}; tests/integration/helpers/build_{name.replace('-', '_')} makes one")
    return found


def needs(*programs):
    """Skips the test unless these programs are installed."""
    for name in programs:
        if shutil.which(name) is None:
            raise unittest.SkipTest(f"no program {name}")


def jars(name):
    """Folder with the jars that helpers/<name>_pom.xml names, fetched on first use; skips the test
    if there is no Java or they cannot be had."""
    folder = os.path.join(FOLDER, name)
    done = os.path.join(folder, "jars")
    if shutil.which("java") is None:
        raise unittest.SkipTest("no java")
    if os.path.exists(done):
        return done
    if shutil.which("mvn") is None:
        raise unittest.SkipTest(f"no mvn to fetch {name} with")
    repository, fetched = os.path.join(folder, "repository"), os.path.join(folder, "fetched")
    os.makedirs(folder, exist_ok=True)
    try:
        subprocess.run(["mvn", "-q", "-B", "-f", os.path.join(HELPERS, name + "_pom.xml"),
                        f"-Dmaven.repo.local={repository}", f"-DoutputDirectory={fetched}",
                        "dependency:copy-dependencies"], cwd=folder, check=True, timeout=900,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.rename(fetched, done)  # all or nothing
    except (OSError, subprocess.SubprocessError) as why:
        raise unittest.SkipTest(f"{name} cannot be had: {why}") from why
    finally:
        shutil.rmtree(repository, ignore_errors=True)
        shutil.rmtree(fetched, ignore_errors=True)
    return done
