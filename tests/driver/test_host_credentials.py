"""What `credential_process` runs: credentials on stdout, or a sentence on stderr, whatever the gateway answers."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from drydock_driver import host_credentials

GIVEN = {"AccessKeyId": "LSIA", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-03-07T12:00:00Z", "Code": "x"}

Answer = Callable[[int, bytes, int | None], None]


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """Have the gateway answer this status and body; promising more bytes than it sends, where a length is given."""
    answer: list[tuple[int, bytes, int | None]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Authorization"] == "the token"
            status, body, length = answer[-1]
            self.send_response(status)
            self.send_header("Content-Length", str(length or len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        (tmp_path / "token").write_text("the token\n")
        monkeypatch.setenv("DRYDOCK_HOST_CREDENTIALS_URL", f"http://127.0.0.1:{server.server_port}/credentials")
        monkeypatch.setenv("DRYDOCK_HOST_CREDENTIALS_TOKEN_FILE", str(tmp_path / "token"))
        yield lambda status, body, length=None: answer.append((status, body, length))
        server.shutdown()


def test_credentials_are_in_the_format_of_an_external_process(answers, capsys) -> None:
    answers(200, json.dumps(GIVEN).encode())
    assert host_credentials.main() == 0
    assert json.loads(capsys.readouterr().out) == {
        "Version": 1,
        "AccessKeyId": "LSIA",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": "2026-03-07T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("status", "body", "length", "sentence"),
    [
        (
            403,
            b"The role kestra-role does not trust ec2.amazonaws.com.",
            None,
            "answers 403: The role kestra-role does",
        ),
        (500, b"", None, "answers 500: Internal Server Error"),
        (200, b"not JSON", None, "Expecting value"),
        (200, b'{"Message": "wait"}', None, "answers without credentials"),
        (200, b'{"AccessKeyId"', 100, "IncompleteRead"),
    ],
)
def test_what_is_no_answer_is_a_sentence(answers, capsys, status, body, length, sentence) -> None:
    answers(status, body, length)
    assert host_credentials.main() == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("The credentials of this host's role cannot be had: ")
    assert sentence in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["DRYDOCK_HOST_CREDENTIALS_URL", "DRYDOCK_HOST_CREDENTIALS_TOKEN_FILE"])
def test_a_variable_that_is_missing_is_named(answers, capsys, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    assert host_credentials.main() == 1
    assert f"the environment variable {name} is not set" in capsys.readouterr().err
