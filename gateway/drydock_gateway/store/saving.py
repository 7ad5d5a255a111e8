"""After LocalStack has done what was asked and before it answers: what changed is put on disk.

A change that cannot be saved is answered with an error of the service's own kind (500), though memory has it: the next
change of that service, or of that bucket's configuration, that can be saved takes it along.
"""

from collections.abc import Callable
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.chain import HandlerChain
from localstack.http import Response

# An operation with another name may change something.
READS = ("Get", "List", "Describe", "Head", "Select", "Simulate", "Decode")

Saver = Callable[[str, dict[str, Any], dict[str, Any]], None]
"""Called with an operation, its request and its answer, as far as LocalStack has parsed them."""


class Saving:
    """A handler for behind LocalStack's services. `savers`: service → who saves what its operations change."""

    def __init__(self, savers: dict[str, Saver]) -> None:
        self._savers = savers

    def __call__(self, _chain: HandlerChain, context: RequestContext, response: Response) -> None:
        if context.operation is None or response.status_code >= 400 or context.operation.name.startswith(READS):
            return
        save = self._savers.get(context.service.service_name)
        if save is None:
            return
        try:
            save(context.operation.name, dict(context.service_request or {}), dict(context.service_response or {}))
        except OSError as error:
            raise CommonServiceException(
                "InternalError", f"The change cannot be saved: {error.strerror}.", status_code=500
            ) from error
