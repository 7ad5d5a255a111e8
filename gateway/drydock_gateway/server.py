"""The network side: LocalStack's Twisted server, which binds what it is told and serves nothing unguarded.

LocalStack's own server ignores the host in GATEWAY_LISTEN and binds every interface.
"""

import gc
import logging
from functools import partial
from typing import Any

from localstack.aws import handlers
from localstack.aws.serving.twisted import TLSMultiplexerFactory
from localstack.config import HostAndPort
from localstack.runtime.exceptions import LocalstackExit
from localstack.runtime.server.twisted import TwistedRuntimeServer
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.services.s3 import presigned_url
from rolo.gateway import Gateway
from rolo.serving.twisted import TwistedGateway
from twisted.internet import reactor, ssl
from twisted.internet.error import CannotListenError

from drydock_gateway.authentication import Authenticator
from drydock_gateway.call_log import log_call
from drydock_gateway.emr import ControlPlane
from drydock_gateway.errors import ConfigurationError, StoreUnusable
from drydock_gateway.front_door import FrontDoor
from drydock_gateway.keyring import Keyring
from drydock_gateway.orchestrator_credentials import OrchestratorCredentials
from drydock_gateway.service_sessions import Issuer, ServiceSessions
from drydock_gateway.settings import Settings
from drydock_gateway.store.opened import Store, the_store
from drydock_gateway.store.saving import Saving
from drydock_gateway.store.services import NAMES, Services

EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - not bound here, only told apart from names


class GuardedServer(TwistedRuntimeServer):
    """Serves a gateway behind its front door, on exactly the addresses of GATEWAY_LISTEN."""

    def register(self, gateway: Gateway, listen: list[HostAndPort], ssl_creds: tuple[str, str] | None = None) -> None:
        try:
            services = keep(gateway, the_store())
            guard(gateway, Settings.from_environment(), listen, services)
        except (ConfigurationError, StoreUnusable) as error:
            raise LocalstackExit(f"{error}\n", code=2) from error
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


def keep(gateway: Gateway, store: Store) -> Services:
    """Restore what the store has, and let no change be answered before it is there."""
    services = Services(store.folder)
    for name in NAMES:
        store.savers[name] = lambda *_, name=name: services.save(name)
    if any(store.folder.buckets.iterdir()):
        SERVICE_PLUGINS.require("s3")
    behind_the_services = gateway.request_handlers.index(gateway.service_request_router) + 1
    gateway.request_handlers.insert(behind_the_services, Saving(store.savers))
    return services


def guard(gateway: Gateway, settings: Settings, listen: list[HostAndPort], services: Services) -> None:
    """Put the front door before LocalStack's handlers, and take the back door out."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line a request; so do we
    keyring = Keyring(settings.operator_access_key_id, settings.operator_secret_access_key)
    own_hosts = {address.host for address in listen if address.host not in EVERY_INTERFACE}
    issuer = Issuer(partial(services.save, "sts"))
    front_door = FrontDoor(
        Authenticator(keyring.find),
        ControlPlane(settings.emr_url, settings.gateway_secret),
        ServiceSessions(settings.gateway_secret, issuer),
        OrchestratorCredentials(settings.orchestrator_token, keyring.account_id, settings.orchestrator_role, issuer),
        own_hosts=settings.extra_hosts | own_hosts,
        port=listen[0].port,
    )
    gateway.request_handlers.insert(0, front_door)
    # A request without a key is refused at the front door; nobody is to make one up for it further on.
    gateway.request_handlers.remove(handlers.inject_auth_header_if_missing)
    gateway.response_handlers[gateway.response_handlers.index(handlers.log_response)] = log_call

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
