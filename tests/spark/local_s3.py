"""The gateway with S3 alone, started as a process: the jobs' environment has nothing of Drydock's own."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATOR = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "of the example"}
START_SECONDS = 120


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start it with its files in `folder`; its URL."""
    home = Path(os.environ.get("DRYDOCK_HOME") or REPOSITORY / ".drydock")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, secret in (
        ("operator.json", json.dumps(OPERATOR)),
        ("gateway.secret", "a secret of this test and no other"),
    ):
        (folder / name).touch(0o600)
        (folder / name).write_text(secret)
    (folder / "tmp").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TEMP": str(folder / "tmp"),
        "FILESYSTEM_ROOT": str(folder / "files"),
        "GATEWAY_SERVER": "drydock",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SERVICES": "s3",
        "OVERRIDE_IN_DOCKER": "0",
        "DISABLE_CORS_CHECKS": "1",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "DRYDOCK_OPERATOR_KEY_FILE": str(folder / "operator.json"),
        "DRYDOCK_GATEWAY_SECRET_FILE": str(folder / "gateway.secret"),
        "DRYDOCK_EMR_URL": "http://127.0.0.1:9",  # nobody asks for EMR here
    }
    command = [str(home / "envs/gateway/bin/python"), "-m", "localstack.runtime.main"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            _await(f"http://127.0.0.1:{port}/_localstack/health", server, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _await(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"The gateway did not come up:\n{log.read_text()[-2000:]}")
