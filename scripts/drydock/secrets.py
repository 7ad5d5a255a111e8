"""The secrets of one install: made at the first `up`, kept in `DRYDOCK_HOME/secrets`, readable by their owner alone.

Programs get the path of a secret's file, never its value: no secret is in an argument, a configuration or a log.
"""

import base64
import json
import os
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drydock import settings
from drydock.errors import SetupError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

BASE32 = string.ascii_uppercase + "234567"
ACCOUNT_OFFSET = 1 << 39  # AWS's key ids hold (account / 2 + this) in the eight characters after their prefix
SECRET_KEY_LENGTH = 40  # AWS's


@dataclass(frozen=True)
class OperatorKey:
    """The access key of `make`, Terraform and the user: the local account's administrator."""

    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"OperatorKey({self.access_key_id})"


@dataclass(frozen=True)
class Secrets:
    """Where each secret lies."""

    directory: Path

    @property
    def operator_key(self) -> Path:
        """JSON: `access_key_id`, `secret_access_key`."""
        return self.directory / "operator.json"

    @property
    def gateway(self) -> Path:
        """What the gateway and the control plane prove themselves to each other with."""
        return self.directory / "gateway.secret"

    @property
    def node(self) -> Path:
        """What a node proves itself to the control plane with."""
        return self.directory / "node.secret"

    @property
    def spark(self) -> Path:
        """`spark.authenticate.secret` of the nodes' daemons and of everything that runs on them."""
        return self.directory / "spark.secret"

    @property
    def orchestrator_token(self) -> Path:
        """What Kestra's host gets the credentials of its role with."""
        return self.directory / "orchestrator.token"

    @property
    def kestra_password(self) -> Path:
        """What opens Kestra, for `settings.KESTRA_USERNAME`."""
        return self.directory / "kestra.password"

    @property
    def console_token(self) -> Path:
        """What opens the web console."""
        return self.directory / "console.token"

    @property
    def postgres_password(self) -> Path:
        """The superuser's of the database in Compose."""
        return self.directory / "postgres.password"

    @property
    def emr_database_password(self) -> Path:
        """The control plane's, for its database in Compose."""
        return self.directory / "emr-database.password"

    @property
    def kestra_database_password(self) -> Path:
        """Kestra's, for its database in Compose."""
        return self.directory / "kestra-database.password"


def ensure(paths: settings.Paths, account_id: str = settings.ACCOUNT_ID) -> Secrets:
    """Make what is missing, the install's id besides, and close what others could read. What is there is kept.

    The operator's key is one of `account_id`.
    Raises SetupError when the folder or a file of it belongs to somebody else, or is no regular file.
    """
    secret_files = Secrets(paths.secrets)
    paths.secrets.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    _own_and_close(paths.secrets, DIRECTORY_MODE)
    _ensure_file(secret_files.operator_key, lambda: _new_operator_key(account_id))
    for file in (
        secret_files.gateway,
        secret_files.node,
        secret_files.spark,
        secret_files.console_token,
        secret_files.postgres_password,
        secret_files.emr_database_password,
        secret_files.kestra_database_password,
    ):
        _ensure_file(file, _new_secret)
    _ensure_file(secret_files.orchestrator_token, _new_token)
    _ensure_file(secret_files.kestra_password, new_kestra_password)
    _ensure_file(paths.install_id, lambda: f"{secrets.token_hex(4)}\n")
    return secret_files


def ensure_kestra_password(file: Path) -> None:
    """Make what opens a Kestra of its own, unless it is there."""
    _ensure_file(file, new_kestra_password)


def operator_key(paths: settings.Paths) -> OperatorKey:
    """The operator's key. Raises SetupError when there is none, or none that can be read."""
    file = Secrets(paths.secrets).operator_key
    try:
        document = json.loads(file.read_text())
        return OperatorKey(document["access_key_id"], document["secret_access_key"])
    except FileNotFoundError:
        raise SetupError(f"There is no operator key at `{file}`: the first `make local-up` makes it.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"The operator key `{file}` cannot be read ({type(error).__name__}). "
            "Remove the file after `make local-down`, and the next `make local-up` makes a new one."
        ) from error


def console_token(paths: settings.Paths) -> str:
    """The web console's login token. Raises SetupError when there is none."""
    return _read(Secrets(paths.secrets).console_token, "The console's token")


def kestra_password(paths: settings.Paths) -> str:
    """What opens Kestra. Raises SetupError when there is none."""
    return _read(Secrets(paths.secrets).kestra_password, "Kestra's password")


def access_key_id(account_id: str) -> str:
    """A new access key id of an account: 20 characters, the account encoded as in AWS's own ids.

    The prefix is LocalStack's for local keys (LKIA, where AWS has AKIA), so that nobody takes it for a key of AWS.
    LocalStack's `get_account_id_from_access_key_id` reads the account back from it.
    """
    account = int(account_id)
    half = base64.b32encode((account // 2 + ACCOUNT_OFFSET).to_bytes(5, "big")).decode()
    parity_alphabet = BASE32[16:] if account % 2 else BASE32[:16]  # the ninth character carries the lowest bit
    rest = "".join(secrets.choice(BASE32) for _ in range(7))
    return f"LKIA{half}{secrets.choice(parity_alphabet)}{rest}"


def new_kestra_password() -> str:
    """Kestra's server takes none without an upper case letter and a digit."""
    return f"K1{_new_secret()}"


def _new_operator_key(account_id: str) -> str:
    alphabet = string.ascii_letters + string.digits
    secret = "".join(secrets.choice(alphabet) for _ in range(SECRET_KEY_LENGTH))
    key = {"access_key_id": access_key_id(account_id), "secret_access_key": secret}
    return json.dumps(key, indent=2) + "\n"


def _new_token() -> str:
    """Without a line's end: SDKs send a token's file as it is."""
    return secrets.token_urlsafe(32)


def _new_secret() -> str:
    return f"{_new_token()}\n"


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise SetupError(
            f"{what} `{file}` cannot be read ({error.strerror}). The next `make local-up` makes it."
        ) from error


def _ensure_file(file: Path, make: Callable[[], str]) -> None:
    """Write a secret whole or not at all, never where others could read it, never over one that is there."""
    if not file.exists() and not file.is_symlink():
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(make())
        draft.rename(file)
    if file.is_symlink() or not file.is_file():
        raise SetupError(f"`{file}` should be a plain file with a secret, and is not. Remove it and try again.")
    _own_and_close(file, FILE_MODE)


def _own_and_close(path: Path, mode: int) -> None:
    status = path.lstat()
    if status.st_uid != os.getuid():
        raise SetupError(f"`{path}` belongs to user id {status.st_uid}, not to you ({os.getuid()}).")
    if status.st_mode & 0o777 != mode:
        path.chmod(mode)
