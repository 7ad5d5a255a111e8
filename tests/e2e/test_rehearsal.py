"""The deployment to AWS, rehearsed beside the platform in Docker Compose: its verbs, on an account of their own.

It runs a day that the platform has run too: so the tables of both, and those of one process, are compared.
"""

import re
from datetime import date

from tests.platform.platform_rig import Platform

from .conftest import ROWS

REHEARSAL_SECONDS = 1200  # three clusters, one after the other, beside a platform


def test_from_an_empty_account_to_an_empty_account_and_the_first_one_untouched(platform: Platform, day: date) -> None:
    here = platform.drydock("parity", f"--date={day}")
    assert here.returncode == 0, here.stdout
    rehearsal = platform.drydock("aws-rehearsal", f"--date={day}", f"--rows={ROWS}", within_seconds=REHEARSAL_SECONDS)
    said = rehearsal.stdout
    assert rehearsal.returncode == 0, said

    calls = re.findall(r"^\$ make (\S+)", said, re.MULTILINE)
    assert calls == ["deploy-aws", "aws-run", "deploy-aws", "aws-parity", "aws-status", "destroy-aws"]
    deployed, ran, deployed_again, parity, status, destroyed = re.split(r"^\$ make \S+.*$", said, flags=re.MULTILINE)[
        1:
    ]
    assert all(
        "account 210987654321, us-east-1" in part for part in (deployed, ran, deployed_again, parity, status, destroyed)
    )
    assert "  data_generation is new" in deployed
    assert re.search(r"Flows validated: .*data_processing, emr_cluster", deployed)
    assert "Clusters have what the release should" in deployed
    assert re.search(r"all of it +file://\S+/deployment\.html", deployed)
    assert re.search(r"Flows: \d+, as they are deployed", deployed_again)
    assert "Kestra: no host, so no schedule fires" in status
    assert re.search(rf"^ *raw +{ROWS:,} *$", ran, re.MULTILINE)
    assert "Tables: 6 same" in parity
    assert all(f"IAM, {side}:" in parity for side in ("local", "AWS", "sides compared"))
    assert "Nothing differs that is not known." in parity
    assert re.search(rf"{day} +{ROWS:,} rows processed", status)
    assert "Clusters: none was alive" in destroyed
    assert "Account 210987654321 is empty again, by its APIs." in destroyed
    assert "The local platform's account, 000000000000, is as it was: 6 buckets" in destroyed
    assert not (platform.paths.home / "rehearsal").exists()
