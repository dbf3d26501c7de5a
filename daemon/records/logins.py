"""What is known of the tries to log in to a token (I6)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """What the spool knows about one token: it outlives every restart."""

    serial: str
    unresolved: int = 0
    """Attempts that were begun and whose result was never committed: each may have counted."""
    rejected: bool = False
    """The token has said that the PIN is wrong."""
    permitted: bool = False
    """A person asked for one more try."""
