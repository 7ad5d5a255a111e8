"""Where LocalStack finds us: the entry points of this package (see pyproject.toml)."""

import sys
from pathlib import Path

from localstack import config
from localstack.runtime import hooks
from localstack.runtime.server.core import RuntimeServer, RuntimeServerPlugin
from localstack.services.plugins import SERVICE_PLUGINS, Service, aws_provider

SERVER_NAME = "drydock"
# Where set-up has put the index of AWS's services, which LocalStack looks for among what its image was built with.
CATALOG = Path(sys.prefix) / "share" / "localstack"


@hooks.on_infra_start(priority=100)
def guard_gateway() -> None:
    """Whatever server was configured, it is ours that serves.

    GATEWAY_SERVER=drydock in the environment says the same, and besides keeps LocalStack from starting when this
    package cannot be loaded: LocalStack logs a hook that fails to load, and goes on without it.
    """
    config.GATEWAY_SERVER = SERVER_NAME
    if CATALOG.is_dir():
        config.dirs.static_libs = str(CATALOG)
    SERVICE_PLUGINS.require("emr")  # for /_localstack/health to list it as running


class GuardedServerPlugin(RuntimeServerPlugin):
    name = SERVER_NAME

    def load(self, *_args: object, **_kwargs: object) -> RuntimeServer:
        from drydock_gateway.server import GuardedServer  # late: it brings Twisted's reactor into being

        return GuardedServer()


class EmrService(Service):
    """What /_localstack/health knows of EMR. Its requests never come this far: the front door passes them on."""

    def is_enabled(self) -> bool:
        return True  # SERVICES names what LocalStack serves itself


@aws_provider()
def emr() -> Service:
    return EmrService("emr")


@aws_provider(name="drydock")
def s3() -> Service:
    from drydock_gateway.store.opened import the_store  # late, as LocalStack's own: S3 takes a second to load
    from drydock_gateway.store.s3 import DurableS3Provider

    store = the_store()
    provider = DurableS3Provider(store.folder, store.account_id)
    store.savers["s3"] = provider.save
    return Service.for_provider(provider)
