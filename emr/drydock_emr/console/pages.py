"""The web console: what EMR's console shows of clusters and their steps, to read only.

Whoever has the install's console token may look: `/?token=…` exchanges it for a cookie that scripts and other sites
cannot use.
"""

import hmac
import shlex
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from drydock_emr.control_plane import ControlPlane
from drydock_emr.errors import DatabaseUnavailable
from drydock_emr.state.cluster import ACTIVE_STATES, Cluster, Step

COOKIE = "drydock_console"
PAGE_SIZE = 50

Page = Callable[[Request], Awaitable[Response]]


class Console:
    """Pages over the control plane's records."""

    def __init__(self, control_plane: ControlPlane, token: str) -> None:
        self._control_plane = control_plane
        self._token = token
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(moment=_moment, duration=_duration, shell=shlex.join)

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/", self.enter),
            Route("/clusters", self._shown(self.clusters)),
            Route("/clusters/{cluster_id}", self._shown(self.cluster)),
        ]

    async def enter(self, request: Request) -> Response:
        token = request.query_params.get("token")
        if token is None:
            return RedirectResponse("/clusters", 303)
        if not self._is_token(token):
            return self._refusal()
        response = RedirectResponse("/clusters", 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
        return response

    async def clusters(self, request: Request) -> Response:
        if not self._is_token(request.cookies.get(COOKIE)):
            return self._refusal()
        page = request.query_params.get("page", "1")
        number = int(page) if page.isdecimal() and 0 < len(page) < 7 else 1
        with self._control_plane.reading() as records:
            clusters = records.all_clusters(offset=(number - 1) * PAGE_SIZE, limit=PAGE_SIZE + 1)
            return self._page(
                "clusters.html",
                clusters=clusters[:PAGE_SIZE],
                number=number,
                has_more=len(clusters) > PAGE_SIZE,
                nodes=sorted(self._control_plane.reports().items()),
                live=any(cluster.state in ACTIVE_STATES for cluster in clusters),
            )

    async def cluster(self, request: Request) -> Response:
        if not self._is_token(request.cookies.get(COOKIE)):
            return self._refusal()
        cluster_id = request.path_params["cluster_id"]
        with self._control_plane.reading() as records:
            cluster = records.cluster_by_id(cluster_id)
            if cluster is None:
                return self._page("missing.html", status=404, cluster_id=cluster_id, live=False)
            return self._page(
                "cluster.html",
                cluster=cluster,
                groups={group.id: group for group in cluster.groups},
                uis={name: report.ui_url for name, report in self._control_plane.reports().items()},
                log_folder=lambda step: _log_folder(cluster, step),
                live=cluster.state in ACTIVE_STATES,
            )

    def _shown(self, page: Page) -> Page:
        """The page, or one that says why it cannot be shown and looks again by itself."""

        async def answer(request: Request) -> Response:
            try:
                return await page(request)
            except DatabaseUnavailable as error:
                return self._page("unavailable.html", status=503, message=error.message, live=True)

        return answer

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
        }
        return HTMLResponse(self._templates.get_template(name).render(**values), status, headers)

    def _refusal(self) -> Response:
        return self._page("refusal.html", status=401, live=False)

    def _is_token(self, token: str | None) -> bool:
        return token is not None and hmac.compare_digest(token.encode(), self._token.encode())


def _log_folder(cluster: Cluster, step: Step) -> str | None:
    log_uri = cluster.request.get("LogUri")
    return f"{log_uri.rstrip('/')}/{cluster.id}/steps/{step.id}/" if log_uri else None


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _duration(start: float | None, end: float | None) -> str:
    if start is None:
        return "–"
    seconds = int((end if end is not None else datetime.now(UTC).timestamp()) - start)
    minutes, seconds = divmod(max(0, seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
