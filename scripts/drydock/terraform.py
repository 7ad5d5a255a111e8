"""Terraform on the local platform: what `terraform/` says becomes true of the gateway, and the jobs are uploaded.

Everything that Terraform is told stands here: the profile, what `versions.toml` fixes, and where the jobs, their
package and their wheels lie. Its state is in S3, as on AWS, and lives and dies with what it describes.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from drydock import aws, output, reproducible_zip, settings, terraform_mirror
from drydock.errors import SetupError
from drydock.terraform_process import Changes, Event, Terraform, environment
from drydock.toolchain.stamps import Stamp, fingerprint, write_file

CONFIGURATION = settings.REPOSITORY / "terraform"
JOBS = settings.REPOSITORY / "spark"
LOCK = ".terraform.lock.hcl"
PROFILE = "local"
STATE_BUCKET = "spark-kestra-platform"  # as in profiles/local.tfbackend
STATE_KEY = "key/terraform.tfstate"  # as in versions.tf
INPUT_BUCKET = "spark-job-data-input"
PLATFORM_CONFIG_KEY = "config/platform.json"
PLATFORM_CONFIG_URI = f"s3://{INPUT_BUCKET}/{PLATFORM_CONFIG_KEY}"

# The AWS provider waits ten seconds after it has set an attribute of the VPC, and ten more for the subnet's. All else
# is done meanwhile.
PARALLELISM = 30


def apply(
    paths: settings.Paths, ports: settings.Ports, *, jobs_dir: Path = JOBS, replace: Iterable[str] = ()
) -> dict[str, Any]:
    """Make true what `terraform/` says, and return Terraform's outputs by name. The gateway has to be up.

    `replace` names resources to make anew although Terraform finds nothing wrong with them. Doing it again changes
    nothing and takes some seconds. Raises DrydockError when it cannot be done; what was made by then stays, and the
    next run goes on from there. On KeyboardInterrupt Terraform is waited for while it finishes and saves its state;
    then the interrupt goes on.
    """
    started = time.monotonic()
    with _terraform(paths, ports, jobs_dir) as terraform, _Progress() as progress:
        result = terraform.run(
            "apply",
            "-auto-approve",
            f"-parallelism={PARALLELISM}",
            *(f"-replace={address}" for address in replace),
            *_PROFILE_ARGUMENTS,
            on_event=progress.show,
        )
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
    with aws.explained(ports, f"read `{PLATFORM_CONFIG_URI}`"):
        try:
            s3.get_object(Bucket=INPUT_BUCKET, Key=PLATFORM_CONFIG_KEY)["Body"].close()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchBucket", "NoSuchKey"):
                raise
            lost_all = error.response["Error"]["Code"] == "NoSuchBucket"
        else:
            return None
    if not applied_stamp(paths).exists():
        return "it holds no platform yet: `make local-up` has not come to its end; it goes on from there"
    if lost_all:
        return "it is empty: `make local-up` makes the platform again, the days' data excepted"
    return f"`{PLATFORM_CONFIG_URI}` is not there any more: `make local-up` makes it again"


def platform_config(paths: settings.Paths, ports: settings.Ports) -> dict[str, Any]:
    """The description of the platform that `apply` has put into S3, and the driver reads."""
    s3 = aws.operator_client("s3", paths, ports)
    with aws.explained(ports, f"read `{PLATFORM_CONFIG_URI}`"):
        try:
            answer = s3.get_object(Bucket=INPUT_BUCKET, Key=PLATFORM_CONFIG_KEY)
            config: dict[str, Any] = json.loads(answer["Body"].read())
        except ClientError as error:
            raise SetupError(f"`{PLATFORM_CONFIG_URI}` cannot be read ({error}). `make local-up` makes it.") from error
    return config


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


_PROFILE_ARGUMENTS = (f"-var-file=profiles/{PROFILE}.tfvars",)


@contextmanager
def _terraform(paths: settings.Paths, ports: settings.Ports, jobs_dir: Path) -> Iterator[Terraform]:
    """Terraform, initialised, with its variables and credentials, for as long as the context lasts."""
    _check_pins()
    data = paths.terraform / PROFILE
    directory = working_directory(data / "configuration")
    write_file(directory / "drydock.auto.tfvars.json", json.dumps(_variables(paths, data, directory, jobs_dir)))
    with aws.operator_environment(paths, ports, data) as aws_environment:
        terraform = Terraform(
            directory=directory,
            environment={**environment(paths), **aws_environment},
            log=paths.logs / "terraform.log",
            state_lock_uri=f"s3://{STATE_BUCKET}/{STATE_KEY}.tflock",
        )
        _ensure_state_bucket(paths, ports)
        _initialise(terraform, paths, data)
        yield terraform


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


def _variables(paths: settings.Paths, data: Path, directory: Path, jobs_dir: Path) -> dict[str, str]:
    """What Terraform is told; paths are as seen from `directory`, in which it runs."""
    for made in (paths.wheels / "requirements.txt", paths.log_store):
        if not made.is_file():
            raise SetupError(f"`{made}`, which the jobs need, is not there. `make setup` makes it.")
    archive = data / "shipments.zip"
    _write_archive(archive, jobs_dir, "shipments")
    emr = settings.versions()["emr"]
    files = {"jobs_dir": jobs_dir, "package_archive": archive, "wheels_dir": paths.wheels, "log_store": paths.log_store}
    return {
        "release_label": emr["release"],
        "python_version": emr["python"],
        # Relative, since the state holds them: another checkout of the same sources has nothing to change.
        **{name: os.path.relpath(path, directory) for name, path in files.items()},
    }


def _write_archive(archive: Path, folder: Path, package: str) -> None:
    """A Python package as a zip file for `--py-files`."""
    sources = [path for path in (folder / package).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    if not sources:
        raise SetupError(f"There is no package `{package}` in `{folder}`.")
    reproducible_zip.write(archive, folder, sources)


def _ensure_state_bucket(paths: settings.Paths, ports: settings.Ports) -> None:
    """Make the bucket of Terraform's state, versioned and closed to the public. One that is there already stays."""
    s3 = aws.operator_client("s3", paths, ports)
    with aws.explained(ports, f"make the bucket `{STATE_BUCKET}` for Terraform's state"):
        s3.create_bucket(Bucket=STATE_BUCKET)  # in us-east-1, S3 answers the owner's second one with 200
        s3.put_public_access_block(
            Bucket=STATE_BUCKET,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        s3.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Enabled"})


def _initialise(terraform: Terraform, paths: settings.Paths, data: Path) -> None:
    """`terraform init`, unless nothing that it looks at has changed since it last succeeded."""
    mirror = terraform_mirror.find(settings.versions()["terraform"]["aws_provider"])
    initialised = Stamp(terraform.directory / ".terraform" / "drydock.stamp", _fingerprint(mirror))
    if initialised.matches and (terraform.directory / LOCK).is_file():
        return
    # The lock is never committed, so an old one decides nothing: versions.tf pins the provider exactly.
    arguments = ["-reconfigure", "-upgrade", f"-backend-config=profiles/{PROFILE}.tfbackend"]
    if mirror is not None:
        arguments.append(f"-plugin-dir={mirror}")
    else:
        cache = paths.cache / "terraform"
        cache.mkdir(parents=True, exist_ok=True)
        terraform.environment["TF_PLUGIN_CACHE_DIR"] = str(cache)
        terraform.environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"  # else it is not used at all
    with output.stage("Terraform: fetching its provider" if mirror is None else "Terraform: initialising"):
        terraform.run("init", *arguments)
    initialised.write()


def _fingerprint(mirror: Path | None) -> str:
    files = (*sorted(CONFIGURATION.rglob("*.tf")), CONFIGURATION / "profiles" / f"{PROFILE}.tfbackend")
    return fingerprint(str(mirror), *(str(file.relative_to(CONFIGURATION)) for file in files), *files)


class _Progress:
    """How far an apply has come: a line that changes where there is a terminal, else one line when it begins."""

    def __init__(self) -> None:
        self._status = output.CONSOLE.status("Terraform: comparing what is with what should be")
        self._total = 0
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
                output.say(f"… Terraform: making {changes.total} changes")
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
