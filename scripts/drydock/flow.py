"""`make flow FLOW= DATE= INPUTS=`: any flow that Kestra knows, once, on the running platform.

What `make run` does for the flows of a day: stage and last log line while it runs, the log of the task that failed,
and no cluster of it alive when the verb ends, or a sentence that says which. Exit codes: 0 the execution is SUCCESS;
1 it is not; 2 FLOW, DATE or INPUTS cannot be meant; 128 + signal.
"""

import json
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from drydock import executions, flow_files, jobs, output, settings, site
from drydock.day import FlowRun, parse_date
from drydock.errors import UsageError
from drydock.executions import Execution
from drydock.interrupts import Signals
from drydock.kestra import Document, Kestra
from drydock.run import run_flow
from drydock.running import require_running
from drydock.site import Site

FlowOption = Annotated[str, typer.Option("--flow", help="The flow's id, such as data_generation.")]
DateOption = Annotated[str, typer.Option("--date", help="Its input `date`, YYYY-MM-DD.")]
InputsOption = Annotated[str, typer.Option("--inputs", help='Its inputs as JSON, such as {"rows": 1000}.')]

EXAMPLE = """`make flow FLOW=data_generation DATE=2026-01-31 INPUTS='{"rows": 1000}'`"""
DATE = "date"


def flow(name: FlowOption = "", date: DateOption = "", inputs: InputsOption = "") -> None:
    """Run a flow once on the running platform."""
    given = read_inputs(name, date, inputs)
    paths, ports = settings.Paths(), settings.Ports()
    require_running(paths, ports)
    where = site.local(paths, ports)
    with executions.client(paths, ports) as engine:
        warn_of_other_jobs(where)
        if changed := flow_files.unregistered(engine, paths, settings.last_runtime()):
            output.warn(f"Kestra knows {', '.join(changed)} as it was, or not yet: `make local-up` registers it.")
        run_once(where, engine, name, given)


def read_inputs(name: str, date: str, inputs: str) -> dict[str, str]:
    """The inputs as Kestra takes them, by name. Raises UsageError for what is none, or no flow's name."""
    if not name:
        raise UsageError(f"FLOW is missing; expected a flow's id, such as {EXAMPLE}.")
    try:
        found = json.loads(inputs or "{}")
    except ValueError as error:
        raise UsageError(f"INPUTS is `{inputs}`, which is not JSON: {error}. An example: {EXAMPLE}.") from error
    if not isinstance(found, dict):
        raise UsageError(f"INPUTS is `{inputs}`; expected a JSON object of the flow's inputs, such as {EXAMPLE}.")
    if empty := [key for key, value in found.items() if value is None]:
        raise UsageError(f"INPUTS gives `{empty[0]}` as null. An input without a value is left out.")
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}
    if date:
        if DATE in given:
            raise UsageError(f"The input `{DATE}` is given twice, as DATE and in INPUTS.")
        given[DATE] = parse_date(date).isoformat()
    return given


def run_once(where: Site, engine: Kestra, name: str, inputs: Mapping[str, str]) -> None:
    """Run the flow, and show what its steps told. Raises UsageError, RunFailed or Stopped."""
    asked = chosen(engine.flows(), name)
    check_inputs(asked, inputs)
    shown = f"{asked['id']} ({', '.join(f'{key}={value}' for key, value in inputs.items())})" if inputs else asked["id"]
    run = FlowRun(asked["id"], f"Running {shown}", f"Ran {shown}", inputs, asked["namespace"])
    with Signals().caught() as signals:
        execution = run_flow(where, engine, run, uuid.uuid4().hex[:8], signals)
    _show(execution, engine.outputs(execution.id))


def chosen(flows: Sequence[Document], name: str) -> Document:
    """The flow of that id, or of that namespace and id. Raises UsageError when there is none, or more than one."""
    found = [each for each in flows if name in (each["id"], f"{each['namespace']}.{each['id']}")]
    if len(found) == 1:
        return found[0]
    if found:
        full = ", ".join(sorted(f"`{each['namespace']}.{each['id']}`" for each in found))
        raise UsageError(f"FLOW is `{name}`, and there are {full}: say which.")
    there = ", ".join(sorted(each["id"] for each in flows)) or "none"
    raise UsageError(f"FLOW is `{name}`; Kestra knows no flow of that name. There are: {there}.")


def check_inputs(asked: Document, given: Mapping[str, str]) -> None:
    """Raises UsageError for an input that the flow does not have, or needs and is not given. Kestra sees to values."""
    declared: list[dict[str, Any]] = asked.get("inputs") or []
    known = {each["id"]: each for each in declared}
    if unknown := [f"`{name}`" for name in given if name not in known]:
        has = ", ".join(_described(each) for each in declared) or "none"
        raise UsageError(f"The flow {asked['id']} has no input {', '.join(unknown)}. Its inputs: {has}.")
    if missing := [each for each in declared if _is_needed(each) and each["id"] not in given]:
        needed = ", ".join(_described(each) for each in missing)
        example = json.dumps({each["id"]: "…" for each in missing}, ensure_ascii=False)
        raise UsageError(
            f"The flow {asked['id']} needs {needed}: `make flow FLOW={asked['id']} INPUTS='{example}'`"
            + (", or DATE for `date`." if DATE in {each["id"] for each in missing} else ".")
        )


def warn_of_other_jobs(where: Site) -> None:
    """Say so when the platform has other jobs than the checkout: it is its own that run."""
    with tempfile.TemporaryDirectory() as folder:
        revision = jobs.revision(where.paths, Path(folder)).name
    if jobs.deployed(where.platform_config()) != revision:
        output.warn(
            f"The platform has other jobs than `spark/`, and runs them: `make {where.verbs.deploy}` uploads these."
        )


def _described(declared: Mapping[str, Any]) -> str:
    return f"`{declared['id']}` ({declared['type']})"


def _is_needed(declared: Mapping[str, Any]) -> bool:
    """One that depends on another is Kestra's to judge."""
    has_default = declared.get("defaults") is not None or declared.get("prefill") is not None
    return bool(declared.get("required", True)) and not has_default and "dependsOn" not in declared


def _show(execution: Execution, outputs: Mapping[str, Any]) -> None:
    for name, value in outputs.items():
        if not isinstance(value, dict | list):  # the clusters' own come below
            output.say(f"  {name}: {value}")
    for results in execution.results_of_clusters():
        for step in results.get("steps", ()):
            told = json.dumps(step["told"]) if step.get("told") else "nothing as a line of JSON"
            output.say(f"  Step {step['step_id']} on {results['cluster_id']} told: {told}")
        if results.get("log_uri"):
            output.say(f"  Its logs: {results['log_uri']}")
