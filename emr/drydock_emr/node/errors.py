"""What can go wrong on a node.

NodeError                       explained by its message alone
├── ConfigurationError          an environment variable is missing or unusable; ends the process
├── ControlPlaneUnreachable     the control plane is away, or answered nonsense; tried again
├── CredentialsUnavailable      the instance profile has no credentials for now
├── NotAnS3Url                  a path that should be s3://, s3a:// or s3n:// is not
├── DownloadFailed              a script could not be fetched
└── StepRefused                 a step that this service cannot run; the step fails with the message
"""


class NodeError(Exception):
    """A failure that its message explains."""


class ConfigurationError(NodeError):
    """An environment variable is missing or unusable."""


class ControlPlaneUnreachable(NodeError):
    """The control plane did not answer, or not as the protocol says."""


class CredentialsUnavailable(NodeError):
    """The instance profile's credentials cannot be had for now."""


class NotAnS3Url(NodeError):
    """A path that should name an object in S3 does not."""


class DownloadFailed(NodeError):
    """A script could not be fetched."""


class StepRefused(NodeError):
    """The step asks for what this service cannot run."""
