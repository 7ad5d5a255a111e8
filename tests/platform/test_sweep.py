"""The driver's `sweep` on real clusters."""

import pytest

from tests.platform.platform_rig import Platform


@pytest.mark.full
def test_the_clusters_of_a_run_that_is_over_are_ended_and_no_others(platform: Platform) -> None:
    left = platform.driver("create", "--job=sweeping", "--date=2026-03-01", "--run-id=left")["cluster_id"]
    assert platform.driver("sweep") == {"ended": [], "spared": [left]}
    assert platform.cluster_state(left) == "WAITING"
    assert platform.driver("sweep", "--run-id=another") == {"ended": [], "spared": [left]}
    assert platform.driver("sweep", "--run-id=left") == {"ended": [left], "spared": []}
    assert platform.await_cluster(left, "TERMINATED")["StateChangeReason"]["Code"] == "USER_REQUEST"
    platform.assert_nothing_runs()
