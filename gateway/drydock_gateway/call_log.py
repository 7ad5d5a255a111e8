"""Who asked what of whom: a line in the log for each call that LocalStack has answered, in place of its own.

    s3.GetObject /spark-job-data-input/config/platform.json => 200, arn:aws:sts::…:assumed-role/kestra-role/…

AWS keeps the same in CloudTrail. What is held against the roles' policies by `make parity` comes from here.
"""

import logging

from localstack.aws.api import RequestContext
from localstack.aws.chain import HandlerChain
from localstack.http import Response

LOG = logging.getLogger(__name__)


def log_call(_: HandlerChain, context: RequestContext, response: Response) -> None:
    """A handler for LocalStack's responses. Calls by which its services use each other have no principal."""
    principal = context.get("principal")
    if principal is None:
        return
    # Still encoded: no line end gets into the log; without the query, which may be signed.
    path = context.request.environ["RAW_URI"].partition("?")[0]
    if context.operation is None:
        what = f"{context.request.method} {path}"
    else:  # of the services only S3 has paths that tell anything
        what = f"{context.service.service_name}.{context.operation.name}{f' {path}' if path != '/' else ''}"
    error = f" ({context.service_exception.code})" if context.service_exception else ""
    LOG.info("%s => %d%s, %s", what, response.status_code, error, principal.arn)
