"""The network side: LocalStack's Twisted server, which binds what it is told and serves nothing unguarded.

LocalStack's own server ignores the host in GATEWAY_LISTEN and binds every interface.
"""

import gc
import logging
import shutil
from pathlib import Path
from typing import Any

from localstack import config
from localstack.aws import handlers
from localstack.aws.serving.twisted import TLSMultiplexerFactory
from localstack.config import HostAndPort
from localstack.runtime.exceptions import LocalstackExit
from localstack.runtime.server.twisted import TwistedRuntimeServer
from localstack.services.s3 import presigned_url
from localstack.services.s3 import provider as s3_provider
from rolo.gateway import Gateway
from rolo.serving.twisted import TwistedGateway
from twisted.internet import reactor, ssl
from twisted.internet.error import CannotListenError

from drydock_gateway.authentication import Authenticator
from drydock_gateway.emr import ControlPlane
from drydock_gateway.errors import ConfigurationError
from drydock_gateway.front_door import FrontDoor
from drydock_gateway.keyring import Keyring
from drydock_gateway.orchestrator_credentials import OrchestratorCredentials
from drydock_gateway.service_sessions import ServiceSessions
from drydock_gateway.settings import Settings

EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - not bound here, only told apart from names


class GuardedServer(TwistedRuntimeServer):
    """Serves a gateway behind its front door, on exactly the addresses of GATEWAY_LISTEN."""

    def register(self, gateway: Gateway, listen: list[HostAndPort], ssl_creds: tuple[str, str] | None = None) -> None:
        try:
            guard(gateway, Settings.from_environment(), listen)
        except ConfigurationError as error:
            raise LocalstackExit(f"{error}\n", code=2) from error
        # A fixed folder in /tmp otherwise, the same for every LocalStack on the machine.
        objects = Path(config.dirs.tmp) / "s3"
        shutil.rmtree(objects, ignore_errors=True)  # of a former process that was killed: nothing refers to them
        s3_provider.DEFAULT_S3_TMP_DIR = str(objects)
        factory = _protocol_factory(gateway, ssl_creds)
        for address in listen:
            try:
                reactor.listenTCP(address.port, factory, interface=address.host)
            except CannotListenError as error:
                raise LocalstackExit(
                    f"The gateway cannot listen on {address.host}:{address.port}: {error.socketError.strerror}.\n",
                    code=1,
                ) from error

    def run(self) -> None:
        super().run()
        # The process ends now. Python would first look through all it holds, EC2's catalogues among it, for cycles.
        gc.freeze()


def guard(gateway: Gateway, settings: Settings, listen: list[HostAndPort]) -> None:
    """Put the front door before LocalStack's handlers, and take the back door out."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line a request; so do we
    keyring = Keyring(settings.operator_access_key_id, settings.operator_secret_access_key)
    own_hosts = {address.host for address in listen if address.host not in EVERY_INTERFACE}
    front_door = FrontDoor(
        Authenticator(keyring.find),
        ControlPlane(settings.emr_url, settings.gateway_secret),
        ServiceSessions(settings.gateway_secret),
        OrchestratorCredentials(settings.orchestrator_token, keyring.account_id, settings.orchestrator_role),
        own_hosts=settings.extra_hosts | own_hosts,
        port=listen[0].port,
    )
    gateway.request_handlers.insert(0, front_door)
    # A request without a key is refused at the front door; nobody is to make one up for it further on.
    gateway.request_handlers.remove(handlers.inject_auth_header_if_missing)

    def secret_of(access_key_id: str, _region: str) -> str | None:
        key = keyring.find(access_key_id)
        return key.secret_access_key if key else None

    # S3 looks at presigned URLs again, and would complain in the log about keys that are not in LocalStack's IAM.
    presigned_url.get_secret_access_key_from_access_key_id = secret_of


def _protocol_factory(gateway: Gateway, ssl_creds: tuple[str, str] | None) -> Any:
    site = TwistedGateway(gateway)
    if ssl_creds is None:
        return site
    certificate_file, key_file = ssl_creds
    context_factory = ssl.DefaultOpenSSLContextFactory(key_file, certificate_file)
    context_factory.getContext().use_certificate_chain_file(certificate_file)
    return TLSMultiplexerFactory(context_factory, False, site)
