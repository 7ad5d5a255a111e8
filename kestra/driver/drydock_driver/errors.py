"""What can go wrong, as one small tree.

DriverError                 printed as a sentence, never a traceback; exit code 1
├── UsageError              an argument that cannot be meant; exit code 2
├── PlatformConfigError     platform.json is missing, unreadable or incomplete
├── AwsRefused              AWS answered no
├── AwsUnreachable          AWS did not answer: nobody there, or credentials that cannot be had just now
├── NoCredentials           there is nobody to be there as
├── OutcomeUnknown          AWS may have carried a request out, and it could not be found out
├── ClusterFailed           the cluster ended before its work was done
├── StepFailed              a step ended in any state but COMPLETED
├── TimedOut                what was waited for did not happen in time
├── OrchestratorFailed      Kestra refused, or did not answer
├── StillAlive              a cluster could not be ended: it costs money until somebody does
└── Interrupted             a signal asked to stop; exit code 128 + signal
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
)

# As botocore's own retries know them.
THROTTLING_CODES = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class DriverError(Exception):
    """A failure that its message alone explains."""

    exit_code = 1


class UsageError(DriverError):
    """An argument that cannot be meant."""

    exit_code = 2


class PlatformConfigError(DriverError):
    """The platform's configuration cannot be used."""


class AwsRefused(DriverError):
    """AWS answered with an error; `code` is AWS's."""

    def __init__(self, message: str, code: str, detail: str) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail

    @property
    def throttled(self) -> bool:
        """Whether AWS did nothing and wants to be asked more slowly."""
        return self.code in THROTTLING_CODES


class AwsUnreachable(DriverError):
    """No answer, or none that tells whether the request was carried out.

    `sent` is false when the request cannot have arrived.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class NoCredentials(DriverError):
    """There are none in the environment, in a profile or from the machine: waiting brings none."""


class OutcomeUnknown(DriverError):
    """An answer was lost, and what was asked for may be there: a cluster, a step."""


class ClusterFailed(DriverError):
    """The cluster ended before its work was done."""


class StepFailed(DriverError):
    """A step ended in a state other than COMPLETED.

    Its sentence is made when it is shown: the step's logs, which say why, may arrive after the failure itself.
    """

    def __init__(self, sentence: Callable[[], str]) -> None:
        super().__init__()
        self._sentence = sentence

    def __str__(self) -> str:
        return self._sentence()


class TimedOut(DriverError):
    """What was waited for did not happen in time."""


class OrchestratorFailed(DriverError):
    """Kestra's API gave no answer, or another than it should."""


class StillAlive(DriverError):
    """A cluster that should have ended is alive, or may be."""


class Interrupted(DriverError):
    """A signal asked the driver to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(signal_number).name}.")
        self.exit_code = 128 + signal_number


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Translate botocore's exceptions; `doing` completes the sentence «Could not …»."""
    try:
        yield
    except ClientError as error:
        answer = error.response.get("Error", {})
        code, detail = answer.get("Code", "Unknown"), answer.get("Message", "")
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise AwsUnreachable(f"Could not {doing}: AWS answered {code}: {detail}", sent=True) from error
        raise AwsRefused(f"Could not {doing}: {code}: {detail}", code, detail) from error
    except NoCredentialsError as error:
        raise NoCredentials(
            f"Could not {doing}: no AWS credentials were found in the environment, in a profile or from the machine."
        ) from error
    except (ConnectTimeoutError, EndpointConnectionError) as error:
        raise AwsUnreachable(f"Could not {doing}: {error}", sent=False) from error
    except (HTTPClientError, BotoCoreError) as error:
        raise AwsUnreachable(f"Could not {doing}: {error}", sent=True) from error
