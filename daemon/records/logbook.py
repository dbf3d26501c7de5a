"""The tries to log in to a token, as the spool keeps them (I6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from daemon.records.logins import LoginRecord
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from datetime import datetime


class Logbook(Writer):
    """What was tried at each token."""

    def login_record(self, serial: str) -> LoginRecord:
        """Return what is known of the tries to log in to a token."""
        row = self._db.execute(
            "SELECT unresolved, rejected, permitted FROM login WHERE serial = ?", [serial]
        ).fetchone()
        return (
            LoginRecord(serial, row[0], bool(row[1]), bool(row[2])) if row else LoginRecord(serial)
        )

    def login_serials(self) -> list[str]:
        """Return the tokens that were ever tried."""
        return [
            serial for (serial,) in self._db.execute("SELECT serial FROM login ORDER BY serial")
        ]

    def login_attempted(self, serial: str, now: datetime) -> None:
        """Commit that the PIN is about to be tried; a person's permission is used up by it."""
        with self._step(now) as step:
            step.db.execute(
                "INSERT INTO login(serial, unresolved, rejected, permitted) VALUES (?, 1, 0, 0)"
                " ON CONFLICT(serial) DO UPDATE SET unresolved = unresolved + 1, permitted = 0",
                [serial],
            )
            step.line("", "login-attempt", {"token": serial})

    def login_answered(
        self,
        serial: str,
        outcome: Literal["accepted", "rejected", "failed"],
        code: str,
        now: datetime,
    ) -> None:
        """Commit what became of the attempt.

        `failed` says that the PIN was not looked at: this one attempt is closed, and
        what is known of earlier ones stays as it was.
        """
        with self._step(now) as step:
            if outcome == "failed":
                step.change(
                    "UPDATE login SET unresolved = max(unresolved - 1, 0) WHERE serial = ?",
                    [serial],
                )
            else:
                step.change(
                    "UPDATE login SET unresolved = 0, rejected = ? WHERE serial = ?",
                    [outcome == "rejected", serial],
                )
            step.line("", f"login-{outcome}", {"token": serial, "code": code})

    def requested(self, public_key: str, person: str, now: datetime) -> None:
        """Commit that a certificate was requested for the key with that digest."""
        with self._step(now) as step:
            step.line("", "csr", {"public_key_sha256": public_key}, {"person": person})

    def imported(self, certificate: str, person: str, now: datetime) -> None:
        """Commit that the certificate with that digest was written to the token."""
        with self._step(now) as step:
            detail = {"certificate_sha256": certificate}
            step.line("", "certificate-import", detail, {"person": person})

    def key_changed(self, before: str, after: str, person: str, now: datetime) -> None:
        """Commit that another certificate seals from now on; *before* is "" if there was none."""
        with self._step(now) as step:
            detail = {"certificate_sha256": after, "before_sha256": before}
            step.line("", "key-changed", detail, {"person": person})

    def permit_login(self, serial: str, person: str, now: datetime) -> None:
        """Commit that a person asks for one more try."""
        with self._step(now) as step:
            step.db.execute(
                "INSERT INTO login(serial, unresolved, rejected, permitted) VALUES (?, 0, 0, 1)"
                " ON CONFLICT(serial) DO UPDATE SET permitted = 1",
                [serial],
            )
            step.line("", "login-permitted", {"token": serial}, {"person": person})
