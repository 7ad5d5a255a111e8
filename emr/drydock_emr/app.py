"""The control plane as a web application: EMR's API, the nodes' endpoint, the console, a health check."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from drydock_emr.api.endpoint import Endpoint
from drydock_emr.api.operations.service import Service
from drydock_emr.config import Config, read_secret
from drydock_emr.console.pages import Console
from drydock_emr.control_plane import ControlPlane
from drydock_emr.errors import DatabaseUnavailable
from drydock_emr.gateway import Gateway
from drydock_emr.nodes_endpoint import NodesEndpoint
from drydock_emr.provisioning import Provisioning
from drydock_emr.state.store import Store


def create(config: Config) -> Starlette:
    """The application.

    Raises ConfigurationError, DatabaseVersionError or DatabaseUnavailable before anything is served.
    """
    gateway_secret = read_secret(config.gateway_secret_file)
    node_secret = read_secret(config.node_secret_file)
    console_token = read_secret(config.console_token_file)
    password_file = config.database_password_file
    store = Store(config.database_url, read_secret(password_file) if password_file else None)
    control_plane = ControlPlane(store, config.log_push_seconds, config.provisioning_timeout_seconds)
    gateway = Gateway(config.gateway_url, gateway_secret)
    endpoint = Endpoint(Service(control_plane, gateway), gateway_secret)
    provisioning = Provisioning(control_plane, gateway, config.gateway_url)
    nodes = NodesEndpoint(control_plane, gateway, node_secret)
    console = Console(control_plane, console_token)

    async def health(_request: Request) -> Response:
        try:
            control_plane.check_writable()
        except DatabaseUnavailable as error:
            return JSONResponse({"status": "failed", "message": error.message}, 503)
        return JSONResponse({"status": "ok"})

    async def unavailable(_request: Request, error: Exception) -> Response:
        """To nodes; EMR's API and the console have forms of their own for it."""
        return JSONResponse({"message": str(error)}, 503)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(control_plane.tick()), asyncio.create_task(provisioning.run())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.close()
        store.close()

    return Starlette(
        routes=[
            Route("/", endpoint.answer, methods=["POST"]),
            Route("/health", health),
            Route("/node/v1/sync", nodes.sync, methods=["POST"]),
            Route("/node/v1/credentials", nodes.credentials),
            Route("/node/v1/nodes", nodes.nodes),
            *console.routes,
        ],
        exception_handlers={DatabaseUnavailable: unavailable},
        lifespan=lifespan,
    )
