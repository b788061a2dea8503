"""Every error that Guardian raises, and the exit code each one leads to.

::

    GuardianError                     exit 1
    ├── UsageError                    exit 2   wrong command line
    │   └── ConfigError                        wrong configuration file
    ├── InputError                    exit 3   bad input; says where; nothing lost
    │   ├── UnknownFormatError                 no collector knows this file
    │   └── CollectorError                     a source cannot be read (further)
    ├── ComponentAbsentError          exit 4   a needed program or server is absent
    ├── RefusedError                  exit 5   refused for safety
    │   └── ProtectedTargetError               a life line can never be a target
    ├── StoreError                             the store cannot do what was asked
    │   ├── StoreLockedError          exit 5   another process owns the file
    │   ├── StoreFullError                     the disk has no room
    │   ├── StoreReadOnlyError                 the disk cannot be written
    │   ├── StoreDamagedError         exit 3   the file is not as it was written
    │   └── SchemaTooNewError         exit 3   written by a newer Guardian
    ├── ClientError                            a remote system did not do it
    │   ├── ClientConnectionError              unreachable, or too slow
    │   ├── ClientAuthError                    it refused our credentials
    │   └── ClientResponseError                it answered, but not as agreed
    ├── RuleError                              a rule or catalogue file is wrong
    ├── TriageError                            an explanation could not be made
    └── ResponderError                         an enforcement could not be made

Errors of other libraries are mapped to these at the border of the package that
uses the library. The message says what happened, where, and what to do.
"""

from __future__ import annotations


class GuardianError(Exception):
    """Base of all errors that Guardian raises on purpose."""

    exit_code: int = 1


class UsageError(GuardianError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration file is wrong; the message names the key."""


class InputError(GuardianError):
    """An input file or stream is not what it should be; nothing stored is lost."""

    exit_code = 3


class UnknownFormatError(InputError):
    """No collector or parser recognises this input."""


class CollectorError(InputError):
    """A source cannot be read, or not further than the message says."""


class ComponentAbsentError(GuardianError):
    """A program or server that this needs is absent; the message says how to get it."""

    exit_code = 4


class RefusedError(GuardianError):
    """Refused for safety."""

    exit_code = 5


class ProtectedTargetError(RefusedError):
    """The target is one of the life lines, which can never be blocked."""


class StoreError(GuardianError):
    """The store cannot do what was asked."""


class StoreRetryError(StoreError):
    """The store could not do it this time, the next time it may.

    Memory was short, the file has to be opened anew, or a query holds a checkpoint off.
    """


class StoreLockedError(StoreError):
    """Another process owns the store's file."""

    exit_code = 5


class StoreFullError(StoreError):
    """The disk under the store has no room; what was committed is safe."""


class StoreReadOnlyError(StoreError):
    """The disk under the store cannot be written; what was committed can be read."""


class StoreDamagedError(StoreError):
    """The store's file is not as it was written; a backup has to take its place."""

    exit_code = 3


class SchemaTooNewError(StoreError):
    """The store was written by a newer Guardian."""

    exit_code = 3


class ClientError(GuardianError):
    """A remote system did not do what was asked."""


class ClientConnectionError(ClientError):
    """The remote system is unreachable or too slow."""


class ClientAuthError(ClientError):
    """The remote system refused our credentials."""


class ClientResponseError(ClientError):
    """The remote system answered, but not as its description says."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """Keep the HTTP ``status``, if there was one, beside the message."""
        super().__init__(message)
        self.status = status


class RuleError(GuardianError):
    """A rule, parser or catalogue file is wrong; the message says ``file:line``."""

    exit_code = 2


class TriageError(GuardianError):
    """An explanation could not be made; the template answers instead."""


class ResponderError(GuardianError):
    """An enforcement could not be applied, verified or undone."""
