"""Real nodes: `drydock-node` processes, and what is asked of them and heard from them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from drydock.toolchain import java
from drydock_emr.node_protocol import (
    BootstrapAction,
    CancelOption,
    ClusterMembership,
    Configuration,
    InstanceGroup,
    Lease,
    LeaseReport,
    LeaseState,
    Phase,
    Report,
)
from tests.node.surroundings import (
    BUCKET,
    LOG_PUSH_SECONDS,
    NODE_SECRET,
    PATHS,
    SPARK_SECRET,
    ControlPlane,
)
from tests.running import free_port, wait_for


@dataclass
class Node:
    """One `drydock-node` process. `host` is its own loopback address."""

    name: str
    host: str
    home: Path
    control_plane: ControlPlane
    gateway_url: str
    ui_port: int = field(default_factory=free_port)
    rpc_port: int = field(default_factory=free_port)
    credentials_port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)  # of its configuration, beside the usual ones
    process: subprocess.Popen[bytes] | None = None

    @property
    def scratch(self) -> Path:
        return self.home / self.name

    @property
    def master_url(self) -> str:
        return f"spark://{self.host}:{self.rpc_port}"

    @property
    def report(self) -> Report | None:
        return self.control_plane.reports.get(self.name)

    @property
    def log(self) -> str:
        return (self.home / f"{self.name}.log").read_text()

    def start(self) -> None:
        for name, secret in (("node.secret", NODE_SECRET), ("spark.secret", SPARK_SECRET)):
            file = self.home / name
            file.write_text(secret)
            file.chmod(0o600)
        workspace = PATHS.environment("workspace")
        archive = {"SPARK_CDS_ARCHIVE": str(PATHS.cds_archive)} if PATHS.cds_archive.exists() else {}
        environment = {
            **{"PATH": os.defpath, "HOME": str(self.home), "NODE_NAME": self.name, "NODE_HOST": self.host},
            **{"NODE_UI_HOST": "127.0.0.1", "NODE_UI_PORT": str(self.ui_port), "NODE_RPC_PORT": str(self.rpc_port)},
            **{"NODE_CREDENTIALS_PORT": str(self.credentials_port), "NODE_SCRATCH": str(self.scratch)},
            **{"EMR_URL": self.control_plane.url, "DRYDOCK_NODE_SECRET_FILE": str(self.home / "node.secret")},
            **{"AWS_ENDPOINT_URL": self.gateway_url, "SPARK_HOME": str(PATHS.spark_home)},
            **{"JAVA_HOME": str(java.SPARK.home(PATHS)), "SPARK_SECRET_FILE": str(self.home / "spark.secret")},
            **{"SPARK_EVENT_LOG_DIR": str(self.home / "spark-events"), "NODE_WORKSPACE": str(workspace)},
            "NODE_PYTHON": str(Path(sys.base_prefix) / "bin" / "python3.11"),
            "DRYDOCK_INSTALL": "node-tests",
            **archive,
            **self.variables,
        }
        with (self.home / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(workspace / "bin" / "python"), "-m", "drydock_emr.node"], env=environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """As the kernel would: nothing is cleaned up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds: float = 15) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(seconds)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()
        for process in self.processes():
            process.send_signal(signal.SIGKILL)

    def processes(self) -> list[psutil.Process]:
        """What its tenancy runs: whose environment says that it lives in this node's scratch."""
        return list(self._environments())

    def processes_of_step(self, step_id: str) -> list[psutil.Process]:
        return [each for each, environment in self._environments().items() if environment.get("EMR_STEP_ID") == step_id]

    def _environments(self) -> dict[psutil.Process, dict[str, str]]:
        """Of its tenancy's processes; each is read once: it may be gone at the next look."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                if environment.get("TMPDIR") == str(self.scratch / "tenancy" / "tmp"):
                    found[process] = environment
        return found

    def await_report(self, condition: Callable[[Report], Any], what: str, seconds: float = 30) -> Report:
        """The first report for which the condition holds, with the node's log when there is none."""
        try:
            wait_for(lambda: self.report is not None and condition(self.report), f"{self.name}: {what}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; last report {self.report}\n{self.log[-6000:]}") from None
        assert self.report is not None
        return self.report

    def await_idle_anew(self, seconds: float = 30) -> None:
        """After `leave`: to serve nobody, clean, in the tenancy that was asked for."""
        tenancy = self.control_plane.assignment(self.name).tenancy
        self.await_report(
            lambda report: report.phase is Phase.IDLE and report.tenancy == tenancy, "to be IDLE anew", seconds
        )

    def join(
        self,
        cluster_id: str,
        *,
        master: "Node | None" = None,
        bootstrap_actions: tuple[BootstrapAction, ...] = (),
        configurations: tuple[Configuration, ...] = (),
        log_uri: str | None = f"s3n://{BUCKET}/logs/",
        release_label: str = "emr-7.13.0",
        groups: tuple[InstanceGroup, ...] = (),
        **assigned: Any,
    ) -> None:
        """Make it a member of a cluster, whose master it is unless told otherwise; `assigned` is asked for beside."""
        master = master or self
        membership = ClusterMembership(
            cluster_id=cluster_id,
            cluster_name="A cluster of the tests",
            instance_id=f"i-{self.name}",
            instance_type="m5.xlarge",
            is_master=master is self,
            master_host=master.host,
            master_url=master.master_url,
            release_label=release_label,
            region="us-east-1",
            log_uri=log_uri,
            bootstrap_actions=bootstrap_actions,
            configurations=configurations,
            created_at=1_767_225_600.0,
            master_instance_id=f"i-{master.name}",
            instance_group_id=next((group.group_id for group in groups), "ig-none"),
            instance_groups=groups,
        )
        self.control_plane.assign(self.name, cluster=membership, log_push_seconds=LOG_PUSH_SECONDS, **assigned)

    def leave(self) -> None:
        """Change hands: no cluster, a new tenancy."""
        tenancy = self.control_plane.assignment(self.name).tenancy + 1
        self.control_plane.assign(self.name, cluster=None, leases=(), tenancy=tenancy)

    def lease(self, step_id: str, *args: str, jar: str = "command-runner.jar", **fields: Any) -> None:
        """Lease one more step to it, or change the lease of that step."""
        present = self.control_plane.assignment(self.name).leases
        lease = Lease(step_id=step_id, attempt=1, name=f"step {step_id}", jar=jar, args=args, **fields)
        others = tuple(other for other in present if other.step_id != step_id)
        self.control_plane.assign(self.name, leases=(*others, lease))

    def cancel(self, step_id: str, option: CancelOption) -> None:
        leases = self.control_plane.assignment(self.name).leases
        changed = (lease.model_copy(update={"cancel": option}) for lease in leases if lease.step_id == step_id)
        self.control_plane.assign(self.name, leases=tuple(changed))

    def lease_report(self, step_id: str) -> LeaseReport | None:
        leases = self.report.leases if self.report else ()
        return next((lease for lease in leases if lease.step_id == step_id), None)

    def await_lease(self, step_id: str, *states: LeaseState, seconds: float = 30) -> LeaseReport:
        states = states or (LeaseState.EXITED, LeaseState.VANISHED)

        def reached(_: Report) -> bool:
            lease = self.lease_report(step_id)
            return lease is not None and lease.state in states

        self.await_report(reached, f"step {step_id} to be {'/'.join(states)}", seconds)
        lease = self.lease_report(step_id)
        assert lease is not None
        return lease
