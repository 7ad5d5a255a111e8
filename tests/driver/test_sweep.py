"""Who is an orphan: marks, their renewal, and `sweep`; by a clock that the test turns."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from drydock_driver import liveness
from drydock_driver.cluster import JobRun, wait_until_ready
from drydock_driver.emr_api import Emr
from drydock_driver.errors import StillAlive
from drydock_driver.interruption import Interruption
from drydock_driver.liveness import Liveness
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter
from drydock_driver.sweep import SILENCE_SECONDS, Sweeper
from drydock_driver.waiting import Patience
from tests.driver.conftest import Run
from tests.driver.scripted_aws import Refusal, ScriptedAws

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = JobRun("a-job", date(2026, 11, 21), "r1")


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Clusters:
    """Clusters as EMR lists and describes them; one that is terminated has ended with the next look."""

    def __init__(self, aws: ScriptedAws, platform: Platform) -> None:
        self._platform = platform
        self._found: dict[str, dict[str, Any]] = {}
        self._refused: dict[str, Refusal] = {}
        aws.answer("ListClusters", self._list)
        aws.answer("DescribeCluster", self._describe)
        aws.answer("TerminateJobFlows", self._terminate)

    def add(
        self, id: str, run: JobRun = RUN, *, seen_at: datetime | None = NOON, name: str | None = None, **tags: str
    ) -> None:
        """A cluster of the platform's; `tags` replace what it would bear, an empty one removes it."""
        mark = {liveness.TAG: liveness.written(seen_at)} if seen_at else {}
        given = {key.replace("_", "-"): value for key, value in tags.items()}
        all_tags = self._platform.tags | run.tags() | mark | given
        self._found[id] = {
            "Id": id,
            "Name": name or run.cluster_name(self._platform),
            "Status": {"State": "WAITING"},
            "Tags": [{"Key": key, "Value": value} for key, value in all_tags.items() if value],
        }

    def refuse(self, id: str, refusal: Refusal) -> None:
        """Answer every look at this cluster, and its end, so."""
        self._refused[id] = refusal

    def state(self, id: str) -> str:
        return str(self._found[id]["Status"]["State"])

    def set_state(self, id: str, state: str) -> None:
        self._found[id]["Status"] = {"State": state}

    def _list(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = body["ClusterStates"]
        return {"Clusters": [each for each in self._found.values() if each["Status"]["State"] in wanted]}

    def _describe(self, body: dict[str, Any]) -> dict[str, Any] | Refusal:
        if (refusal := self._refused.get(body["ClusterId"])) and refusal.code == "AccessDeniedException":
            return refusal
        return {"Cluster": self._found[body["ClusterId"]]}

    def _terminate(self, body: dict[str, Any]) -> dict[str, Any] | Refusal:
        [id] = body["JobFlowIds"]
        if id in self._refused:
            return self._refused[id]
        self.set_state(id, "TERMINATED")
        return {}


@pytest.fixture
def clusters(aws: ScriptedAws, platform: Platform) -> Clusters:
    return Clusters(aws, platform)


@pytest.fixture
def sweeper(emr: Emr, platform: Platform, reporter: Reporter, clock: Clock) -> Sweeper:
    return Sweeper(emr, platform, Interruption(), reporter, clock, timedelta(seconds=SILENCE_SECONDS), 1)


def test_a_cluster_is_spared_while_its_mark_is_fresh_and_ended_when_it_is_not(
    clusters: Clusters, sweeper: Sweeper, clock: Clock
) -> None:
    clusters.add("j-1")
    clock.turn(900)
    assert sweeper.sweep() == {"ended": [], "spared": ["j-1"]}
    assert clusters.state("j-1") == "WAITING"
    clock.turn(1)
    assert sweeper.sweep() == {"ended": ["j-1"], "spared": []}
    assert clusters.state("j-1") == "TERMINATED"
    assert sweeper.sweep() == {"ended": [], "spared": []}


@pytest.mark.parametrize(
    "unlike_ours",
    [
        {"platform": "another"},
        {"platform": ""},
        {"for_use_with_amazon_emr_managed_policies": ""},
        {"run_id": "r2"},
        {"job": ""},
        {"ship_date": "someday"},
        {"driver_seen_at": ""},
        {"driver_seen_at": "long ago"},
        {"driver_seen_at": "2020-01-01T00:00:00"},  # of which zone?
        {"driver_seen_at": "2999-01-01T00:00:00Z"},  # a clock that goes wrong is no orphan
        {"name": "drydock-my-own-experiment"},
        {"name": "another platform's"},
    ],
)
def test_what_is_not_plainly_an_orphan_of_ours_is_spared(
    clusters: Clusters, sweeper: Sweeper, unlike_ours: dict[str, str]
) -> None:
    clusters.add("j-1", seen_at=NOON - timedelta(days=1), **unlike_ours)
    assert sweeper.sweep()["ended"] == []
    assert clusters.state("j-1") == "WAITING"


def test_what_may_not_be_looked_at_is_somebody_else_s(clusters: Clusters, sweeper: Sweeper) -> None:
    clusters.add("j-1", seen_at=NOON - timedelta(days=1))
    clusters.add("j-2", seen_at=NOON - timedelta(days=1))
    clusters.refuse("j-1", Refusal("AccessDeniedException", "not authorized to perform DescribeCluster"))
    assert sweeper.sweep() == {"ended": ["j-2"], "spared": ["j-1"]}


def test_a_cluster_that_cannot_be_ended_is_named_after_the_others_are(clusters: Clusters, sweeper: Sweeper) -> None:
    clusters.add("j-1", seen_at=NOON - timedelta(days=1))
    clusters.add("j-2", seen_at=NOON - timedelta(days=1))
    clusters.refuse("j-1", Refusal("ValidationException", "termination protected"))
    with pytest.raises(StillAlive, match="Cluster j-1 is still alive: ValidationException: termination protected"):
        sweeper.sweep()
    assert clusters.state("j-2") == "TERMINATED"


def test_a_driver_that_comes_back_while_others_are_swept_keeps_its_cluster(
    aws: ScriptedAws, clusters: Clusters, sweeper: Sweeper
) -> None:
    clusters.add("j-1", seen_at=NOON - timedelta(days=1))
    clusters.add("j-2", seen_at=NOON - timedelta(days=1))

    def terminate(_: dict[str, Any]) -> dict[str, Any]:
        clusters.set_state("j-1", "TERMINATED")
        clusters.add("j-2", seen_at=NOON)  # renewed meanwhile
        return {}

    aws.answer("TerminateJobFlows", terminate)
    assert sweeper.sweep() == {"ended": ["j-1"], "spared": ["j-2"]}


def test_a_cluster_that_ends_meanwhile_is_left_to_it(aws: ScriptedAws, clusters: Clusters, sweeper: Sweeper) -> None:
    clusters.add("j-1", seen_at=NOON - timedelta(days=1))
    listed = {"Clusters": [{"Id": "j-1", "Name": RUN.cluster_name(sweeper.platform), "Status": {"State": "WAITING"}}]}
    aws.answer("ListClusters", listed)
    clusters.set_state("j-1", "TERMINATING")
    assert sweeper.sweep() == {"ended": [], "spared": ["j-1"]}
    assert "TerminateJobFlows" not in aws.operations()


def test_a_run_that_is_said_to_be_over_is_swept_at_once_and_alone(
    aws: ScriptedAws, clusters: Clusters, driver: Run
) -> None:
    other = JobRun("a-job", date(2026, 11, 21), "r2")
    clusters.add("j-1", seen_at=datetime.now(UTC))
    clusters.add("j-2", other, seen_at=NOON - timedelta(days=1))
    done = driver("sweep", "--run-id", "r1", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"ended": ["j-1"], "spared": ["j-2"]}


def test_of_a_run_that_is_over_one_job_s_cluster_can_be_named(
    aws: ScriptedAws, clusters: Clusters, driver: Run
) -> None:
    """A run may have several clusters at a time, and one of them may have failed."""
    clusters.add("j-1", JobRun("a-job", date(2026, 11, 21), "r1"))
    clusters.add("j-2", JobRun("a-job", date(2026, 11, 22), "r1"))
    clusters.add("j-3", JobRun("another-job", date(2026, 11, 21), "r1"))
    done = driver("sweep", "--run-id", "r1", "--job", "a-job", "--date", "2026-11-21", "--output", "json")
    assert json.loads(done.stdout) == {"ended": ["j-1"], "spared": ["j-2", "j-3"]}
    assert "cluster j-2 (drydock-a-job-2026-11-22-r1) is of run r1: spared" in done.stderr


@pytest.mark.parametrize("options", [("--job", "a-job"), ("--date", "2026-11-21")])
def test_a_job_without_its_run_is_wrong_usage(aws: ScriptedAws, driver: Run, options: tuple[str, ...]) -> None:
    done = driver("sweep", *options)
    assert done.returncode == 2
    assert "name it by --run-id" in done.stderr
    assert aws.operations() == []


def test_sweep_as_the_program_that_flows_run(aws: ScriptedAws, clusters: Clusters, driver: Run) -> None:
    clusters.add("j-1", seen_at=datetime.now(UTC) - timedelta(seconds=100))
    clusters.add("j-2", seen_at=datetime.now(UTC) - timedelta(seconds=200))
    done = driver("sweep", "--silence-seconds", "150")
    assert done.returncode == 0, done.stderr
    assert "cluster j-1 (drydock-a-job-2026-11-21-r1) has a driver, seen 10" in done.stdout
    assert done.stdout.splitlines()[-1] == "ended=j-2  spared=j-1"
    assert driver("sweep", "--silence-seconds", "60").returncode == 2  # less than a living driver may be silent


def test_the_mark_is_renewed_every_minute_and_not_more_often(
    aws: ScriptedAws, emr: Emr, platform: Platform, reporter: Reporter, clock: Clock
) -> None:
    mark = Liveness(emr, platform, reporter, clock)
    assert mark.tags() == platform.tags | {"driver-seen-at": "2026-11-21T12:00:00Z"}  # with RunJobFlow
    for _ in range(8):
        clock.turn(20)
        mark.renew("j-1")
    marks = [tag["Value"] for body in aws.bodies("AddTags") for tag in body["Tags"] if tag["Key"] == liveness.TAG]
    assert marks == ["2026-11-21T12:01:00Z", "2026-11-21T12:02:00Z"]


def test_a_mark_that_cannot_be_set_stops_nothing_is_said_once_and_is_tried_again(
    aws: ScriptedAws,
    emr: Emr,
    platform: Platform,
    reporter: Reporter,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mark = Liveness(emr, platform, reporter, clock)
    aws.answer("AddTags", Refusal("AccessDeniedException", "not you"))
    mark.renew("j-1")
    mark.renew("j-1")
    assert len(aws.bodies("AddTags")) == 2
    assert capsys.readouterr().out.count("a sweep takes cluster j-1 for an orphan") == 1


def test_a_driver_that_waits_renews_its_mark(
    aws: ScriptedAws, emr: Emr, platform: Platform, reporter: Reporter, clock: Clock
) -> None:
    class Impatient(Interruption):
        def wait(self, seconds: float) -> None:
            clock.turn(61)

    aws.cluster_states("STARTING", "STARTING", "BOOTSTRAPPING", "WAITING")
    mark = Liveness(emr, platform, reporter, clock)
    mark.tags()
    wait_until_ready(emr, "j-1", mark, Impatient(), reporter, Patience(30, 1))
    assert len(aws.bodies("AddTags")) == 2
