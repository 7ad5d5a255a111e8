"""What can go wrong for a user, as one small tree.

    DrydockError                    printed as a sentence; exit code 1; never a traceback
    ├── UsageError                  what was asked for cannot be meant; exit code 2
    ├── SetupError                  something could not be fetched, checked or made
    ├── PortTaken                   a port of ours is held by somebody else
    ├── ServiceFailed               a service did not come up, or died
    ├── NotRunning                  the verb needs a running platform
    └── RunFailed                   a day's run did not happen as asked
        └── Stopped                 a signal ended it; exit code 128 + signal

A message says what is wrong, what was found against what was expected, and what to do next.
"""


class DrydockError(Exception):
    """A failure that is explained to the user by its message alone: the problem, then how it is mended."""

    exit_code = 1

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(f"{problem} {fix}".rstrip())
        self.problem = problem
        self.fix = fix


class UsageError(DrydockError):
    """A value that the user gave is not one that the verb can take."""

    exit_code = 2


class SetupError(DrydockError):
    """A part of the toolchain could not be fetched, verified or made."""


class PortTaken(DrydockError):
    """A port the platform needs is held by a process that is not the platform's."""


class ServiceFailed(DrydockError):
    """A service did not become healthy in time, or ended."""


class NotRunning(DrydockError):
    """The verb acts on a running platform, and there is none."""


class RunFailed(DrydockError):
    """A run of the day ended without the result that was asked for."""


class Stopped(RunFailed):
    """A signal ended the run."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
