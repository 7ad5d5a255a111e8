"""Terraform on an account: what `terraform/` says becomes true of it.

Everything that Terraform is told stands here: the profile, what `versions.toml` fixes, the names' prefix, the jobs'
revision. Its state is in S3 in both profiles, and lives and dies with what it describes.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from drydock import aws, jobs, output, processes, settings, state_bucket, terraform_mirror
from drydock.errors import SetupError
from drydock.site import INPUT_BUCKET, LOCAL, PLATFORM_CONFIG_KEY, PLATFORM_CONFIG_URI, Site
from drydock.terraform_process import Changes, Event, Terraform, environment
from drydock.toolchain.stamps import Stamp, fingerprint, write_file

CONFIGURATION = settings.REPOSITORY / "terraform"
LOCK = ".terraform.lock.hcl"
STATE_KEY = "key/terraform.tfstate"  # as in versions.tf

# The AWS provider waits ten seconds after it has set an attribute of the VPC, and ten more for the subnet's. All else
# is done meanwhile.
PARALLELISM = 30


def apply(where: Site, revision: jobs.Revision | jobs.Named, *, replace: Iterable[str] = ()) -> dict[str, Any]:
    """Make true what `terraform/` says, and return Terraform's outputs by name. The account has to answer.

    `replace` names resources to make anew although Terraform finds nothing wrong with them. Doing it again changes
    nothing and takes some seconds. Raises DrydockError when it cannot be done; what was made by then stays, and the
    next run goes on from there. On KeyboardInterrupt Terraform is waited for while it finishes and saves its state;
    then the interrupt goes on.
    """
    started = time.monotonic()
    with opened(where, revision) as terraform, _Progress() as progress:
        result = terraform.run(
            "apply",
            "-auto-approve",
            f"-parallelism={PARALLELISM}",
            *(f"-replace={address}" for address in replace),
            *profile_arguments(where),
            on_event=progress.show,
        )
    _report(result.changes, time.monotonic() - started)
    return result.outputs


def run_plan(process: Terraform, plan: Path, total: int) -> dict[str, Any]:
    """Apply a plan of before, which has so many changes, exactly as it is; the outputs. As `apply` otherwise."""
    started = time.monotonic()
    with _Progress(total) as progress:
        result = process.run("apply", f"-parallelism={PARALLELISM}", plan.name, on_event=progress.show)
    _report(result.changes, time.monotonic() - started)
    return result.outputs


def applied_stamp(paths: settings.Paths, runtime_name: str = "") -> Path:
    """The file that says what was applied last; it is there from an apply's end until the next one begins.

    Each runtime's gateway has a store of its own; without a name it is that of the running platform.
    """
    return paths.terraform / f"applied-{runtime_name or settings.running_platform().get('runtime', 'process')}.stamp"


def why_not_applied(paths: settings.Paths, ports: settings.Ports) -> str | None:
    """Why nothing can be run on the gateway although it works: a phrase that follows its name, with what to do. None
    when the platform's description is there. Raises ServiceFailed when the gateway does not answer as it should."""
    s3 = aws.operator_client("s3", paths, ports)
    lost: str | None = None
    with aws.explained(ports, f"read `{PLATFORM_CONFIG_URI}`"):
        try:
            s3.get_object(Bucket=INPUT_BUCKET, Key=PLATFORM_CONFIG_KEY)["Body"].close()
        except ClientError as error:
            lost = error.response["Error"]["Code"]
            if lost not in ("NoSuchBucket", "NoSuchKey"):
                raise
    if not applied_stamp(paths).exists():
        return "it holds no platform yet: `make local-up` has not come to its end; it goes on from there"
    if lost == "NoSuchBucket":
        return "it is empty: `make local-up` makes the platform again, the days' data excepted"
    if lost:
        return f"`{PLATFORM_CONFIG_URI}` is not there any more: `make local-up` makes it again"
    return None


def working_directory(directory: Path) -> Path:
    """Make `directory` show all of `terraform/` by links, for Terraform to run in, and return it.

    Terraform writes a lock file and its own folder into the folder it runs in: so they are not in the checkout.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for link in directory.iterdir():
        if link.is_symlink():
            link.unlink()
    for entry in CONFIGURATION.iterdir():
        if not entry.name.startswith("."):
            (directory / entry.name).symlink_to(entry)
    return directory


def profile_arguments(where: Site) -> tuple[str, ...]:
    """What `plan`, `apply` and `destroy` have to be given; what comes later counts."""
    return tuple(f"-var-file={file}" for file in (f"profiles/{where.profile}.tfvars", *where.variable_files))


@contextmanager
def opened(where: Site, revision: jobs.Revision | jobs.Named) -> Iterator[Terraform]:
    """Terraform, initialised, with its variables and credentials, for as long as the context lasts."""
    _check_pins()
    directory = working_directory(where.directory / "configuration")
    write_file(directory / "drydock.auto.tfvars.json", json.dumps(_variables(where, revision)))
    with where.account.environment(where.directory) as aws_environment:
        terraform = Terraform(
            directory=directory,
            environment={**_environment(where), **aws_environment},
            log=where.log,
            unlock=f"{where.aws_cli} s3 rm s3://{where.state_bucket}/{STATE_KEY}.tflock",
            release=partial(_release_lock, where),
        )
        state_bucket.ensure(where)
        _initialise(terraform, where)
        yield terraform


def _environment(where: Site) -> dict[str, str]:
    """On AWS without the mark by which `local-down` finds what it has to end."""
    variables = environment(where.paths)
    return variables if where.profile == LOCAL else processes.unmarked(variables)


def _check_pins() -> None:
    """Terraform cannot read versions.toml: hold what it pins itself to what stands there."""
    pinned = (CONFIGURATION / "versions.tf").read_text()
    for what, pattern, expected in (
        ("Terraform", r'required_version\s*=\s*">= ([^"]+)"', settings.versions()["terraform"]["minimum"]),
        ("the AWS provider", r'\sversion\s*=\s*"([^"]+)"', settings.versions()["terraform"]["aws_provider"]),
    ):
        found = re.search(pattern, pinned)
        if found is None or found[1] != expected:
            raise SetupError(
                f"terraform/versions.tf asks for {what} {found[1] if found else '(nothing)'}, versions.toml for "
                f"{expected}. Make them the same."
            )


def _variables(where: Site, revision: jobs.Revision | jobs.Named) -> dict[str, Any]:
    emr, host = settings.versions()["emr"], settings.versions()["kestra_host"]
    return {
        "name_prefix": where.name_prefix,
        "region": where.account.region,
        "release_label": emr["release"],
        "python_version": emr["python"],
        "application_revision": revision.name,
        "wheels_revision": revision.wheels,
        "docker": {
            "engine_minimum": settings.versions()["docker"]["engine"],
            "compose_version": host["compose"],
            "compose_sha256": host["compose_sha256"],
        },
    }


def _release_lock(where: Site) -> None:
    with where.account.explained("release the lock on Terraform's state"):
        where.account.client("s3").delete_object(Bucket=where.state_bucket, Key=f"{STATE_KEY}.tflock")


def _initialise(terraform: Terraform, where: Site) -> None:
    """`terraform init`, unless nothing that it looks at has changed since it last succeeded."""
    mirror = terraform_mirror.find(settings.versions()["terraform"]["aws_provider"])
    # In the path: S3's virtual hosts have no name where the endpoint is an address.
    backend = {"bucket": where.state_bucket, "region": where.account.region, "use_path_style": "true"}
    initialised = Stamp(terraform.directory / ".terraform" / "drydock.stamp", _fingerprint(mirror, backend))
    if initialised.matches and (terraform.directory / LOCK).is_file():
        return
    # The lock is never committed, so an old one decides nothing: versions.tf pins the provider exactly.
    arguments = ["-reconfigure", "-upgrade", *(f"-backend-config={name}={value}" for name, value in backend.items())]
    if mirror is not None:
        arguments.append(f"-plugin-dir={mirror}")
    else:
        cache = where.paths.cache / "terraform"
        cache.mkdir(parents=True, exist_ok=True)
        terraform.environment["TF_PLUGIN_CACHE_DIR"] = str(cache)
        terraform.environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"  # else it is not used at all
    with output.stage("Terraform: fetching its provider" if mirror is None else "Terraform: initialising"):
        terraform.run("init", *arguments)
    initialised.write()


def _fingerprint(mirror: Path | None, backend: dict[str, str]) -> str:
    files = sorted(CONFIGURATION.rglob("*.tf"))
    return fingerprint(str(mirror), str(backend), *(str(file.relative_to(CONFIGURATION)) for file in files), *files)


class _Progress:
    """How far an apply has come: a line that changes where there is a terminal, else one line when it begins."""

    def __init__(self, total: int = 0) -> None:
        self._status = output.CONSOLE.status("Terraform: comparing what is with what should be")
        self._total = total
        self._done = 0

    def __enter__(self) -> "_Progress":
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def show(self, event: Event) -> None:
        if event["type"] == "change_summary" and event["changes"]["operation"] == "plan":
            changes = Changes.of(event)
            self._total = changes.total
            if self._total and not output.CONSOLE.is_terminal:
                output.say(f"… Terraform: making {changes.total} change{'' if changes.total == 1 else 's'}")
        elif event["type"] == "apply_complete" and event["hook"]["action"] != "read":
            self._done += 1
        elif event["type"] not in ("apply_start", "apply_progress"):
            return
        if self._total:
            self._status.update(f"Terraform: {self._done} of {self._total} changes made")


def _report(changes: Changes, seconds: float) -> None:
    if changes.total:
        output.done(f"Terraform: {changes} ({seconds:.0f} s)")
    else:
        output.done(f"Terraform: everything is as it should be ({seconds:.0f} s)")
