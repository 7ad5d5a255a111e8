"""What the control plane and its nodes say to each other.

Nodes ask; nothing reaches into a node. A node sends its `Report` to `POST /node/v1/sync`, and the answer is its
`Assignment`: what should now be true of it. The control plane holds the request until the assignment's `version`
differs from the report's `seen_version`, ten seconds at most; a node with news aborts the waiting request and sends a
new one. Both sides state facts and wishes, never events, so a lost, repeated or late message changes nothing, and
either side can be restarted at any moment.

A node authenticates with `Authorization: Bearer <the install's node secret>`. `GET /node/v1/credentials?node=<name>`
answers the instance profile's credentials of the node's present cluster, in the format of AWS's container
credentials endpoint (`AccessKeyId`, `SecretAccessKey`, `Token`, `Expiration`, `RoleArn`).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Frozen; unknown fields are an error, since both sides are of one version."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(StrEnum):
    """How far a node has come with its assignment."""

    PREPARING = "PREPARING"  # wiping scratch, starting daemons; not yet usable
    IDLE = "IDLE"  # daemons up, clean, no cluster
    BOOTSTRAPPING = "BOOTSTRAPPING"  # running its cluster's bootstrap actions
    READY = "READY"  # bootstrapped, daemons up: steps can run
    FAILED = "FAILED"  # a bootstrap action or a daemon failed; `failure` says how


class LeaseState(StrEnum):
    """What became of a step's process."""

    STARTING = "STARTING"  # taken, files being fetched; no process yet
    RUNNING = "RUNNING"
    EXITED = "EXITED"  # `exit_code` is set
    VANISHED = "VANISHED"  # it was started, it is gone, and no exit code was written


class CancelOption(StrEnum):
    """botocore's `StepCancellationOption`."""

    SEND_INTERRUPT = "SEND_INTERRUPT"
    TERMINATE_PROCESS = "TERMINATE_PROCESS"


class BootstrapAction(Message):
    """A script at `path` (s3://, s3a://, s3n:// or file://), run on every node before steps."""

    name: str
    path: str
    args: tuple[str, ...] = ()


class Configuration(Message):
    """An EMR configuration classification, possibly nested."""

    classification: str
    properties: dict[str, str] = {}
    configurations: tuple["Configuration", ...] = ()


class Daemons(Message):
    """The Spark daemons that should be running on a node."""

    master: bool = False
    worker_of: str | None = None  # the master's URL, `spark://host:port`
    worker_cores: int = 4  # what YARN would offer on the instance type asked for
    worker_memory_mib: int = 12288


class InstanceGroup(Message):
    """A group of a cluster's instances, as `job-flow.json` on a node tells of it."""

    group_id: str
    name: str
    role: str  # MASTER, CORE or TASK
    market: str  # ON_DEMAND or SPOT
    instance_type: str
    requested_count: int


class ClusterMembership(Message):
    """The cluster a node belongs to, as far as the node needs to know it."""

    cluster_id: str
    cluster_name: str
    instance_id: str
    instance_type: str
    is_master: bool
    master_host: str
    master_url: str
    release_label: str
    region: str
    log_uri: str | None
    bootstrap_actions: tuple[BootstrapAction, ...] = ()
    configurations: tuple[Configuration, ...] = ()
    created_at: float = 0.0  # epoch seconds
    master_instance_id: str = ""
    instance_group_id: str = ""  # the group this node is in
    instance_groups: tuple[InstanceGroup, ...] = ()


class Lease(Message):
    """Leave to run one step, once. Held until the step has ended; never given twice for one (step, attempt)."""

    step_id: str
    attempt: int
    name: str
    jar: str
    args: tuple[str, ...] = ()
    main_class: str | None = None
    properties: dict[str, str] = {}
    cancel: CancelOption | None = None


class Assignment(Message):
    """What should be true of a node.

    `tenancy` changes whenever the node changes hands: scratch is wiped, credentials are renewed, daemons restart. A
    cluster taking a pre-warmed node whose `daemons` stay the same keeps the tenancy, so nothing restarts.
    """

    version: int
    tenancy: int
    daemons: Daemons
    cluster: ClusterMembership | None = None
    leases: tuple[Lease, ...] = ()
    log_push_seconds: float = 3


class FailureDetails(Message):
    """EMR's FailureDetails of a step."""

    reason: str
    message: str | None = None
    log_file: str | None = None


class LeaseReport(Message):
    """What became of a lease, by what is on the node's disk."""

    step_id: str
    attempt: int
    state: LeaseState
    started_at: float | None = None  # epoch seconds
    ended_at: float | None = None
    exit_code: int | None = None  # negative: the signal that ended it, as Python's subprocess counts
    failure: FailureDetails | None = None


class NodeFailure(Message):
    """Why a node is FAILED. `bootstrap_action` counts from 1; None when a daemon failed."""

    message: str
    bootstrap_action: int | None = None


class Report(Message):
    """What is true of a node now."""

    node: Annotated[str, Field(pattern=r"^[^\x00]{1,64}$")]  # by which it is known for good: as much as is kept
    host: Annotated[str, Field(pattern=r"^[^\x00]{1,256}$")]
    rpc_port: Annotated[int, Field(ge=0, le=65_535)]
    ui_url: str
    seen_version: int  # of the last assignment received; -1 after a restart
    tenancy: int  # what `phase`, `failure` and `alive_workers` speak of; -1 when it has none
    cluster_id: str | None = None
    phase: Phase
    failure: NodeFailure | None = None
    alive_workers: int | None = None  # on a master: workers ALIVE on its page
    leases: tuple[LeaseReport, ...] = ()
    logs_shipped: bool = True  # false while logs of the ending cluster are still to be delivered
