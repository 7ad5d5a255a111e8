import pytest

from drydock import settings
from drydock.errors import DrydockError, NotRunning
from drydock.local_logs import local_logs
from drydock.log_files import Tail


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    folder = settings.Paths().logs
    folder.mkdir()
    return folder


def test_the_last_lines_of_one_service(logs, capsys):
    (logs / "emr.log").write_text("".join(f"line {i}\n" for i in range(1000)))
    local_logs("emr", lines=3)
    assert capsys.readouterr().out == "line 997\nline 998\nline 999\n"


def test_long_lines_are_shown_whole(logs, capsys):
    (logs / "emr.log").write_text("".join(f"{i} {'x' * 3000}\n" for i in range(10)))
    local_logs("emr", lines=2)
    assert [len(line) for line in capsys.readouterr().out.splitlines()] == [3002, 3002]


def test_all_services_are_prefixed(logs, capsys):
    (logs / "emr.log").write_text("one\n")
    (logs / "node-1.log").write_text("two\n")
    local_logs("")
    assert capsys.readouterr().out == "emr            | one\nnode-1         | two\n"


def test_an_unknown_service_is_answered_with_the_known_ones(logs):
    with pytest.raises(DrydockError, match=r"There is no service `emrr`. There are: gateway, emr, node-1, "):
        local_logs("emrr")


def test_nothing_was_ever_started(logs):
    with pytest.raises(NotRunning, match="no log of any service yet"):
        local_logs("")


def test_a_tail_gives_new_lines_once_finished_also_across_a_rotation(tmp_path):
    log = tmp_path / "emr.log"
    log.write_text("old\n")
    tail = Tail(log)
    assert tail.new_lines() == []

    with log.open("a") as stream:
        stream.write("one\ntw")
    assert tail.new_lines() == ["one"]
    with log.open("a") as stream:
        stream.write("o\n")
    assert tail.new_lines() == ["two"]

    log.rename(tmp_path / "emr.log.1")
    assert tail.new_lines() == []
    log.write_text("three\n")
    assert tail.new_lines() == ["three"]
