"""Identifiers, shaped like EMR's: a prefix and upper-case alphanumerics (clients must not rely on their length)."""

import secrets
import string

_ALPHABET = string.ascii_uppercase + string.digits
_HEX = string.hexdigits[:16]


def cluster_id() -> str:
    return "j-" + _characters(_ALPHABET, 13)


def step_id() -> str:
    return "s-" + _characters(_ALPHABET, 20)


def instance_group_id() -> str:
    return "ig-" + _characters(_ALPHABET, 13)


def instance_id() -> str:
    """EMR's own name of an instance, `ci-…`."""
    return "ci-" + _characters(_ALPHABET, 13)


def ec2_instance_id() -> str:
    """EC2's name of an instance, `i-…`."""
    return "i-" + _characters(_HEX, 17)


def _characters(alphabet: str, count: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))
