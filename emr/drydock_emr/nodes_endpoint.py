"""Where nodes speak to the control plane; see `node_protocol`."""

import hmac

from pydantic import ValidationError as MalformedReport
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from drydock_emr.control_plane import ControlPlane
from drydock_emr.errors import ServiceUnavailable
from drydock_emr.gateway import Gateway, RoleRefused
from drydock_emr.node_protocol import Report


class NodesEndpoint:
    """`/node/v1/…`, for bearers of the install's node secret."""

    def __init__(self, control_plane: ControlPlane, gateway: Gateway, node_secret: str) -> None:
        self._control_plane = control_plane
        self._gateway = gateway
        self._expected = f"Bearer {node_secret}".encode()

    async def sync(self, request: Request) -> Response:
        if not self._is_node(request):
            return _refusal()
        try:
            report = Report.model_validate_json(await request.body())
        except MalformedReport as error:
            return JSONResponse({"message": f"The report is malformed: {error}"}, 400)
        assignment = await self._control_plane.sync(report)
        return Response(assignment.model_dump_json(), media_type="application/json")

    async def credentials(self, request: Request) -> Response:
        if not self._is_node(request):
            return _refusal()
        node = request.query_params.get("node", "")
        cluster = self._control_plane.cluster_served_by(node)
        if cluster is None:
            return JSONResponse({"message": f"Node {node!r} serves no cluster."}, 404)
        instance = next(i for i in cluster.instances if i.node == node)
        try:
            session = await self._gateway.service_session(
                "ec2.amazonaws.com",
                account_id=cluster.account_id,
                region=cluster.region,
                session_name=instance.ec2_instance_id,
                instance_profile=cluster.request["JobFlowRole"],
            )
        except RoleRefused as error:
            return JSONResponse({"message": str(error)}, 403)
        except ServiceUnavailable as error:
            return JSONResponse({"message": error.message}, 503)
        return JSONResponse(session)

    async def nodes(self, request: Request) -> Response:
        if not self._is_node(request):
            return _refusal()
        reports = self._control_plane.reports()
        return JSONResponse([report.model_dump(mode="json") for _, report in sorted(reports.items())])

    def _is_node(self, request: Request) -> bool:
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), self._expected)


def _refusal() -> Response:
    return JSONResponse({"message": "Only nodes that bear the install's node secret are served here."}, 401)
