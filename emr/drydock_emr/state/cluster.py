"""Clusters, steps and instances as plain data.

What may happen to them is in `transitions`; how they are kept, in `store`.

States, reason codes and messages are EMR's; the messages are those recorded from the service.
Times are epoch seconds.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from drydock_emr.node_protocol import CancelOption, FailureDetails


class ClusterState(StrEnum):
    STARTING = "STARTING"
    BOOTSTRAPPING = "BOOTSTRAPPING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    TERMINATED_WITH_ERRORS = "TERMINATED_WITH_ERRORS"


class ReasonCode(StrEnum):
    INTERNAL_ERROR = "INTERNAL_ERROR"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    INSTANCE_FAILURE = "INSTANCE_FAILURE"
    INSTANCE_FLEET_TIMEOUT = "INSTANCE_FLEET_TIMEOUT"
    BOOTSTRAP_FAILURE = "BOOTSTRAP_FAILURE"
    USER_REQUEST = "USER_REQUEST"
    STEP_FAILURE = "STEP_FAILURE"
    ALL_STEPS_COMPLETED = "ALL_STEPS_COMPLETED"


class StepState(StrEnum):
    PENDING = "PENDING"
    CANCEL_PENDING = "CANCEL_PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


class ActionOnFailure(StrEnum):
    TERMINATE_JOB_FLOW = "TERMINATE_JOB_FLOW"
    TERMINATE_CLUSTER = "TERMINATE_CLUSTER"
    CANCEL_AND_WAIT = "CANCEL_AND_WAIT"
    CONTINUE = "CONTINUE"


class InstanceState(StrEnum):
    AWAITING_FULFILLMENT = "AWAITING_FULFILLMENT"
    PROVISIONING = "PROVISIONING"
    BOOTSTRAPPING = "BOOTSTRAPPING"
    RUNNING = "RUNNING"
    TERMINATED = "TERMINATED"


class InstanceRole(StrEnum):
    MASTER = "MASTER"
    CORE = "CORE"
    TASK = "TASK"


ACTIVE_STATES = frozenset(
    {
        ClusterState.STARTING,
        ClusterState.BOOTSTRAPPING,
        ClusterState.RUNNING,
        ClusterState.WAITING,
        ClusterState.TERMINATING,
    }
)
"""A cluster in these has, or waits for, nodes."""

ACCEPTING_STATES = ACTIVE_STATES - {ClusterState.TERMINATING}
"""A cluster in these takes steps."""

ENDED_STATES = frozenset({ClusterState.TERMINATED, ClusterState.TERMINATED_WITH_ERRORS})

UNFINISHED_STEP_STATES = frozenset({StepState.PENDING, StepState.CANCEL_PENDING, StepState.RUNNING})
LEASED_STEP_STATES = frozenset({StepState.CANCEL_PENDING, StepState.RUNNING})


@dataclass(eq=False)
class Step:
    """A step, and the lease under which it runs once it has left PENDING."""

    id: str
    name: str
    jar: str
    created_at: float
    sequence: int  # order of submission within the cluster
    args: list[str] = field(default_factory=list)
    main_class: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    action_on_failure: ActionOnFailure = ActionOnFailure.TERMINATE_CLUSTER
    state: StepState = StepState.PENDING
    attempt: int = 0  # 1 once a lease was given; a step is never run twice
    cancel: CancelOption | None = None
    started_at: float | None = None
    ended_at: float | None = None
    failure: FailureDetails | None = None


@dataclass(eq=False)
class InstanceGroup:
    id: str
    name: str
    role: InstanceRole
    instance_type: str
    requested_count: int
    market: str = "ON_DEMAND"


@dataclass(eq=False)
class Instance:
    """A node's membership of a cluster: a new machine in EC2's eyes, whichever local node plays it."""

    id: str
    ec2_instance_id: str
    group_id: str
    role: InstanceRole
    instance_type: str
    node: str
    address: str
    created_at: float
    state: InstanceState = InstanceState.PROVISIONING
    ready_at: float | None = None
    ended_at: float | None = None


@dataclass(eq=False)
class SecurityConfiguration:
    """A named JSON document of an account and region."""

    account_id: str
    region: str
    name: str
    document: str
    created_at: float


@dataclass(eq=False)
class Cluster:
    """A cluster with all that belongs to it.

    `request` is RunJobFlow's input without its steps, for what has no field of its own.
    """

    id: str
    account_id: str
    region: str
    name: str
    created_at: float
    request: dict[str, Any]
    keep_alive: bool = False
    termination_protected: bool = False
    step_concurrency: int = 1
    visible_to_all_users: bool = True
    unhealthy_node_replacement: bool = False
    idle_timeout_seconds: int | None = None
    managed_scaling_policy: dict[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    state: ClusterState = ClusterState.STARTING
    reason_code: ReasonCode | None = None
    reason_message: str = "Provisioning Amazon EC2 capacity"
    validated: bool = False  # service role, subnet, security groups and instance types were found good
    ends_with_errors: bool = False  # what TERMINATING leads to
    ready_at: float | None = None
    idle_since: float | None = None
    ended_at: float | None = None
    groups: list[InstanceGroup] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"arn:aws:elasticmapreduce:{self.region}:{self.account_id}:cluster/{self.id}"

    @property
    def master(self) -> Instance | None:
        return next((i for i in self.instances if i.role is InstanceRole.MASTER), None)

    @property
    def live_instances(self) -> list[Instance]:
        return [instance for instance in self.instances if instance.state is not InstanceState.TERMINATED]

    @property
    def unfinished_steps(self) -> list[Step]:
        return [step for step in self.steps if step.state in UNFINISHED_STEP_STATES]

    @property
    def worker_groups(self) -> list[InstanceGroup]:
        return [group for group in self.groups if group.role is not InstanceRole.MASTER]

    def step(self, step_id: str) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def group(self, role: InstanceRole) -> InstanceGroup | None:
        return next((group for group in self.groups if group.role is role), None)
