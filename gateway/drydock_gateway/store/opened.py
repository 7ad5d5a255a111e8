"""The store of this process: opened once, for the plug-ins that LocalStack calls without arguments."""

from dataclasses import dataclass, field
from functools import cache

from localstack.aws.accounts import get_account_id_from_access_key_id

from drydock_gateway.settings import Settings
from drydock_gateway.store.folder import Folder
from drydock_gateway.store.saving import Saver


@dataclass(frozen=True)
class Store:
    folder: Folder
    account_id: str  # the operator's
    savers: dict[str, Saver] = field(default_factory=dict)


@cache
def the_store() -> Store:
    """Raises ConfigurationError or StoreUnusable."""
    settings = Settings.from_environment()
    return Store(Folder(settings.store), get_account_id_from_access_key_id(settings.operator_access_key_id))
