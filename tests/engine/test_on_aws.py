"""Kestra's engine for a deployment on AWS: there while a verb needs it, with the role's credentials alone."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import psutil
import pytest

from drydock import aws, settings, site
from drydock.errors import ServiceFailed
from drydock.on_aws import orchestrator
from tests.engine.conftest import HANG
from tests.engine.engine_rig import NAMESPACE
from tests.running import INSTALLED, wait_for

ROLE = "arn:aws:iam::123456789012:role/acme-kestra-role"
CONFIG = {"roles": {"kestra_arn": ROLE}}


class Sts:
    """Lets anybody act as anybody."""

    def assume_role(self, **_: str) -> dict[str, Any]:
        lasting = {"Expiration": datetime.now(UTC) + timedelta(hours=1)}
        return {"Credentials": {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "SessionToken": "t", **lasting}}


class Account(aws.CallersAccount):
    """An account whose STS alone is asked."""

    def client(self, service: str) -> Any:
        assert service == "sts"
        return Sts()


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> site.Site:
    """A deployment whose flows are in `flows` beside it."""
    (tmp_path / "flows").mkdir()
    monkeypatch.setattr(settings.Paths, "flows", tmp_path / "flows")
    return deployment(tmp_path)


def deployment(folder: Path) -> site.Site:
    local = site.local(INSTALLED, settings.Ports(0))
    account = Account(botocore.session.Session(), "eu-central-1")
    return replace(local, profile=site.AWS, account=account, name_prefix="acme-", directory=folder)


def engines(folder: Path) -> list[psutil.Process]:
    """Those that this process has started for the deployment in the folder; other tests have others."""
    found = []
    for each in psutil.Process().children():
        with suppress(psutil.Error):  # it has just ended
            if each.environ().get("ENGINE_DATA") == str(folder / "kestra" / "data"):
                found.append(each)
    return found


def test_it_is_there_for_as_long_as_it_is_needed_and_acts_as_the_role(
    where: site.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOPERATOR")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the operator's")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with orchestrator.opened(where, CONFIG) as engine:
        assert engine.flows() == []
        [process] = engines(where.directory)
        seen = {name: value for name, value in process.environ().items() if name.startswith(("AWS_", "DRYDOCK_"))}
        assert seen.pop("AWS_CONTAINER_CREDENTIALS_FULL_URI").startswith("http://127.0.0.1:")
        assert Path(seen.pop("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")).is_file()
        seen.pop("AWS_CA_BUNDLE", None)  # the authorities that the caller trusts
        assert seen.pop("DRYDOCK_KESTRA_URL").startswith("http://127.0.0.1:")
        assert Path(seen.pop("DRYDOCK_KESTRA_PASSWORD_FILE")).is_relative_to(where.directory)
        assert seen == {
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "DRYDOCK_PLATFORM_CONFIG": "s3://acme-spark-job-data-input/config/platform.json",
            "DRYDOCK_ROLE_ARN": ROLE,
            "DRYDOCK_KESTRA_USERNAME": settings.KESTRA_USERNAME,
        }
    assert not process.is_running()


@pytest.mark.full
def test_what_a_killed_verb_leaves_ends_with_it_and_is_not_gone_on_with(where: site.Site, tmp_path: Path) -> None:
    (tmp_path / "flows" / "hangs.yaml").write_text(f"id: hangs\nnamespace: {NAMESPACE}\n{HANG}")
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from drydock import settings
        from drydock.on_aws import orchestrator
        from tests.engine.engine_rig import NAMESPACE, await_task
        from tests.engine.test_on_aws import CONFIG, deployment, engines
        folder = Path(sys.argv[1])
        settings.Paths.flows = folder / "flows"
        with orchestrator.opened(deployment(folder), CONFIG) as engine:
            execution = engine.start(NAMESPACE, "hangs", {}, {})["id"]
            await_task(engine, execution, "hangs", "RUNNING")
            print(engines(folder)[0].pid, execution, flush=True)
            time.sleep(1000)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=settings.REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as verb:
        assert verb.stdout is not None
        for line in verb.stdout:
            if line[0].isdecimal():
                break
        pid, execution = line.split()
        verb.send_signal(signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(int(pid)), "the end of the engine", 60)
    with orchestrator.opened(where, CONFIG) as engine:
        assert engine.execution(execution)["state"]["current"] == "KILLED"
        assert engine.live_executions() == []


def test_a_flow_that_is_refused_is_told_with_its_reason(where: site.Site, tmp_path: Path) -> None:
    (tmp_path / "flows" / "broken.yaml").write_text(f"id: broken\nnamespace: {NAMESPACE}\ntasks: []\n")
    with pytest.raises(ServiceFailed, match=r"broken\.yaml"), orchestrator.opened(where, CONFIG):
        pytest.fail("it came up")
    assert engines(tmp_path) == []


def test_it_says_what_it_would_refuse_with_no_way_to_aws(where: site.Site, tmp_path: Path) -> None:
    (tmp_path / "flows" / "broken.yaml").write_text("none of its business")
    with orchestrator.validating(where) as engine:
        assert engine.flows() == []
        assert engine.validate(f"id: hangs\nnamespace: {NAMESPACE}\n{HANG}") is None
        assert "tasks" in str(engine.validate(f"id: broken\nnamespace: {NAMESPACE}\ntasks: []\n"))
    assert [each.name for each in tmp_path.iterdir()] == ["flows"]
