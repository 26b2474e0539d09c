"""What the documents say and what the programs do must agree."""
import fnmatch
import glob
import os
import re
import subprocess
import tempfile
import unittest

from lib import BIN, ROOT, kubernetes_config

DOC = os.path.join(ROOT, "docs", "configuration.md")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


class Documents(unittest.TestCase):
    def test_the_manual_of_settings_is_the_table_of_settings(self):
        table = subprocess.run([os.path.join(BIN, "loge"), "-print-config-docs"], check=True,
                               stdout=subprocess.PIPE, text=True).stdout
        self.assertIn(table, read("docs", "configuration.md"),
                      "run tools/update-docs and commit docs/configuration.md")

    def test_the_sample_configurations_are_valid(self):
        for program, file, flag in [("loge", "loge.yaml", "-verify-config"),
                                    ("promtail", "promtail.yaml", "-check-syntax")]:
            path = os.path.join(ROOT, "docs", "examples", file)
            done = subprocess.run([os.path.join(BIN, program), f"-config.file={path}", flag],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=30, check=False)
            self.assertEqual(done.returncode, 0, f"{file}: {done.stdout}")

    def test_the_configuration_of_the_sample_daemon_set_is_valid(self):
        text = kubernetes_config(read("docs", "examples", "promtail-kubernetes.yaml"))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            done = subprocess.run([os.path.join(BIN, "promtail"), "-config.file=" + f.name, "-check-syntax"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
                                  check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_links_between_documents_lead_somewhere(self):
        documents = ["README.md", "bench/README.md"] + [
            "docs/" + f for f in os.listdir(os.path.join(ROOT, "docs")) if f.endswith(".md")]
        for document in documents:
            folder = os.path.dirname(os.path.join(ROOT, document))
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(document)):
                self.assertTrue(os.path.exists(os.path.join(folder, target)), f"{document}: {target}")

    def test_each_package_is_explained(self):
        dependencies = read("docs", "dependencies.md").lower()
        for header in ("libuv", "microhttpd", "curl", "wslay", "yaml", "jansson", "lz4", "lmdb", "re2",
                       "re2c", "bison", "xxhash", "snappy", "zlib", "rdkafka", "systemd", "maxminddb", "hyperscan"):
            self.assertIn(header, dependencies)

    def test_the_coverage_of_logql_names_tests_that_exist(self):
        tests, suites = set(), set()
        for path in glob.glob(os.path.join(ROOT, "tests", "unit", "*", "test_*.c")):
            for suite, name in re.findall(r"Test\((\w+),\s*(\w+)", read(path)):
                tests.add(f"{suite}::{name}")
                suites.add(suite)
        document = read("docs", "logql.md")
        # suite; suite::name; suite::name, another_name, one_*
        for suite, names in re.findall(
                r"(?<![/\w])((?:logql|distributor)_\w+)((?:::[a-z0-9_*]+(?:, [a-z0-9_*]+)*)?)", document):
            self.assertIn(suite, suites)
            for name in names[2:].split(", ") if names else []:
                self.assertTrue(fnmatch.filter(tests, f"{suite}::{name}"), f"{suite}::{name}")
        for path in re.findall(r"\btests/(?:fuzz|golden)/[\w/.]*\w", document):
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)

    def test_the_coverage_of_logql_names_each_function_of_templates(self):
        document = read("docs", "logql.md")
        loki = read("logql", "template", "funcs_loki.c")
        tables = re.findall(r"&(\w+)", loki[loki.index("template_funcs template_funcs_loki"):])
        sources = [read(path) for path in glob.glob(os.path.join(ROOT, "logql", "template", "*.c"))]
        for table in tables:
            text = loki if table == "own_table" else next(
                source for source in sources if f"{table} = TEMPLATE_TABLE" in source)
            array = re.search(rf"{table} = TEMPLATE_TABLE\((\w+)\)", text)[1]
            begin = text.index(f"struct template_func {array}[]")
            for name in re.findall(r'\{"(\w+)"', text[begin:text.index("};", begin)]):
                self.assertIn(f"`{name}`", document)
