"""Every error we raise, sorted by what happens next.

    TransientError    unchanged, later, this may work: wait and try again
    PermanentError    unchanged, this will never work: set the one document aside
    CorruptionError   our own records disagree with the disk: stop, touch nothing

Each carries a code that stands in `codes.py` with its sentence and its
remedy. The message says which thing and which value; it never holds a PIN,
and never a file name or content, because it reaches the system journal (I9).
"""

from __future__ import annotations


class DaemonError(Exception):
    """Anything this program raises on purpose."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """Stable; stands in the ledger, on the page, in MQTT and in docs/codes.md."""

    def __str__(self) -> str:
        return f"{self.code}: {self.args[0]}"


class TransientError(DaemonError):
    """Unchanged, later, this may work: postpone and try again."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        in_doubt: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, message)
        self.in_doubt = in_doubt
        """A target may hold what was sent, or may yet come to hold it: nobody has said."""
        self.retry_after = retry_after
        """For so many seconds the other side wants to be left alone; None: it did not say."""


class PermanentError(DaemonError):
    """Unchanged, this will never work: set the document aside for a person."""


class CorruptionError(DaemonError):
    """Our own records disagree with the disk, or cannot be trusted: stop, touch nothing."""


class ConfigError(DaemonError):
    """The configuration cannot be used; `problems` holds every reason at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("config-invalid", "; ".join(problems))
        self.problems = problems


class PersonNeeded(DaemonError):
    """A command was refused: it does not fit the state of the thing it names."""


class StaleWrite(DaemonError):
    """A row was not in the state its writer believed: our bug, the process ends."""

    def __init__(self, message: str) -> None:
        super().__init__("stale-write", message)


class TargetDisagrees(PermanentError):
    """The target holds other bytes under our key: only a person may decide."""

    def __init__(self, message: str) -> None:
        super().__init__("target-disagrees", message)


class TargetDuplicate(PermanentError):
    """The target holds a part more than once: only a person may say which one goes."""

    def __init__(self, message: str) -> None:
        super().__init__("target-duplicate", message)


class TargetUnreachable(TransientError):
    """The target did not answer, or not in a way that says anything about the document."""

    def __init__(
        self, message: str, *, in_doubt: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__("target-unreachable", message, in_doubt=in_doubt, retry_after=retry_after)


class WorkerDied(TransientError):
    """A worker process ended in the middle of a task, or was killed for taking too long."""

    def __init__(self, message: str) -> None:
        super().__init__("worker-died", message)


class Refused(PermanentError):
    """A document cannot be sealed as it is; the code says why."""
