"""IAM, as an evaluator that is not this project's decides: nothing needed is denied, nothing else is allowed."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from drydock import settings
from drydock.errors import RunFailed
from drydock.parity_of import calls
from drydock.parity_of.calls import Call, Thing
from drydock.parity_of.comparison import Item, Section, Verdict, compared
from drydock.parity_of.facts import Facts
from drydock.toolchain import iam_simulate

PROGRAM = Path(__file__).with_name("simulate.mjs")
ALLOWED, DENIED = "Allowed", "ExplicitlyDenied"


def compare(paths: settings.Paths, sides: Mapping[str, Facts], progress: Callable[[str], None]) -> list[Section]:
    """A section for each side, and one for whether the sides' policies are the same but for names."""
    iam_simulate.provide(paths, progress)
    sections = [of_side(paths, side, facts, progress) for side, facts in sides.items()]
    if len(sides) > 1:
        sections.append(_same_policies(sides))
    return sections


def of_side(paths: settings.Paths, side: str, facts: Facts, progress: Callable[[str], None]) -> Section:
    """What the side's policies decide about the calls that are made, and about all others. Raises RunFailed."""
    progress(f"asking of every action whether {side} allows it")
    things = {thing.name: thing for thing in calls.things(facts)}
    unencrypted = [call for call in calls.NEEDED if call.action.startswith("s3:")]
    sweeps = [(principal, thing) for principal in (calls.DRIVER, calls.INSTANCES) for thing in things.values()]
    answer = _ask(
        paths,
        {
            "principals": {
                name: {"arn": facts.roles[name]["arn"], "account": facts.account_id, "policies": of["policies"]}
                for name, of in facts.roles.items()
            },
            "resource_policies": {facts.name_prefix + name: policy for name, policy in facts.bucket_policies.items()},
            "calls": [
                *(_call(call, things) for call in calls.NEEDED),
                *(_call(call, things, dict([calls.UNENCRYPTED])) for call in unencrypted),
                *(_call(call, things) for call in calls.REFUSED),
            ],
            "sweeps": [
                {
                    "principal": principal,
                    "services": _services(thing),
                    "resources": [thing.arn],
                    "context": dict(thing.context),
                }
                for principal, thing in sweeps
            ],
        },
    )
    decisions = iter(answer["calls"])
    decided, over_http = list(islice(decisions, len(calls.NEEDED))), list(islice(decisions, len(unencrypted)))
    items = [_needed(call, decision) for call, decision in zip(calls.NEEDED, decided, strict=True)]
    items += [_over_http(call, decision) for call, decision in zip(unencrypted, over_http, strict=True)]
    items += [_refused(call, decision) for call, decision in zip(calls.REFUSED, decisions, strict=True)]
    expected = {(call.principal, call.action, call.thing): call for call in (*calls.NEEDED, *calls.ALLOWED_BESIDES)}
    besides = {(call.principal, call.action, call.thing) for call in calls.ALLOWED_BESIDES}
    found = {
        (principal, each["action"], thing.name)
        for (principal, thing), allowed in zip(sweeps, answer["sweeps"], strict=True)
        for each in allowed
        if thing.only is None or each["action"] in thing.only
    }
    items += [
        Item(_title(*each), Verdict.KNOWN, {side: ALLOWED}, f"Allowed besides: {expected[each].why}.")
        for each in sorted(found & besides)
    ]
    items += [
        Item(_title(*each), Verdict.DIFFERENT, {side: ALLOWED}, "Allowed, and nothing here calls it.")
        for each in sorted(found - expected.keys())
    ]
    items += [_of_other_services(side, role, policy) for role, policy in _not_tried(facts)]
    return Section(f"IAM, {side}", items)


def _services(thing: Thing) -> list[str]:
    """Those that have such a thing; of anything, all that are tried."""
    if thing.arn == "*":
        return list(calls.SERVICES)
    service = thing.arn.split(":")[2]
    return ["iam", "sts"] if service == "iam" else [service]


def _not_tried(facts: Facts) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Role and policy, of policies that allow what is not tried here."""
    for role, of in facts.roles.items():
        for policy in of["policies"]:
            if _services_named(policy["policy"]) - set(calls.SERVICES):
                yield role, policy


def _services_named(document: Mapping[str, Any]) -> set[str]:
    """Of which it allows anything."""
    statements = document["Statement"]
    allowing = [
        each for each in (statements if isinstance(statements, list) else [statements]) if each["Effect"] == "Allow"
    ]
    actions = [each.get("Action", "*") for each in allowing]
    return {action.partition(":")[0] for each in actions for action in ([each] if isinstance(each, str) else each)}


def _of_other_services(side: str, role: str, policy: Mapping[str, Any]) -> Item:
    services = ", ".join(sorted(_services_named(policy["policy"])))
    is_of_aws = policy.get("arn", "").split(":")[4:5] == ["aws"]
    reason = calls.POLICIES_OF_AWS.get(policy["name"]) if is_of_aws else None
    verdict = Verdict.KNOWN if reason else Verdict.DIFFERENT
    return Item(f"{role}: {policy['name']}", verdict, {side: services}, reason or "Nothing here calls these services.")


def _call(call: Call, things: Mapping[str, Thing], context: Mapping[str, str] | None = None) -> dict[str, Any]:
    thing = things[call.thing]
    return {
        "principal": call.principal,
        "action": call.action,
        "resource": thing.arn,
        "context": {**thing.context, **(context or {})},
    }


def _needed(call: Call, decision: str) -> Item:
    verdict = Verdict.SAME if decision == ALLOWED else Verdict.DIFFERENT
    return Item(_title(call.principal, call.action, call.thing), verdict, {"decided": decision}, f"For: {call.why}.")


def _over_http(call: Call, decision: str) -> Item:
    verdict = Verdict.SAME if decision == DENIED else Verdict.DIFFERENT
    title = _title(call.principal, call.action, call.thing)
    return Item(f"{title}, without TLS", verdict, {"decided": decision}, "Has to be refused.")


def _refused(call: Call, decision: str) -> Item:
    verdict = Verdict.DIFFERENT if decision == ALLOWED else Verdict.SAME
    title = _title(call.principal, call.action, call.thing)
    return Item(title, verdict, {"decided": decision}, f"Has to be refused: {call.why}.")


def _title(principal: str, action: str, thing: str) -> str:
    return f"{principal}: {action}, {thing}"


def _same_policies(sides: Mapping[str, Facts]) -> Section:
    """Policies and who may assume the roles, with platforms, accounts, regions and prefixes put on a par."""
    on_a_par = {side: _on_a_par(facts) for side, facts in sides.items()}
    names = sorted({name for policies in on_a_par.values() for name in policies})
    items = [
        compared(name, {side: policies.get(name, "not there") for side, policies in on_a_par.items()}) for name in names
    ]
    return Section("IAM, sides compared", [_shortened(item) for item in items])


def _on_a_par(facts: Facts) -> dict[str, str]:
    documents = {
        **{
            f"policy {each['name']} of {role}": each["policy"]
            for role, of in facts.roles.items()
            for each in of["policies"]
        },
        **{f"who may assume {role}": of["trust"] for role, of in facts.roles.items()},
        **{f"policy of {bucket}": policy for bucket, policy in facts.bucket_policies.items()},
    }
    return {name: _text(document, facts) for name, document in documents.items()}


def _text(document: Any, facts: Facts) -> str:
    text = json.dumps(document, sort_keys=True).replace(f'"{facts.platform_config["platform"]}"', '"<platform>"')
    for value, name in ((facts.name_prefix, ""), (facts.account_id, "<account>"), (facts.region, "<region>")):
        text = text.replace(value, name) if value else text
    return text


def _shortened(item: Item) -> Item:
    return item if item.verdict is Verdict.DIFFERENT else Item(item.what, item.verdict)


def _ask(paths: settings.Paths, question: Mapping[str, Any]) -> Any:
    command = [str(iam_simulate.node(paths)), str(PROGRAM), str(iam_simulate.folder(paths))]
    ended = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=False, env={})
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines()
        raise RunFailed(
            f"The evaluator of IAM policies ended with {ended.returncode}: {said[-1] if said else 'no word'}"
        )
    return json.loads(ended.stdout)
