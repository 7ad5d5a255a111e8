"""Whether a role's trust policy lets an AWS service assume the role.

What IAM says of «AWS JSON policy elements»: an explicit Deny wins, then any Allow, else no. Conditions are evaluated
on the two keys that services set for the confused-deputy check, `aws:SourceAccount` and `aws:SourceArn`; any other
key is one that the request does not carry, which in IAM fulfils none but the negated and …IfExists operators. Of an
operator that is not listed here the worst is supposed: it fulfils a Deny and does not fulfil an Allow.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

ASSUME_ROLE = "sts:AssumeRole"


def may_assume(policy: str | Mapping[str, Any], service: str, context: Mapping[str, str]) -> bool:
    """`policy` is the trust policy, as JSON or parsed; `context` maps lower-case condition keys to their values."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    effects = {
        statement.get("Effect")
        for statement in _list(document.get("Statement"))
        if _is_about_assuming(statement) and _names_service(statement, service) and _holds(statement, context)
    }
    return "Allow" in effects and "Deny" not in effects


def _is_about_assuming(statement: Mapping[str, Any]) -> bool:
    return any(_matches(str(pattern).lower(), ASSUME_ROLE.lower()) for pattern in _list(statement.get("Action")))


def _names_service(statement: Mapping[str, Any], service: str) -> bool:
    """A bare `"*"` names everybody; `{"AWS": "*"}` every AWS account, which a service is not."""
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        return service in _list(principal.get("Service"))
    return principal == "*"


def _holds(statement: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    if_unknown = statement.get("Effect") == "Deny"
    return all(
        _fulfilled(operator, context.get(key.lower()), [str(value) for value in _list(values)], if_unknown)
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    )


def _fulfilled(operator: str, actual: str | None, wanted: list[str], if_unknown: bool) -> bool:
    name = operator.removesuffix("IfExists")
    compare = OPERATORS.get(NEGATED.get(name, name))
    if compare is None:
        return if_unknown
    if actual is None:
        return operator.endswith("IfExists") or name in NEGATED
    return any(compare(value, actual) for value in wanted) != (name in NEGATED)


def _matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` any text, `?` any character."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _arn_matches(pattern: str, arn: str) -> bool:
    """Each of the six parts of an ARN is matched by itself."""
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) == 6 and all(map(_matches, patterns, parts))


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": _matches,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
}

NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
