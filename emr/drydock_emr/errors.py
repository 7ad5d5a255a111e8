"""What can go wrong in the control plane.

EmrError                        answered to a caller in EMR's format
├── InvalidRequest              InvalidRequestException, with an error code
├── ValidationError             ValidationException: what the service's framework refuses
├── SerializationError          SerializationException: the body is not what the model says
├── RequestTooLarge             RequestEntityTooLargeException: the body is longer than is taken
├── AccessDenied                AccessDeniedException: the request did not come through the gateway
├── NotBuilt                    an operation of EMR's that is not built
├── UnknownOperation            no operation of EMR's
└── ServiceUnavailable          something behind the API is away for now
    └── DatabaseUnavailable     the database is, or takes no writes
DatabaseVersionError            the database is of another version; ends the process with a sentence
ConfigurationError              an environment variable is missing or unusable; likewise
"""


class EmrError(Exception):
    """An error of the API: `code` is the exception's name on the wire, `status` the HTTP status."""

    code = "InternalServerException"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(EmrError):
    """Modelled as InvalidRequestException {ErrorCode, Message}."""

    code = "InvalidRequestException"

    def __init__(self, message: str, error_code: str = "ValidationException") -> None:
        super().__init__(message)
        self.error_code = error_code


class ValidationError(EmrError):
    """Not modelled on the operations that raise it; SDKs surface it as a service error of that code."""

    code = "ValidationException"


class SerializationError(EmrError):
    code = "SerializationException"


class RequestTooLarge(EmrError):
    code = "RequestEntityTooLargeException"
    status = 413


class AccessDenied(EmrError):
    code = "AccessDeniedException"


class NotBuilt(EmrError):
    code = "NotImplementedException"

    def __init__(self, operation: str) -> None:
        super().__init__(
            f"The local EMR does not implement {operation}. docs/emr-fidelity.md lists what it implements."
        )


class UnknownOperation(EmrError):
    code = "UnknownOperationException"

    def __init__(self, operation: str) -> None:
        super().__init__(f"EMR has no operation {operation}.")


class ServiceUnavailable(EmrError):
    code = "ServiceUnavailableException"
    status = 503


class DatabaseUnavailable(ServiceUnavailable):
    """`reason` is what the database or its driver says."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The database of the local EMR cannot be used now: {reason}.")
        self.reason = reason


class DatabaseVersionError(Exception):
    def __init__(self, found: int, expected: int) -> None:
        super().__init__(
            f"The EMR database has format version {found}, this control plane reads version {expected}. "
            "Use the version of Drydock that wrote it, or remove the database to begin anew."
        )


class ConfigurationError(Exception):
    pass
