"""What a node makes of Spark's arguments, sizes and settings: parts that need no other process."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drydock_emr.node import release, spark_settings, stranded
from drydock_emr.node.capacity import Worker, never_fits, sizes_in, workers_of
from drydock_emr.node.config import Config
from drydock_emr.node.daemons import specs
from drydock_emr.node.layout import TenancyLayout
from drydock_emr.node.spark_arguments import map_arguments
from drydock_emr.node_protocol import Configuration, Daemons

MASTER = "spark://127.0.0.11:7077"


class TestSparkSubmit:
    def test_what_is_yarns_is_mapped_and_told(self) -> None:
        mapped = map_arguments(
            [
                "--master",
                "yarn",
                "--deploy-mode=cluster",
                "--conf",
                "spark.yarn.queue=x",
                "--num-executors",
                "3",
                "job.py",
            ],
            4,
            MASTER,
        )
        assert mapped.arguments == ("--conf", "spark.yarn.queue=x", "--total-executor-cores", "12", "job.py")
        notes = "\n".join(mapped.notes)
        for part in ("no YARN here", "client mode", "spark.yarn.queue has no effect", "counts cores; asked for 12"):
            assert part in notes

    def test_the_same_by_properties(self) -> None:
        options = [
            "--conf",
            "spark.master=yarn",
            "-c",
            "spark.submit.deployMode=cluster",
            "--conf",
            "spark.executor.cores=2",
        ]
        mapped = map_arguments([*options, "--conf", "spark.executor.instances=2", "job.py"], 4, MASTER)
        assert mapped.arguments == ("--conf", "spark.executor.cores=2", "--total-executor-cores", "4", "job.py")

    def test_other_masters_and_client_mode_are_left_alone(self) -> None:
        arguments = ("--master", "local[2]", "--deploy-mode", "client", "--verbose", "job.py")
        assert map_arguments(arguments, 4, MASTER).arguments == arguments

    def test_an_own_properties_file_is_taken_and_told(self) -> None:
        mapped = map_arguments(["--properties-file", "my.conf", "job.py"], 4, MASTER)
        assert (mapped.arguments, mapped.properties_file) == (("job.py",), "my.conf")
        assert "replaces the cluster's spark-defaults" in mapped.notes[0]

    @given(st.lists(st.text()))
    def test_the_applications_arguments_are_its_own(self, arguments: list[str]) -> None:
        everything = ["--name", "--master", "job.py", *arguments, "--master", "yarn", "--deploy-mode", "cluster"]
        mapped = map_arguments(everything, 4, MASTER)
        assert mapped.arguments == tuple(everything)
        assert mapped.notes == ()

    def test_shells_take_options_between_their_own(self) -> None:
        mapped = map_arguments(
            ["-e", "select 1", "--master", "yarn", "--hiveconf", "a=b", "--conf=spark.executor.memory=3g"],
            4,
            MASTER,
            is_shell=True,
        )
        assert mapped.arguments == ("-e", "select 1", "--hiveconf", "a=b", "--conf", "spark.executor.memory=3g")
        assert mapped.properties == {"spark.executor.memory": "3g"}


WORKERS = [Worker(4, 12288), Worker(2, 4096)]


class TestCapacity:
    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"memory": "10g", "cores": "4"},
            {"memory": "11170", "cores": "4"},  # 11170 + 10 %
            {"memory": "12g", "memoryOverhead": "0"},
            {"memory": "8192MB"},
            {"memory": "a lot"},  # Spark says what is wrong with it
            {"memory": "1g", "cores": "many"},
        ],
    )
    def test_what_fits_on_one_worker_passes(self, asked: dict[str, str]) -> None:
        assert never_fits({f"spark.executor.{name}": value for name, value in asked.items()}, WORKERS) is None

    @pytest.mark.parametrize(
        ("asked", "part"),
        [
            ({"executor.memory": "100g"}, "executor memory (102400 MB), offHeap memory (0) MB, overhead (10240 MB)"),
            ({"executor.memory": "12g"}, "overhead (1228 MB), and PySpark memory (0 MB) is above the max threshold"),
            ({"executor.memory": "10g", "executor.pyspark.memory": "2g"}, "PySpark memory (2048 MB) is above"),
            ({"memory.offHeap.enabled": "true", "memory.offHeap.size": str(12 << 30)}, "offHeap memory (12288) MB"),
            ({"executor.cores": "8"}, "Required executor cores (8) is above the max threshold (4)"),
            ({"executor.memory": "1t"}, "max threshold (12288 MB) of this cluster!"),
        ],
    )
    def test_what_fits_on_none_is_told(self, asked: dict[str, str], part: str) -> None:
        sentence = never_fits({f"spark.{name}": value for name, value in asked.items()}, WORKERS)
        assert sentence is not None
        assert part in sentence

    def test_no_worker_decides_nothing(self) -> None:
        assert never_fits({"spark.executor.memory": "100g"}, []) is None

    def test_workers_that_are_not_alive_do_not_count(self) -> None:
        dead, alive = ({"state": s, "cores": 4, "memory": m} for s, m in (("DEAD", 99999), ("ALIVE", 4096)))
        assert workers_of({"workers": [dead, alive]}) == [Worker(4, 4096)]
        assert workers_of({}) == []

    def test_sizes_are_read_as_java_reads_properties(self, tmp_path: Path) -> None:
        lines = ("# spark.executor.memory 9g", "spark.executor.memory  3g ", "spark.executor.cores: 2", "spark.x=1")
        (tmp_path / "own.conf").write_text("\n".join(lines))
        assert sizes_in(tmp_path / "own.conf") == {"spark.executor.memory": "3g", "spark.executor.cores": "2"}


class TestStranded:
    """A master's page and the beginning of an event log, as Spark 3.5 writes them."""

    PAGE: ClassVar = {
        "workers": [{"state": "ALIVE", "cores": 4, "memory": 4096}],
        "activeapps": [{"id": "app-1", "state": "WAITING"}, {"id": "app-2", "state": "RUNNING"}],
    }

    def write(self, folder: Path, application_id: str, memory: str) -> None:
        properties = {"spark.executor.memory": memory, "spark.drydock.step": f"s-{application_id}"}
        events = (
            {"Event": "SparkListenerLogStart"},
            {"Event": "SparkListenerEnvironmentUpdate", "Spark Properties": properties},
        )
        (folder / f"{application_id}.inprogress").write_text("".join(f"{json.dumps(event)}\n" for event in events))

    def test_what_waits_in_vain_is_found_with_its_step(self, tmp_path: Path) -> None:
        for application_id in ("app-1", "app-2"):
            self.write(tmp_path, application_id, "8g")
        (found,) = stranded.find(self.PAGE, tmp_path)
        assert (found.application_id, found.step_id) == ("app-1", "s-app-1")
        assert "Required executor memory (8192 MB)" in found.reason

    def test_what_waits_its_turn_is_left_alone(self, tmp_path: Path) -> None:
        self.write(tmp_path, "app-1", "2g")
        assert not list(stranded.find(self.PAGE, tmp_path))

    @pytest.mark.parametrize("log", [None, "", '{"Event": "SparkListenerEnv', '{"Event": "SparkListenerLogStart"}\n'])
    def test_without_an_event_log_nothing_is_decided(self, tmp_path: Path, log: str | None) -> None:
        if log is not None:
            (tmp_path / "app-1.inprogress").write_text(log)
        assert not list(stranded.find(self.PAGE, tmp_path))

    def test_an_id_that_is_a_path_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "logs").mkdir()
        self.write(tmp_path, "app-1", "8g")
        page = {**self.PAGE, "activeapps": [{"id": "../app-1", "state": "WAITING"}]}
        assert not list(stranded.find(page, tmp_path / "logs"))


class TestRelease:
    @pytest.fixture
    def spark_home(self, tmp_path: Path) -> Path:
        (tmp_path / "jars").mkdir()
        for name in ("spark-core_2.12-3.5.6", "hadoop-client-api-3.4.2", "delta-spark_2.12-3.3.2", "delta-storage-1"):
            (tmp_path / f"jars/{name}.jar").touch()
        return tmp_path

    def test_the_installed_one_needs_no_word(self, spark_home: Path) -> None:
        assert release.difference("emr-7.13.0", spark_home) is None

    def test_another_one_is_told(self, spark_home: Path) -> None:
        assert release.difference("emr-7.10.0", spark_home) == (
            "The cluster asks for emr-7.10.0 (Spark 3.5.5, Hadoop 3.4.1, Delta 3.3.0); this node has emr-7.13.0 "
            "(Spark 3.5.6, Hadoop 3.4.2, Delta 3.3.2), and the step runs with that."
        )


class TestSparkSettings:
    @given(st.dictionaries(st.text(min_size=1), st.text()))
    def test_properties_files_say_what_was_meant(self, properties: dict[str, str]) -> None:
        assert parse_properties(spark_settings.as_properties_file(properties)) == properties

    def test_later_configurations_win_and_delta_is_not_forced(self, variables: dict[str, str]) -> None:
        config = Config.from_environment(variables)
        one = Configuration(classification="spark-defaults", properties={"spark.executor.memory": "3g"})
        two = Configuration(classification="spark-defaults", properties={"spark.executor.memory": "4g"})
        defaults = spark_settings.default_properties(config, (one, two))
        assert defaults["spark.executor.memory"] == "4g"
        assert not any("delta" in f"{name}{value}".lower() for name, value in defaults.items())

    def test_the_page_kills_nothing_and_ports_do_not_drift(self, variables: dict[str, str]) -> None:
        properties = spark_settings.daemon_properties(Config.from_environment(variables))
        assert properties["spark.ui.killEnabled"] == "false"
        assert properties["spark.port.maxRetries"] == "0"

    def test_daemons_listen_where_the_node_says(self, variables: dict[str, str], tmp_path: Path) -> None:
        config, layout = Config.from_environment(variables), TenancyLayout(tmp_path)
        found = specs(Daemons(worker_of=MASTER, worker_cores=2, worker_memory_mib=512), config, layout, {})
        arguments = " ".join(found["spark-worker"].arguments)
        assert "--host 127.0.0.11 --port 7077 --webui-port 8090 --cores 2 --memory 512M" in arguments
        assert arguments.endswith(MASTER)
        assert "0123456789abcdef" not in arguments


def parse_properties(text: str) -> dict[str, str]:
    """java.util.Properties.load for files with one property a line, written from its documentation."""
    assert text.isascii()
    found = {}
    for line in text.splitlines():
        parts: list[list[str]] = [[], []]
        target, position = 0, 0
        while position < len(line):
            character = line[position]
            if character == "\\":
                position += 1
                escaped = line[position]
                if escaped == "u":
                    units = chr(int(line[position + 1 : position + 5], 16))
                    position += 4
                else:
                    units = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}.get(escaped, escaped)
                parts[target].append(units)
            elif target == 0 and character == "=":
                target = 1
            else:
                assert target == 1 or character not in " :#!"
                parts[target].append(character)
            position += 1
        name, value = ("".join(part).encode("utf-16", "surrogatepass").decode("utf-16") for part in parts)
        found[name] = value
    return found
