"""What a cluster and a host for Kestra cost on AWS, roughly: on-demand list prices of EC2 and EMR, in US dollars.

EMR bills each instance by the second, at least a minute, from the request for the cluster to its end (EMR FAQs,
«Billing»). Disks, S3 and data transfer are not counted.
"""

from collections.abc import Sequence
from datetime import datetime

from drydock_driver.platform_config import Platform

AS_OF = "2025-01"
REGION = "us-east-1"
USD_AN_HOUR = {  # EC2, EMR
    "m5.xlarge": (0.192, 0.048),
    "m5.2xlarge": (0.384, 0.096),
    "m5.4xlarge": (0.768, 0.192),
}
LEAST_SECONDS = 60
# Of Kestra's host: EC2 alone, and what it has besides.
HOST_USD_AN_HOUR = {
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "t3a.large": 0.0752,
    "m5.large": 0.096,
    "m5.xlarge": 0.192,
}
ADDRESS_USD_AN_HOUR = 0.005
DISK_USD_A_GB_MONTH = 0.08  # gp3
HOURS_A_MONTH = 730


def estimate(platform: Platform, created_at: datetime | None, ended_at: datetime | None) -> float | None:
    """What such a cluster costs that lived so long, to the cent's hundredth; None when that is not known here."""
    types = [platform.master_instance_type, *[platform.core_instance_type] * platform.core_count]
    usd_an_hour = an_hour(platform.region, types)
    if usd_an_hour is None or created_at is None or ended_at is None:
        return None
    hours = max((ended_at - created_at).total_seconds(), LEAST_SECONDS) / 3600
    return round(hours * usd_an_hour, 4)


def host_a_month(region: str, instance_type: str, volume_gb: float) -> float | None:
    """Of Kestra's host, its disk and its public address; None when that is not known here."""
    if region != REGION or instance_type not in HOST_USD_AN_HOUR:
        return None
    return (HOST_USD_AN_HOUR[instance_type] + ADDRESS_USD_AN_HOUR) * HOURS_A_MONTH + DISK_USD_A_GB_MONTH * volume_gb


def an_hour(region: str, instance_types: Sequence[str]) -> float | None:
    """What instances of these types cost together in a cluster, in an hour; None when that is not known here."""
    if region != REGION or not USD_AN_HOUR.keys() >= set(instance_types):
        return None
    return sum(sum(USD_AN_HOUR[each]) for each in instance_types)
