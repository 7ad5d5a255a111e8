import os
import shlex
import subprocess

import pytest

from drydock import secrets, settings
from drydock.env import PROXIES, UNSET, env, exports
from drydock.errors import NotRunning
from drydock.supervision import ProcessState


def test_the_exports_of_the_contract(tmp_path, monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    programs = f"{tmp_path}/envs/workspace/bin"
    monkeypatch.setenv("PATH", f"/usr/bin:{programs}:/bin")
    paths = settings.Paths(tmp_path)
    files = secrets.ensure(paths)
    key = secrets.operator_key(paths)

    assert exports(paths, settings.Ports(offset=0)) == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "DRYDOCK_PLATFORM_CONFIG": "s3://spark-job-data-input/config/platform.json",
        "KESTRA_URL": "http://127.0.0.1:8080",
        "KESTRA_USERNAME": "operator@drydock.local",
        "KESTRA_PASSWORD": files.kestra_password.read_text().strip(),
        "EMR_CONSOLE_URL": f"http://127.0.0.1:8088/?token={files.console_token.read_text().strip()}",
        "DRYDOCK_HOME": str(tmp_path),
        "PATH": f"/usr/bin:/bin:{programs}",
    }


def test_the_callers_own_aws_is_forgotten_and_no_proxy_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "internal.example,127.0.0.1,localhost")
    secrets.ensure(settings.Paths(tmp_path))
    assert exports(settings.Paths(tmp_path), settings.Ports(offset=0))["NO_PROXY"].endswith(",127.0.0.1,localhost")
    assert {"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL_S3"} <= set(UNSET)


def test_without_a_platform_nothing_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    with pytest.raises(NotRunning, match=r"The platform does not run \(gateway, emr not up\)"):
        env()
    assert capsys.readouterr().out == ""


def test_the_shell_reads_back_what_was_meant(tmp_path, monkeypatch, capsys):
    home = tmp_path / 'it\'s $HOME; `a` "home"'
    home.mkdir()
    monkeypatch.setenv("DRYDOCK_HOME", str(home))
    secrets.ensure(settings.Paths())

    class Running:
        def __init__(self, paths):
            pass

        def is_running(self):
            return True

        def states(self):
            return {name: ProcessState("RUNNING", 1, 0.0, "") for name in ("gateway", "emr")}

    monkeypatch.setattr("drydock.runtime.Supervisor", Running)
    env()
    script = capsys.readouterr().out

    assert all(line.startswith(("export ", "unset ")) for line in script.splitlines())
    script += '\nprintf "%s|%s" "$DRYDOCK_HOME" "${AWS_PROFILE-}${AWS_ENDPOINT_URL_S3-}"'
    callers = {"PATH": os.defpath, "AWS_PROFILE": "theirs", "AWS_ENDPOINT_URL_S3": "https://theirs.example"}
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=callers)
    assert shown.stdout == f"{home}|"
    assert shlex.quote(str(home)) in script
