import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# The gateway lives in an environment of its own; its modules that need nothing of LocalStack are tested from here.
sys.path.insert(0, str(REPOSITORY / "gateway"))

from .rig import Gateway, Process, Recorder, make_gateway, running_recorder  # noqa: E402


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_recorder(secrets.token_urlsafe(48)) as recorder:
        gateway = make_gateway(tmp_path_factory.mktemp("gateway"), recorder)
        process = Process(gateway)
        process.start()
        try:
            process.wait_until_ready()
            yield gateway
        finally:
            process.stop()


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """The gateway, with nothing recorded yet in the control plane's place."""
    running.emr.requests.clear()
    return running


@pytest.fixture
def emr(gateway: Gateway) -> Iterator[Recorder]:
    answer = gateway.emr.answer
    yield gateway.emr
    gateway.emr.answer = answer


@pytest.fixture(scope="session")
def bucket(running: Gateway) -> str:
    running.client("s3").create_bucket(Bucket="things")
    return "things"
