"""`sweep`: ends the clusters of this platform whose run is over, and spares those whose run lives.

A cluster is one of ours when it bears all of the platform's tags and the name that its tags `job`, `ship-date` and
`run-id` make. Its run is over when its driver has not renewed the mark (see `liveness`) for so long that no living
driver would have been silent, or when whoever calls says so by naming the run. What is not plainly an orphan is spared,
and named: a cluster without a mark, another's, one that ends already.

Each cluster is looked at right before it is ended, so a driver that has come back to it in the meantime keeps it. The
clocks of drivers and sweeper have to agree within minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from drydock_driver import cluster, liveness
from drydock_driver.cluster import JobRun
from drydock_driver.emr_api import ACTIVE_STATES, Cluster, Emr, ListedCluster
from drydock_driver.errors import AwsRefused, StillAlive
from drydock_driver.interruption import Interruption
from drydock_driver.liveness import Clock
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter

# A living driver renews its mark every minute. AWS may be out of its reach for a while, or its machine be busy.
SILENCE_SECONDS = 900
DENIED_CODES = ("AccessDeniedException", "AccessDenied")


@dataclass(frozen=True)
class Verdict:
    """Whether a cluster's run is over, and why it is thought so: a clause about the cluster."""

    over: bool
    why: str


@dataclass(frozen=True)
class Sweeper:
    """What a sweep works with. `run_id` names a run that is over, of which `job` and `day` may pick one cluster's; all
    others are left alone then."""

    emr: Emr
    platform: Platform
    interruption: Interruption
    reporter: Reporter
    clock: Clock
    silence: timedelta
    unreachable_seconds: float
    run_id: str | None = None
    job: str | None = None
    day: date | None = None

    def sweep(self) -> dict[str, list[str]]:
        """Ids of the clusters that were ended, and of those spared. Raises StillAlive, after the rest was swept."""
        ended, spared, alive = [], [], []
        for listed in self._candidates():
            self.interruption.check()
            found = self._look_at(listed)
            verdict = self.judge(found) if found else Verdict(False, "belongs to somebody else")
            if found is None or not verdict.over:
                self.reporter.news(f"cluster {listed.id} ({listed.name}) {verdict.why}: spared")
                spared.append(listed.id)
                continue
            self.reporter.news(f"cluster {listed.id} ({listed.name}) {verdict.why}: it is ended")
            try:
                cluster.terminate(self.emr, listed.id, self.interruption, self.reporter, self.unreachable_seconds)
            except StillAlive as error:
                alive.append(str(error))
            else:
                ended.append(listed.id)
        if alive:
            raise StillAlive(" ".join(alive))
        return {"ended": ended, "spared": spared}

    def judge(self, found: Cluster) -> Verdict:
        """Is the run of this cluster over?"""
        if found.state not in ACTIVE_STATES:
            return Verdict(False, f"is {found.state}")
        run = JobRun.of_tags(found.tags)
        of_the_platform = self.platform.tags.items() <= found.tags.items()
        if not of_the_platform or run is None or run.cluster_name(self.platform) != found.name:
            return Verdict(False, "was not made by a driver of this platform")
        if self.run_id is not None:
            named = run == JobRun(self.job or run.job, self.day or run.day, self.run_id)
            return Verdict(named, f"is of run {run.run_id}{', which is over' if named else ''}")
        seen_at = liveness.read(found.tags)
        if seen_at is None:
            return Verdict(False, f"has no readable tag `{liveness.TAG}`")
        silence = self.clock() - seen_at
        if silence <= self.silence:
            return Verdict(False, f"has a driver, seen {silence.total_seconds():.0f} s ago")
        return Verdict(True, f"has lost its driver, seen last {silence.total_seconds():.0f} s ago")

    def _candidates(self) -> Sequence[ListedCluster]:
        prefix = f"{self.platform.name}-"
        return [listed for listed in self.emr.clusters(ACTIVE_STATES) if listed.name.startswith(prefix)]

    def _look_at(self, listed: ListedCluster) -> Cluster | None:
        """The cluster now; None when it may not be looked at, as is so with what does not bear the platform's tags."""
        try:
            return self.emr.cluster(listed.id)
        except AwsRefused as error:
            if error.code in DENIED_CODES:
                return None
            raise
