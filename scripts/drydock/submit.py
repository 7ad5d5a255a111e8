"""`make submit JOB=path/to/job.py ARGS="…"`: anyone's PySpark file on a fresh cluster of the running platform.

The file is uploaded under a key of its own, the EMR driver makes a cluster and runs `spark-submit` on it as a step, and
what the step writes is shown as it arrives in the log bucket: its stdout on stdout, and nothing else there; its stderr
and this verb's own news on stderr. When the verb ends, whichever way, the cluster has ended and the file is gone, or a
sentence says what is left. Exit codes: 0 the step is COMPLETED; 1 it is not; 2 JOB or ARGS
cannot be meant; 130 Ctrl-C.
"""

import re
import shlex
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from drydock import aws, driver_process, output, settings, site
from drydock.driver_process import ChildSignals, Event, Job, Progress
from drydock.errors import RunFailed, ServiceFailed, Stopped, UsageError
from drydock.leftovers import end_leftovers
from drydock.running import require_running

JobOption = Annotated[str, typer.Option("--job", help="A PySpark program on this machine, such as job.py.")]
ArgsOption = Annotated[str, typer.Option("--args", help="Its arguments, as one would write them in a shell.")]

EXAMPLE = "`make submit JOB=examples/word_count.py`"
# EMR's limit for a step's command, of which `spark-submit` and the program's address take some.
ARGUMENTS_CHARACTERS = 10_000
NAME_CHARACTERS = 50
_OTHER_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")


def submit(job: JobOption = "", args: ArgsOption = "") -> None:
    """Run a PySpark program on a fresh cluster of the running platform."""
    program, arguments = read_program(job), split_arguments(args)
    paths, ports = settings.Paths(), settings.Ports()
    require_running(paths, ports)
    run_id = uuid.uuid4().hex[:8]
    begun_at = time.monotonic()
    with ChildSignals().caught() as signals, uploaded(paths, ports, run_id, program_name(job), program) as uri:
        asked = Job(job_name(job), f"Running {job}", f"{job} is done", ("spark-submit", uri, *arguments))
        exit_code, progress = driver_process.run(
            paths,
            ports,
            asked,
            datetime.now(UTC).date().isoformat(),
            run_id,
            signals,
            options=("--verbatim", "--stderr"),
            listener=_pass_on,
            console=output.ERRORS,
        )
        if exit_code != 0 or signals.first is not None:
            if progress.last_stdout and not sys.stdout.isatty():
                # PySpark sends a program's traceback to stdout, which the terminal does not show now.
                output.warn(f"The program's stdout ends with: {progress.last_stdout[-1]}")
            _give_up(paths, ports, asked, run_id, exit_code, progress, signals)
    seconds = time.monotonic() - begun_at
    output.done(f"{asked.did}, after {seconds:.0f} s on cluster {progress.cluster_id}.", output.ERRORS)


def _give_up(
    paths: settings.Paths,
    ports: settings.Ports,
    job: Job,
    run_id: str,
    exit_code: int,
    progress: Progress,
    signals: ChildSignals,
) -> NoReturn:
    """End what is left of a job that did not end well. Raises Stopped after a signal, RunFailed otherwise."""
    left = end_leftovers(site.local(paths, ports), run_id, output.ERRORS)
    if signals.first is not None:
        said = " ".join([*progress.failures, left])
        raise Stopped(f"Stopped while {job.doing[0].lower()}{job.doing[1:]}. {said}", signals.first)
    raise RunFailed(f"{driver_process.failure_of(job, exit_code, progress)} {left}")


def read_program(job: str) -> bytes:
    """The program's text. Raises UsageError for what is no PySpark file that can be read."""
    if not job:
        raise UsageError(f"JOB is missing; expected the path of a PySpark program, such as {EXAMPLE}.")
    path = Path(job)
    if path.suffix != ".py":
        # spark-submit takes everything else for a jar.
        raise UsageError(f"JOB is `{job}`; expected a PySpark program, whose name ends in `.py`, such as {EXAMPLE}.")
    if not path.is_file():
        found = "no regular file" if path.exists() else "not there"
        raise UsageError(
            f"JOB is `{job}`, which is {found} (in `{Path.cwd()}`). Expected the path of a PySpark program."
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"JOB is `{job}`, which cannot be read: {error.strerror}.") from error


def split_arguments(args: str) -> tuple[str, ...]:
    """ARGS as a shell would split them; nothing is expanded. Raises UsageError for what cannot be split or sent."""
    try:
        words = tuple(shlex.split(args))
    except ValueError as error:
        raise UsageError(f"ARGS is `{args}`, which no shell could split: {error}. Quote it as in a shell.") from error
    try:
        "".join(words).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"ARGS has bytes that are not UTF-8: {args!r}. EMR's API takes text only.") from error
    if (length := sum(map(len, words))) > ARGUMENTS_CHARACTERS:
        raise UsageError(
            f"ARGS has {length:,} characters; EMR takes {ARGUMENTS_CHARACTERS:,} at most. Put more in an object in S3."
        )
    return words


def program_name(job: str) -> str:
    """The file's name as it can stand in an S3 URI that Hadoop reads: without blanks, colons and the like."""
    return _OTHER_CHARACTERS.sub("_", Path(job).name)


def job_name(job: str) -> str:
    """What the cluster and the step are called after: `submit-` and the file's name, as far as a name can hold it."""
    stem = _OTHER_CHARACTERS.sub("-", Path(job).stem).replace(".", "-").strip("-").lower()
    return f"submit-{stem[:NAME_CHARACTERS]}".rstrip("-")


@contextmanager
def uploaded(paths: settings.Paths, ports: settings.Ports, run_id: str, name: str, program: bytes) -> Iterator[str]:
    """Keep the program in the input bucket, where clusters may read, for as long as the context lasts; its URI.

    Raises ServiceFailed when it cannot be stored. That it cannot be removed is a warning.
    """
    uri = f"{site.local(paths, ports).platform_config()['application_uri']}/submitted/{run_id}/{name}"
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    s3: Any = aws.operator_client("s3", paths, ports)
    with aws.explained(ports, f"store `{uri}`"):
        s3.put_object(Bucket=bucket, Key=key, Body=program)
    try:
        yield uri
    finally:
        try:
            with aws.explained(ports, f"remove `{uri}`"):
                s3.delete_object(Bucket=bucket, Key=key)
        except ServiceFailed as error:
            output.warn(str(error))


def _pass_on(event: Event) -> None:
    if event["event"] == "log":
        output.pass_on(event["line"], stderr=event["stream"] == "stderr")
