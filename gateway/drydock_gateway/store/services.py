"""IAM, STS and EC2 as moto keeps them: after each change the whole state of the service, as one pickle.

Some kilobytes for IAM and STS; 0.8 MB and 20 ms for EC2, most of it its catalogues. A pickle belongs to the version of
moto that wrote it: `folder.FORMAT` grows when a new one cannot read it.
"""

import pickle
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS
from moto.backends import get_backend

from drydock_gateway.errors import Damaged
from drydock_gateway.store.folder import Folder
from drydock_gateway.store.records import read_body

NAMES = ("iam", "sts", "ec2")
SESSIONS_REGION = "us-east-1"  # LocalStack keeps what it knows of sessions there, wherever they were assumed
REMEMBERED = timedelta(days=1)  # how long after its end a session's key is still answered with ExpiredToken


class Services:
    """Their states are as they were saved when this has been made."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._locks = {name: Lock() for name in NAMES}
        for name in NAMES:
            record = self._record(name)
            if record.exists():
                try:
                    _restore(name, _checked(record))
                except Damaged as error:
                    folder.set_aside(record, error)

    def save(self, name: str) -> None:
        """Put the state of a service on disk. It has all that was done before the call, and maybe more."""
        with self._locks[name]:
            body = _dump(name)
            self._folder.write(self._record(name), {"body_crc": zlib.crc32(body)}, body)

    def _record(self, name: str) -> Path:
        return self._folder.services / name


def _dump(name: str) -> bytes:
    while True:
        try:
            return pickle.dumps(_state(name), protocol=pickle.HIGHEST_PROTOCOL)
        except RuntimeError as error:  # another request has changed it meanwhile
            if not str(error).endswith("during iteration"):
                raise


def _checked(record: Path) -> bytes:
    document, body = read_body(record)
    if zlib.crc32(body) != document.get("body_crc"):
        raise Damaged("its bytes are not what was written")
    return body


def _state(name: str) -> dict[str, Any]:
    """Account → region → moto's backend; of STS what LocalStack knows of sessions besides."""
    if name == "sts":
        _forget_old_sessions()
    backends = {account: dict(regions) for account, regions in dict(get_backend(name)).items()}
    return {"backends": backends, "sessions": _sessions() if name == "sts" else {}}


def _restore(name: str, pickled: bytes) -> None:
    SERVICE_PLUGINS.require(name)  # LocalStack's patches of moto's classes first
    try:
        state = pickle.loads(pickled)  # noqa: S301 - our own, in a folder that only this user can write to
    except Exception as error:
        raise Damaged(f"it cannot be read back ({type(error).__name__}: {error})") from error
    backends = get_backend(name)
    for account, regions in state["backends"].items():
        for region, backend in regions.items():
            backends[account][region] = backend
    for account, sessions in state["sessions"].items():
        _stores()[account][SESSIONS_REGION].sessions.update(sessions)


def _forget_old_sessions() -> None:
    sessions = _sessions()
    for account, regions in dict(get_backend("sts")).items():
        for backend in dict(regions).values():
            for role in list(backend.assumed_roles):
                if role.expiration < datetime.now(role.expiration.tzinfo) - REMEMBERED:
                    backend.assumed_roles.remove(role)
                    sessions.get(account, {}).pop(role.access_key_id, None)


def _sessions() -> dict[str, dict[str, Any]]:
    return {account: regions[SESSIONS_REGION].sessions for account, regions in dict(_stores()).items()}


def _stores() -> Any:
    from localstack.services.sts.models import sts_stores

    return sts_stores
