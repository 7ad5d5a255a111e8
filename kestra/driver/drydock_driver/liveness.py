"""How anyone can see that a cluster's driver lives: a mark with a time, renewed for as long as it does.

The mark is a tag of the cluster, `driver-seen-at`, set with `RunJobFlow` and again every minute while the driver waits
for the cluster or its steps. It lives and dies with the cluster, costs one `AddTags` a minute, and reads the same on
AWS. `sweep` takes a cluster whose mark is old for an orphan.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from drydock_driver.emr_api import Emr
from drydock_driver.errors import AwsRefused, AwsUnreachable
from drydock_driver.platform_config import Platform
from drydock_driver.reporting import Reporter

TAG = "driver-seen-at"
RENEWED_EVERY_SECONDS = 60

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Liveness:
    """The mark on the one cluster that a driver works with."""

    def __init__(self, emr: Emr, platform: Platform, reporter: Reporter, clock: Clock = utc_now) -> None:
        self._emr = emr
        self._platform = platform
        self._reporter = reporter
        self._clock = clock
        self._renewed_at: datetime | None = None
        self._refusal_told = False

    def tags(self) -> dict[str, str]:
        """The platform's tags and a mark of now.

        All of them go with every mark: the role may add tags only together with those that make a cluster the
        platform's, and to no cluster that bears another platform's.
        """
        self._renewed_at = self._clock()
        return self._platform.tags | {TAG: written(self._renewed_at)}

    def renew(self, cluster_id: str) -> None:
        """Set the mark anew when it is due. What goes wrong stops no run: the next look at the cluster tries again."""
        if self._renewed_at is not None:
            age_seconds = (self._clock() - self._renewed_at).total_seconds()
            if 0 <= age_seconds < RENEWED_EVERY_SECONDS:
                return
        before = self._renewed_at
        try:
            self._emr.add_tags(cluster_id, self.tags())
        except (AwsUnreachable, AwsRefused) as error:
            self._renewed_at = before
            if isinstance(error, AwsRefused) and not error.throttled and not self._refusal_told:
                self._refusal_told = True
                self._reporter.news(f"{error} Without a fresh mark a sweep takes cluster {cluster_id} for an orphan.")


def written(moment: datetime) -> str:
    """A time as the tag's value: UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read(tags: dict[str, str]) -> datetime | None:
    """When the cluster's driver was last seen; None when the tags do not say."""
    try:
        moment = datetime.fromisoformat(tags.get(TAG, ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
