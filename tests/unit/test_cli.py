"""`drydock`: how a verb ends, for whoever called it."""

import os
import sys
import types

import pytest
import typer

from drydock import cli
from drydock.errors import SetupError


def interrupted() -> None:
    raise KeyboardInterrupt


def failing() -> None:
    raise SetupError("The network is gone. Mend it.")


def defective() -> None:
    raise ZeroDivisionError


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Run one verb as `drydock VERB` does; returns its exit code."""

    def run_verb(verb) -> int:
        monkeypatch.setattr(cli, "app", typer.Typer(pretty_exceptions_enable=False))
        monkeypatch.setattr(cli, "VERBS", ())
        monkeypatch.setattr(cli, "leave_the_callers_aws", lambda _: None)
        cli.app.command(verb.__name__)(verb)
        monkeypatch.setattr(sys, "argv", ["drydock"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code

    return run_verb


def test_ctrl_c_is_said_and_has_its_exit_code(run, capsys: pytest.CaptureFixture[str]):
    assert run(interrupted) == 130
    assert capsys.readouterr().err.strip() == "✗ Interrupted."


def test_a_user_s_error_is_a_sentence_and_no_traceback(run, capsys: pytest.CaptureFixture[str]):
    assert run(failing) == 1
    assert capsys.readouterr().err == "✗ The network is gone. Mend it.\n"


def test_a_defect_keeps_its_traceback(run):
    with pytest.raises(ZeroDivisionError):
        run(defective)


def test_every_verb_can_be_imported_and_has_help():
    for verb in cli.VERBS:
        name = verb.replace("-", "_")
        module = __import__(f"drydock.{name}", fromlist=[name])
        assert getattr(module, name).__doc__, verb


def test_the_callers_aws_is_left_behind_and_no_proxy_leads_to_loopback():
    environment = {
        "AWS_PROFILE": "theirs",
        "AWS_ENDPOINT_URL_S3": "https://s3.example",
        "AWS_CA_BUNDLE": "/etc/ca.pem",
        "NO_PROXY": "internal.example,localhost",
        "HTTPS_PROXY": "http://proxy.example",
    }
    left_out = {"AWS_PROFILE": "theirs", "AWS_ENDPOINT_URL_S3": "https://s3.example"}
    for expected in (left_out, {}):  # one verb calls another
        assert cli.leave_the_callers_aws(environment) == expected
        cli.leave_loopback_to_no_proxy(environment)
        assert environment == {
            "AWS_CA_BUNDLE": "/etc/ca.pem",
            "NO_PROXY": "internal.example,localhost,127.0.0.1",
            "no_proxy": "127.0.0.1,localhost",
            "HTTPS_PROXY": "http://proxy.example",
        }


@pytest.mark.parametrize(
    ("verb", "expected"), [("deploy-aws", "theirs"), ("destroy-aws", "theirs"), ("local-up", None)]
)
def test_only_what_acts_on_aws_sees_the_callers_aws(
    verb: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    module = types.SimpleNamespace(**{verb.replace("-", "_"): lambda: seen.append(os.environ.get("AWS_PROFILE"))})
    monkeypatch.setattr(cli, "app", typer.Typer())
    monkeypatch.setattr(cli.importlib, "import_module", lambda _: module)
    monkeypatch.setattr(sys, "argv", ["drydock", verb])
    cli.app.command("another")(lambda: None)  # with a single one Typer would take the verb for an argument
    monkeypatch.setenv("AWS_PROFILE", "theirs")
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, seen) == (0, [expected])
