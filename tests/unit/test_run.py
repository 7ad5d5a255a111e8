"""What `make run` says about other days than the one it has run."""

from datetime import date

import pytest

from drydock import aws, output, run, settings, site

LATER = [date(2026, 2, 1), date(2026, 2, 3)]


def test_stale_days_are_named_with_commands_that_keep_their_size(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(aws, "operator_client", lambda *_: None)
    monkeypatch.setattr(site.Site, "platform_config", lambda _: {"source_uri": "s3://raw/shipment"})
    asked = []

    def rows_of_raw_days(_s3: object, *between: object) -> dict[date, int]:
        asked.append(between)
        return {LATER[0]: 20_000}

    monkeypatch.setattr(run, "rows_of_raw_days", rows_of_raw_days)
    said: list[str] = []
    monkeypatch.setattr(output, "warn", said.append)
    run.warn_of(site.local(settings.Paths(), settings.Ports(0)), LATER)
    assert asked == [("s3://raw/shipment", *LATER)]
    assert "`make run DATE=2026-02-01 ROWS=20000 && make run DATE=2026-02-03`" in said[0]
