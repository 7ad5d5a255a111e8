"""Six machines in the place of three: a second cluster at a time."""

import pytest

from tests.platform.platform_rig import Platform

pytestmark = pytest.mark.full


def test_two_clusters_work_at_once(place: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRYDOCK_NODES", "6")
    up = place.drydock("local-up")
    assert up.returncode == 0, up.stdout
    place.assert_two_clusters_work_at_once()
