"""The control plane as a node sees it: one long poll, and the instance profile's credentials."""

from typing import Any

import httpx
from pydantic import ValidationError

from drydock_emr.node.config import Config
from drydock_emr.node.errors import ControlPlaneUnreachable
from drydock_emr.node_protocol import Assignment, Report

HOLD_SECONDS = 10.0
"""How long the control plane holds a request; see `node_protocol`."""


class ControlPlane:
    """Speaks `node_protocol`. Nothing of the caller's environment (proxies, certificates) is used: it is loopback."""

    def __init__(self, config: Config) -> None:
        self._name = config.name
        headers = {"Authorization": f"Bearer {config.node_secret}"}
        timeout = httpx.Timeout(10.0, read=HOLD_SECONDS + 10.0)
        self._waiting = httpx.AsyncClient(base_url=config.emr_url, headers=headers, timeout=timeout, trust_env=False)
        self._asking = httpx.Client(base_url=config.emr_url, headers=headers, timeout=5.0, trust_env=False)

    async def sync(self, report: Report) -> Assignment:
        """Report, and wait for the assignment. Raises ControlPlaneUnreachable."""
        try:
            answer = await self._waiting.post(
                "/node/v1/sync", content=report.model_dump_json(), headers={"Content-Type": "application/json"}
            )
            _check(answer)
            return Assignment.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise ControlPlaneUnreachable(_reason(error)) from error

    def credentials(self) -> dict[str, Any]:
        """The instance profile's credentials. Raises ControlPlaneUnreachable. Blocks; any thread may call it."""
        try:
            answer = self._asking.get("/node/v1/credentials", params={"node": self._name})
            _check(answer)
            document: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ControlPlaneUnreachable(_reason(error)) from error
        return document

    async def close(self) -> None:
        self._asking.close()
        await self._waiting.aclose()


def _check(answer: httpx.Response) -> None:
    if answer.status_code != httpx.codes.OK:
        request = answer.request
        raise ControlPlaneUnreachable(
            f"{request.method} {request.url.path} was answered with {answer.status_code}: {answer.text[:300]}"
        )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
