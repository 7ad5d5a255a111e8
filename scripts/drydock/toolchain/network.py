"""What a network of the user's own asks for, said once and told to every program that fetches something.

pip, uv and Python's HTTP clients each read variables of their own for one and the same thing. Standard library only.
"""

import os
from collections.abc import Mapping

AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """`given` (by default this process's environment), with the synonyms filled in.

    - A bundle of certificate authorities in any of `AUTHORITIES` is used by all; what is set stays as it is.
    - An index that pip was told of (`PIP_INDEX_URL`) is used by uv as well.
    """
    variables = dict(os.environ if given is None else given)
    bundle = next((variables[name] for name in AUTHORITIES if variables.get(name)), None)
    if bundle:
        for name in AUTHORITIES:
            variables[name] = variables.get(name) or bundle
    index = variables.get("PIP_INDEX_URL")
    if index and not (variables.get("UV_DEFAULT_INDEX") or variables.get("UV_INDEX_URL")):
        variables["UV_DEFAULT_INDEX"] = index
    return variables
