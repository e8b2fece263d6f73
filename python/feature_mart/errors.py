"""Errors a command ends with. The message says what, where, and what to do next."""

from typing import ClassVar


class FeatureMartError(Exception):
    """Any failure this package explains; `exit_code` is what a command returns for it."""

    exit_code: ClassVar[int] = 1


class TerminalError(FeatureMartError):
    """Trying again would fail the same way: exit code 1."""

    exit_code: ClassVar[int] = 1


class TransientError(FeatureMartError):
    """May pass when tried again later: exit code 75."""

    exit_code: ClassVar[int] = 75


class UsageError(TerminalError):
    """Asked for in a wrong way: exit code 2."""

    exit_code: ClassVar[int] = 2


class LeaseHeldError(FeatureMartError):
    """Another run holds the lease: exit code 3."""

    exit_code: ClassVar[int] = 3


class StopRequestedError(KeyboardInterrupt):
    """A scheduler's SIGTERM, where Ctrl-C is a plain KeyboardInterrupt: exit code 75, try again."""

    exit_code: ClassVar[int] = 75
