"""The driver's `sweep` on real clusters."""

import json
import os
import subprocess

from drydock import env, settings
from tests.platform.platform_rig import Platform


def test_the_clusters_of_a_run_that_is_over_are_ended_and_no_others(platform: Platform) -> None:
    left = _driver(platform, "create", "--job=sweeping", "--date=2026-03-01", "--run-id=left")["cluster_id"]
    assert _driver(platform, "sweep") == {"ended": [], "spared": [left]}
    assert platform.cluster_state(left) == "WAITING"
    assert _driver(platform, "sweep", "--run-id=another") == {"ended": [], "spared": [left]}
    assert _driver(platform, "sweep", "--run-id=left") == {"ended": [left], "spared": []}
    assert platform.await_cluster(left, "TERMINATED")["StateChangeReason"]["Code"] == "USER_REQUEST"
    platform.assert_nothing_runs()


def _driver(platform: Platform, *arguments: str) -> dict[str, object]:
    """Run a verb of the driver's with what `drydock env` exports; what it prints at last."""
    driver = settings.Paths().environment("workspace") / "bin" / "drydock-driver"
    ended = subprocess.run(
        [driver, *arguments, "--output=json"],
        env={"PATH": os.defpath, **env.exports(platform.paths, platform.ports)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    document: dict[str, object] = json.loads(ended.stdout)
    return document
