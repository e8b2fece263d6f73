"""The errors that end a command. Each message says what happened, where, and what to do next."""

from typing import ClassVar


class FeatureMartError(Exception):
    """Base class of the errors that this package raises; `exit_code` is the exit code of the command."""

    exit_code: ClassVar[int] = 1


class TerminalError(FeatureMartError):
    """An error that a retry would not solve: exit code 1."""

    exit_code: ClassVar[int] = 1


class TransientError(FeatureMartError):
    """An error that a later retry may solve: exit code 75."""

    exit_code: ClassVar[int] = 75


class UsageError(TerminalError):
    """Wrong usage: an option, a setting, or a raw warehouse that breaks the raw contract. Exit code 2."""

    exit_code: ClassVar[int] = 2


class LeaseHeldError(FeatureMartError):
    """Another process holds the lock of the state folder: exit code 3."""

    exit_code: ClassVar[int] = 3


class StopRequestedError(KeyboardInterrupt):
    """The process got SIGTERM, for example from a scheduler: exit code 75. Ctrl-C is a plain KeyboardInterrupt."""

    exit_code: ClassVar[int] = 75
