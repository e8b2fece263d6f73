"""Define the errors that end a command. Each message says what happened, where, and what to do next."""

from typing import ClassVar


class FeatureMartError(Exception):
    """Base class of the errors that this package raises; `exit_code` is the exit code of the command."""

    exit_code: ClassVar[int] = 1


class TerminalError(FeatureMartError):
    """An error that a retry would not solve. The exit code is 1."""

    exit_code: ClassVar[int] = 1


class TransientError(FeatureMartError):
    """An error that a later retry may solve. The exit code is 75."""

    exit_code: ClassVar[int] = 75


class UsageError(TerminalError):
    """A wrong option or setting, a missing input, or a raw warehouse that breaks the contract. The exit code is 2."""

    exit_code: ClassVar[int] = 2


class LeaseHeldError(FeatureMartError):
    """Another process holds the lock of the state folder. The exit code is 3."""

    exit_code: ClassVar[int] = 3


class StopRequestedError(KeyboardInterrupt):
    """The process received SIGTERM, for example from a scheduler. The exit code is 75.

    Ctrl-C raises a plain KeyboardInterrupt instead.
    """

    exit_code: ClassVar[int] = 75
