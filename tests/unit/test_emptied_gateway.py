"""A gateway whose data was removed works, and holds nothing: whoever looks is told so, with the way out."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from botocore.stub import Stubber

from drydock import aws, health, running, secrets, services, settings, site, startup, terraform
from drydock.errors import NotRunning, ServiceFailed
from drydock.local_status import show_status

EMPTY = "it is empty: `make local-up` makes the platform again, the days' data excepted"
PORTS = settings.Ports(offset=0)


@pytest.fixture
def paths(tmp_path, monkeypatch) -> settings.Paths:
    """Of a platform to which Terraform has been applied."""
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    monkeypatch.setenv("DRYDOCK_PORT_OFFSET", "0")
    paths = settings.Paths(tmp_path)
    secrets.ensure(paths)
    terraform.applied_stamp(paths).parent.mkdir()
    terraform.applied_stamp(paths).touch()
    return paths


@pytest.fixture
def s3_answers(paths, monkeypatch) -> Callable[[str], None]:
    """Has S3 answer one request with an error."""

    def answer(code: str, status: int = 404) -> None:
        client = aws.operator_client("s3", paths, PORTS)
        stub = Stubber(client)
        stub.add_client_error("get_object", code, http_status_code=status)
        stub.activate()
        monkeypatch.setattr(aws, "operator_client", lambda *_, **__: client)

    return answer


@pytest.fixture
def everything_runs(paths, monkeypatch) -> None:
    """As far as processes, and health checks, go."""
    state = SimpleNamespace(is_up=True, state="RUNNING", started_at=None, restarts=0, pid=None)
    supervisor = SimpleNamespace(
        is_running=lambda: True,
        states=lambda: dict.fromkeys(services.names(paths), state),
        service_pids=dict,
    )
    monkeypatch.setattr("drydock.runtime.Supervisor", lambda _: supervisor)
    for check in ("gateway", "emr", "node", "history_server"):
        monkeypatch.setattr(health, check, lambda *_: None)


def test_a_run_says_so_before_it_begins(paths, s3_answers, everything_runs):
    s3_answers("NoSuchBucket")
    with pytest.raises(NotRunning) as refused:
        running.require_running(paths, PORTS)
    assert str(refused.value) == f"The gateway is up, but {EMPTY}."


def test_an_object_that_was_removed_is_named(paths, s3_answers):
    s3_answers("NoSuchKey")
    reason = terraform.why_not_applied(paths, PORTS)
    assert reason == f"`{site.PLATFORM_CONFIG_URI}` is not there any more: `make local-up` makes it again"


def test_before_terraform_has_come_to_its_end_nothing_was_lost(paths, s3_answers):
    terraform.applied_stamp(paths).unlink()
    s3_answers("NoSuchBucket")
    assert "`make local-up` has not come to its end" in str(terraform.why_not_applied(paths, PORTS))


def test_a_gateway_that_refuses_is_not_taken_for_an_empty_one(paths, s3_answers):
    s3_answers("AccessDenied", 403)
    with pytest.raises(ServiceFailed, match="AccessDenied"):
        terraform.why_not_applied(paths, PORTS)


def test_the_status_says_so(paths, s3_answers, everything_runs, monkeypatch, capsys):
    def declared(*_):
        checks = {"gateway": lambda: health.gateway(paths, PORTS)}
        return [
            services.Service(name, 1, (), {}, paths.home, (), checks.get(name, lambda: None), None, 10, 10)
            for name in services.names(paths)
        ]

    monkeypatch.setattr("drydock.services.declare", declared)
    s3_answers("NoSuchBucket")
    assert show_status() == 1
    gateway, *others = capsys.readouterr().out.splitlines()[1:7]
    assert gateway.split(maxsplit=2)[:2] == ["gateway", "unhealthy"]
    assert EMPTY in gateway
    assert all(" healthy " in row for row in others)


def test_a_start_does_not_wait_for_what_terraform_makes_later(paths, s3_answers, everything_runs):
    s3_answers("NoSuchBucket")
    gateway = services.Service("gateway", 1, (), {}, paths.home, (), lambda: health.gateway(paths, PORTS), None, 10, 10)
    state = SimpleNamespace(is_up=True, state="RUNNING")
    assert startup.why_not(gateway, state) is None
