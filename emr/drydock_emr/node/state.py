"""What a node remembers of its tenancy, in `NODE_SCRATCH/state.json`: enough for a killed node to go on with it."""

import logging
from dataclasses import dataclass, field

from drydock_emr.node.files import read_json, write_json
from drydock_emr.node.layout import NodeLayout
from drydock_emr.node_protocol import ClusterMembership, Daemons

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """A tenancy as far as it is known on disk. `token` is what its processes show to get credentials."""

    tenancy: int
    token: str = field(repr=False)
    daemons: Daemons
    cluster: ClusterMembership | None = None

    @classmethod
    def read(cls, layout: NodeLayout) -> "State | None":
        """The state that a former node left, or None when there is none that can be understood."""
        document = read_json(layout.state_file)
        try:
            return document and cls(
                tenancy=int(document["tenancy"]),
                token=str(document["token"]),
                daemons=Daemons.model_validate(document["daemons"]),
                cluster=document["cluster"] and ClusterMembership.model_validate(document["cluster"]),
            )
        except (KeyError, TypeError, ValueError):
            log.warning("%s cannot be understood; the node begins anew", layout.state_file)
            return None

    def write(self, layout: NodeLayout) -> None:
        write_json(
            layout.state_file,
            {
                "tenancy": self.tenancy,
                "token": self.token,
                "daemons": self.daemons.model_dump(mode="json"),
                "cluster": self.cluster and self.cluster.model_dump(mode="json"),
            },
        )
