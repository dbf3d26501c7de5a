"""The spool as the token's login book: each method is one transaction on the spool's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.spool import Spool, SpoolThread

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.pin import Outcome
    from daemon.records.logins import LoginRecord


class Book:
    """What `token.LoginBook` asks for."""

    def __init__(self, spool: SpoolThread) -> None:
        """Keep the logins in *spool*."""
        self._spool = spool

    async def login_record(self, serial: str) -> LoginRecord:
        """See Spool.login_record."""
        return await self._spool(Spool.login_record, serial)

    async def login_attempted(self, serial: str, now: datetime) -> None:
        """See Spool.login_attempted."""
        await self._spool(Spool.login_attempted, serial, now)

    async def login_answered(self, serial: str, outcome: Outcome, code: str, now: datetime) -> None:
        """See Spool.login_answered."""
        await self._spool(Spool.login_answered, serial, outcome, code, now)

    async def permit_login(self, serial: str, person: str, now: datetime) -> None:
        """See Spool.permit_login."""
        await self._spool(Spool.permit_login, serial, person, now)

    async def export_ledger(self) -> None:
        """See Spool.export_ledger."""
        await self._spool(Spool.export_ledger)
