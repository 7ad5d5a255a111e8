"""Signals that come while a verb reads, or ends the platform."""

import os
import signal
from datetime import date

import pytest

from drydock import interrupts, local_down, settings, site, summary, teardown
from drydock.errors import Stopped


@pytest.fixture
def paths(tmp_path, monkeypatch) -> settings.Paths:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    return settings.Paths(tmp_path)


@pytest.mark.parametrize("number", interrupts.INTERRUPTS)
def test_an_ending_platform_is_ended_to_the_end(number, paths, monkeypatch, capsys):
    ended = []

    def end_all(_):
        os.kill(os.getpid(), number)
        ended.append("gateway")
        return ended

    monkeypatch.setattr(teardown, "end_all", end_all)
    local_down.local_down()
    assert ended == ["gateway"]
    assert "Ended: gateway." in capsys.readouterr().out


@pytest.mark.parametrize("number", interrupts.INTERRUPTS)
def test_a_signal_while_a_day_is_read_back_is_a_sentence(number, paths, monkeypatch):
    def read(*_):
        os.kill(os.getpid(), number)
        pytest.fail("it went on")

    before = [signal.getsignal(each) for each in interrupts.INTERRUPTS]
    monkeypatch.setattr(summary, "read", read)
    with pytest.raises(Stopped, match="`make summary DATE=2026-03-07`") as stopped:
        summary.show_day(site.local(paths, settings.Ports()), date(2026, 3, 7))
    assert stopped.value.exit_code == 128 + number
    assert [signal.getsignal(each) for each in interrupts.INTERRUPTS] == before
