"""Where clusters and nodes are kept: one database, SQLite on one machine, Postgres in Compose.

The classes of `cluster` and `fleet` are mapped as they are, so the state machine changes plain objects and
`Store.transaction` writes down what changed, all of it or nothing. What a caller was told is on disk: SQLite runs with
a write-ahead log and full synchronisation; what Postgres needs is in `postgres`. Both give the same answers in the
same order.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    create_engine,
    event,
    inspect,
    make_url,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, class_mapper, defer, lazyload, registry, relationship
from sqlalchemy.types import TypeDecorator, TypeEngine

from drydock_emr.errors import DatabaseUnavailable, DatabaseVersionError
from drydock_emr.node_protocol import CancelOption, Daemons, FailureDetails
from drydock_emr.state import postgres
from drydock_emr.state.cluster import (
    ACTIVE_STATES,
    ActionOnFailure,
    Cluster,
    ClusterState,
    Instance,
    InstanceGroup,
    InstanceRole,
    InstanceState,
    ReasonCode,
    SecurityConfiguration,
    Step,
    StepState,
)
from drydock_emr.state.fleet import NodeRecord

FORMAT_VERSION = 1
"""Of the database. A newer one is refused; an older one is migrated when there is one."""

PATIENCE_SECONDS = 30.0
"""How long a Postgres that is not there yet is waited for at start; then whoever started this process knows of it."""

RETRY_SECONDS = 0.5

E = TypeVar("E", bound=StrEnum)
M = TypeVar("M", bound=BaseModel)

log = logging.getLogger(__name__)


class Store:
    """The database. `url` is SQLAlchemy's, such as `sqlite:////path/emr.db`, without a password.

    Raises DatabaseVersionError when the database was written by another version, ConfigurationError when it cannot
    hold every text, DatabaseUnavailable when it is not there; a Postgres is waited for before that.
    """

    def __init__(self, url: str, password: str | None = None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._unusable_since: float | None = None
        self._engine = _engine(url, password)
        self._is_postgres = self._engine.dialect.name == "postgresql"
        try:
            self._prepare(patience_seconds if self._is_postgres else 0.0)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator["Records"]:
        """Records to read and change; committed at the end of the block, rolled back when it raises.

        Raises DatabaseUnavailable, also from the block's own queries. When it was the commit that failed, it may have
        been done nonetheless, as with any answer that is lost.
        """
        with (
            self._usable(proves_writing=not read_only),
            _Session(self._engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            if self._is_postgres:
                postgres.begin(session, read_only=read_only)
            yield Records(session)

    def check_writable(self) -> None:
        """Prove that the database takes a write. Raises DatabaseUnavailable when it does not."""
        with self._usable(proves_writing=True), self._engine.begin() as connection:
            connection.execute(_meta.update().where(_meta.c.name == "checked_at").values(value=str(time.time())))

    def close(self) -> None:
        self._engine.dispose()

    def _prepare(self, patience_seconds: float) -> None:
        """Make what is missing in the database, all of it or nothing."""
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                with self._usable(proves_writing=True), self._engine.begin() as connection:
                    if self._is_postgres:
                        postgres.prepare(connection)
                    _refuse_other_versions(connection)
                    _mapping.metadata.create_all(connection)
                    _sign(connection)
            except DatabaseUnavailable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                return

    @contextmanager
    def _usable(self, *, proves_writing: bool) -> Iterator[None]:
        """Tell a database that is at fault from a question that is; an outage is logged when it begins and ends."""
        try:
            yield
        except DBAPIError as error:
            if not _is_unusable(error):
                raise
            reason = str(error.orig).partition("\n")[0].strip().rstrip(".")
            if self._unusable_since is None:
                self._unusable_since = time.monotonic()
                log.warning("The database cannot be used: %s. Trying again until it can", reason)
            raise DatabaseUnavailable(reason) from error
        if proves_writing and self._unusable_since is not None:
            log.info("The database can be used again, after %.1f s", time.monotonic() - self._unusable_since)
            self._unusable_since = None


class Records:
    """Clusters and nodes within one transaction."""

    def __init__(self, session: "_Session") -> None:
        self._session = session

    @property
    def wrote(self) -> bool:
        """Whether something was written that was not so before; known once the transaction has ended."""
        return self._session.wrote

    def add(self, record: Cluster | NodeRecord | SecurityConfiguration) -> None:
        self._session.add(record)

    def delete(self, record: SecurityConfiguration) -> None:
        self._session.delete(record)

    def cluster(self, cluster_id: str, account_id: str, region: str) -> Cluster | None:
        """The account's cluster of that id in that region."""
        cluster = self._session.get(Cluster, cluster_id)
        if cluster is None or (cluster.account_id, cluster.region) != (account_id, region):
            return None
        return cluster

    def has_cluster(self, cluster_id: str, account_id: str, region: str) -> bool:
        """Whether the account has a cluster of that id in that region, without reading it."""
        query = select(_clusters.c.id).where(
            _clusters.c.id == cluster_id, _clusters.c.account_id == account_id, _clusters.c.region == region
        )
        return self._session.scalar(query) is not None

    def step(self, step_id: str, cluster_id: str, account_id: str, region: str) -> Step | None:
        """A step of the account's cluster, read without the cluster: this is what everyone polls."""
        sought = {"step_id": step_id, "cluster_id": cluster_id, "account_id": account_id, "region": region}
        return self._session.scalar(_step_of_account, sought)

    def list_steps(
        self,
        cluster_id: str,
        *,
        ids: Sequence[str] = (),
        states: Sequence[StepState] = (),
        newest_first: bool = True,
        begin: int | None = None,
        limit: int,
    ) -> Sequence[Step]:
        """A page of a cluster's steps, from the step with the sequence number `begin` on."""
        query = select(Step).where(_steps.c.cluster_id == cluster_id)
        if ids:
            query = query.where(_steps.c.id.in_(ids))
        if states:
            query = query.where(_steps.c.state.in_(states))
        if begin is not None:
            query = query.where(_steps.c.sequence <= begin if newest_first else _steps.c.sequence >= begin)
        order = _steps.c.sequence.desc() if newest_first else _steps.c.sequence
        return self._session.scalars(query.order_by(order).limit(limit)).all()

    def cluster_by_id(self, cluster_id: str) -> Cluster | None:
        """A cluster of whatever account: for the control plane itself, never for callers."""
        return self._session.get(Cluster, cluster_id)

    def cluster_of_group(self, group_id: str, account_id: str, region: str) -> Cluster | None:
        """The account's cluster that has the instance group."""
        query = (
            select(Cluster)
            .join(_groups, _groups.c.cluster_id == _clusters.c.id)
            .where(_groups.c.id == group_id, _clusters.c.account_id == account_id, _clusters.c.region == region)
        )
        return self._session.scalars(query).one_or_none()

    def security_configuration(self, name: str, account_id: str, region: str) -> SecurityConfiguration | None:
        return self._session.get(SecurityConfiguration, (account_id, region, name))

    def security_configurations(self, account_id: str, region: str) -> Sequence[SecurityConfiguration]:
        """An account's, newest first."""
        query = select(SecurityConfiguration).where(
            _security_configurations.c.account_id == account_id, _security_configurations.c.region == region
        )
        order = (_security_configurations.c.created_at.desc(), _security_configurations.c.name)
        return self._session.scalars(query.order_by(*order)).all()

    def all_clusters(self, *, offset: int, limit: int) -> Sequence[Cluster]:
        """A page of everyone's clusters, newest first: for the console, never for callers."""
        query = select(Cluster).order_by(_clusters.c.created_at.desc(), _clusters.c.id).offset(offset).limit(limit)
        return self._session.scalars(query).all()

    def active_clusters(self) -> Sequence[Cluster]:
        """Clusters that hold or want nodes, oldest first."""
        query = select(Cluster).where(_clusters.c.state.in_(ACTIVE_STATES))
        return self._session.scalars(query.order_by(_clusters.c.created_at, _clusters.c.id)).all()

    def list_clusters(
        self,
        account_id: str,
        region: str,
        *,
        states: Sequence[ClusterState] = (),
        created_after: float | None = None,
        created_before: float | None = None,
        begin: tuple[float, str] | None = None,
        limit: int = 50,
    ) -> Sequence[Cluster]:
        """A page of an account's clusters, newest first, from the one that was created at `begin` with that id on.

        Their requests are not read, their groups, instances and steps only when they are looked at.
        """
        query = select(Cluster).where(_clusters.c.account_id == account_id, _clusters.c.region == region)
        if states:
            query = query.where(_clusters.c.state.in_(states))
        if created_after is not None:
            query = query.where(_clusters.c.created_at > created_after)
        if created_before is not None:
            query = query.where(_clusters.c.created_at < created_before)
        if begin is not None:
            created_at, cluster_id = begin
            query = query.where(
                or_(
                    _clusters.c.created_at < created_at,
                    and_(_clusters.c.created_at == created_at, _clusters.c.id >= cluster_id),
                )
            )
        query = query.order_by(_clusters.c.created_at.desc(), _clusters.c.id).limit(limit)
        return self._session.scalars(query.options(lazyload("*"), defer(_request, raiseload=True))).all()

    def nodes(self) -> Sequence[NodeRecord]:
        return self._session.scalars(select(NodeRecord).order_by(_nodes.c.name)).all()

    def node(self, name: str) -> NodeRecord | None:
        return self._session.get(NodeRecord, name)


class _Session(Session):
    """Keeps in mind whether it wrote anything: setting what is set already is no writing."""

    wrote = False


@event.listens_for(_Session, "before_flush")
def _keep_in_mind(session: _Session, _context: Any, _instances: Any) -> None:
    if session.new or session.deleted or any(map(session.is_modified, session.dirty)):
        session.wrote = True


class _TextColumn(TypeDecorator[str]):
    """Text that both databases keep, compare and sort alike.

    Sorted by code points, as SQLite and Python do, not by the rules of whatever language the Postgres database was
    made for. Postgres has no place for NUL: it becomes U+FFFD in either database. Callers' requests that hold one are
    refused before they come here (`api.shapes`); a node's word of a failure may, and so may an id in an address.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(self.length, collation=collation))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "\N{REPLACEMENT CHARACTER}")


class _EnumColumn(TypeDecorator[E], Generic[E]):
    """An enumeration, stored as its value."""

    impl = String(64)
    cache_ok = True

    def __init__(self, kind: type[E]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> E | None:
        return None if value is None else self.kind(value)


class _MessageColumn(TypeDecorator[M], Generic[M]):
    """A message of the node protocol, stored as JSON."""

    impl = JSON
    cache_ok = True

    def __init__(self, kind: type[M]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: M | None, dialect: Dialect) -> Any:
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> M | None:
        return None if value is None else self.kind.model_validate(value)


_mapping = registry()

_meta = Table(
    "meta", _mapping.metadata, Column("name", _TextColumn(64), primary_key=True), Column("value", _TextColumn(256))
)

_clusters = Table(
    "clusters",
    _mapping.metadata,
    Column("id", _TextColumn(32), primary_key=True),
    Column("account_id", _TextColumn(12), nullable=False),
    Column("region", _TextColumn(32), nullable=False),
    Column("name", _TextColumn(256), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("request", JSON, nullable=False),
    Column("keep_alive", Boolean, nullable=False),
    Column("termination_protected", Boolean, nullable=False),
    Column("step_concurrency", Integer, nullable=False),
    Column("visible_to_all_users", Boolean, nullable=False),
    Column("unhealthy_node_replacement", Boolean, nullable=False),
    Column("idle_timeout_seconds", Integer),
    Column("managed_scaling_policy", JSON(none_as_null=True)),
    Column("tags", JSON, nullable=False),
    Column("state", _EnumColumn(ClusterState), nullable=False, index=True),
    Column("reason_code", _EnumColumn(ReasonCode)),
    Column("reason_message", _TextColumn, nullable=False),
    Column("validated", Boolean, nullable=False),
    Column("ends_with_errors", Boolean, nullable=False),
    Column("ready_at", Float),
    Column("idle_since", Float),
    Column("ended_at", Float),
    Index("clusters_listed", "account_id", "region", "created_at"),
)

_groups = Table(
    "instance_groups",
    _mapping.metadata,
    Column("id", _TextColumn(32), primary_key=True),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False, index=True),
    Column("name", _TextColumn(256), nullable=False),
    Column("role", _EnumColumn(InstanceRole), nullable=False),
    Column("instance_type", _TextColumn(256), nullable=False),
    Column("requested_count", Integer, nullable=False),
    Column("market", _TextColumn(16), nullable=False),
)

_instances = Table(
    "instances",
    _mapping.metadata,
    Column("id", _TextColumn(32), primary_key=True),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False, index=True),
    Column("ec2_instance_id", _TextColumn(32), nullable=False),
    Column("group_id", _TextColumn(32), nullable=False),
    Column("role", _EnumColumn(InstanceRole), nullable=False),
    Column("instance_type", _TextColumn(256), nullable=False),
    Column("node", _TextColumn(64), nullable=False),
    Column("address", _TextColumn(256), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", _EnumColumn(InstanceState), nullable=False),
    Column("ready_at", Float),
    Column("ended_at", Float),
)

_steps = Table(
    "steps",
    _mapping.metadata,
    Column("id", _TextColumn(32), primary_key=True),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("name", _TextColumn(256), nullable=False),
    Column("jar", _TextColumn, nullable=False),
    Column("args", JSON, nullable=False),
    Column("main_class", _TextColumn),
    Column("properties", JSON, nullable=False),
    Column("action_on_failure", _EnumColumn(ActionOnFailure), nullable=False),
    Column("state", _EnumColumn(StepState), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("cancel", _EnumColumn(CancelOption)),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("failure", _MessageColumn(FailureDetails)),
    Index("steps_in_order", "cluster_id", "sequence", unique=True),
)

_nodes = Table(
    "nodes",
    _mapping.metadata,
    Column("name", _TextColumn(64), primary_key=True),
    Column("host", _TextColumn(256), nullable=False),
    Column("rpc_port", Integer, nullable=False),
    Column("tenancy", Integer, nullable=False),
    Column("cluster_id", _TextColumn(32)),
    Column("daemons", _MessageColumn(Daemons), nullable=False),
)

_security_configurations = Table(
    "security_configurations",
    _mapping.metadata,
    Column("account_id", _TextColumn(12), primary_key=True),
    Column("region", _TextColumn(32), primary_key=True),
    Column("name", _TextColumn(1024), primary_key=True),
    Column("document", _TextColumn, nullable=False),
    Column("created_at", Float, nullable=False),
)

_mapping.map_imperatively(SecurityConfiguration, _security_configurations)
_mapping.map_imperatively(InstanceGroup, _groups)
_mapping.map_imperatively(Instance, _instances)
_mapping.map_imperatively(Step, _steps)
_mapping.map_imperatively(NodeRecord, _nodes)
_mapping.map_imperatively(
    Cluster,
    _clusters,
    properties={
        "groups": relationship(InstanceGroup, order_by=_groups.c.id, lazy="selectin"),
        # Made at one moment, so by more than that: the master first, the others always in one order.
        "instances": relationship(
            Instance,
            order_by=[_instances.c.created_at, _instances.c.role != InstanceRole.MASTER, _instances.c.id],
            lazy="selectin",
        ),
        "steps": relationship(Step, order_by=_steps.c.sequence, lazy="select"),
    },
)

_request = class_mapper(Cluster).attrs.request.class_attribute
_step_of_account = (
    select(Step)
    .join(_clusters, _clusters.c.id == _steps.c.cluster_id)
    .where(
        _steps.c.id == bindparam("step_id"),
        _clusters.c.id == bindparam("cluster_id"),
        _clusters.c.account_id == bindparam("account_id"),
        _clusters.c.region == bindparam("region"),
    )
)
"""Built once: that takes as long as to run it."""


def _engine(url: str, password: str | None) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return postgres.engine(parsed, password)
    engine = create_engine(parsed, hide_parameters=True)
    event.listen(engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _is_unusable(error: DBAPIError) -> bool:
    """Whether the database is at fault: away, locked, full, emptied, for reading only. Not what it was asked."""
    return (
        isinstance(error, OperationalError | InterfaceError)
        or error.connection_invalidated
        or error.statement is None  # it was asked nothing yet: there is no connection
        or getattr(error.orig, "sqlstate", None) in _UNUSABLE
    )


_UNUSABLE = {
    "25P03",  # idle_in_transaction_session_timeout: the connection was ended under us
    "25006",  # read_only_sql_transaction: a standby, or one that an operator made so
    "42P01",  # undefined_table: replaced by an empty one; a restart makes the tables
    "42501",  # insufficient_privilege
}
"""What Postgres does not count as an OperationalError, and SQLite does."""


def _refuse_other_versions(connection: Connection) -> None:
    """Before anything is changed."""
    if not inspect(connection).has_table(_meta.name):
        return
    found = connection.execute(select(_meta.c.value).where(_meta.c.name == "format_version")).scalar()
    if found is not None and int(found) != FORMAT_VERSION:
        raise DatabaseVersionError(found=int(found), expected=FORMAT_VERSION)


def _sign(connection: Connection) -> None:
    """Write the format version into a new database."""
    if connection.execute(select(_meta.c.value)).first() is None:
        connection.execute(_meta.insert().values(name="format_version", value=str(FORMAT_VERSION)))
        connection.execute(_meta.insert().values(name="checked_at", value=str(time.time())))
