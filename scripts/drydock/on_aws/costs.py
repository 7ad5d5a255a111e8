"""What a deployment costs, roughly, by list prices: for people who are about to say yes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drydock_driver import prices

DAYS = 30
RUNS_A_DAY = 2
MINUTES_A_RUN = 15  # of a day of a million shipments: some seven until EMR's cluster is ready, a few of work


@dataclass(frozen=True)
class Estimate:
    """In US dollars. None where no prices are known here."""

    run: float | None
    month: float | None

    def __str__(self) -> str:
        if self.run is None or self.month is None:
            return "What it costs is not known here: prices.py has none for this region or these instance types."
        return (
            f"A run of a job costs about ${self.run:.2f}, two of them each day ${self.month:.0f} a month, by the list "
            f"prices of {prices.REGION} as of {prices.AS_OF} ({MINUTES_A_RUN} minutes each; disks, S3 and transfer are "
            "not counted)."
        )


def of(region: str, instance_types: dict[str, Any], core_count: int, host: Mapping[str, Any] | None) -> Iterator[str]:
    """Sentences for people. `host`: what Kestra's is to be, `instance_type` and `volume_gb`; None without one."""
    yield str(estimate(region, instance_types, core_count))
    if host is None:
        yield "While nothing runs there is only S3 to pay."
        return
    a_month = prices.host_a_month(region, host["instance_type"], host["volume_gb"])
    if a_month is None:
        yield "What Kestra's host costs is not known here: prices.py has no price for this region or instance type."
    else:
        yield (
            f"Kestra's host, {host['instance_type']} with {host['volume_gb']:.0f} GB and an address, costs about "
            f"${a_month:.0f} a month, whether something runs or not."
        )


def estimate(region: str, instance_types: dict[str, Any], core_count: int) -> Estimate:
    """Of clusters with a master and so many core nodes."""
    types = [instance_types["master"], *[instance_types["core"]] * core_count]
    an_hour = prices.an_hour(region, types)
    if an_hour is None:
        return Estimate(None, None)
    run = an_hour * MINUTES_A_RUN / 60
    return Estimate(run, run * RUNS_A_DAY * DAYS)
