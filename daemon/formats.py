"""Times, ages, sizes and sentences as a person of one language reads them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from daemon.codes import CODES, Text
from daemon.words import LANGUAGES, TONES, WORDS

if TYPE_CHECKING:
    from datetime import datetime

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
DAYS: Final = {"de": "%d.%m.%Y", "en": "%Y-%m-%d"}


class Formats:
    """One language, one time zone, one moment: everything a template needs to write."""

    def __init__(self, language: str, timezone: str, now: datetime) -> None:
        """Write for people of *language*, as seen at *now*."""
        self.language = language
        self._column = LANGUAGES.index(language)
        self._zone = ZoneInfo(timezone)
        self._now = now

    def word(self, key: str, **values: object) -> str:
        """Return a word of the table with *values* put in."""
        return WORDS[key][self._column].format(**values)

    def many(self, key: str, n: int) -> str:
        """Return the form of a word that goes with the number *n*."""
        return self.word(f"{key}_1" if n == 1 else key, n=self.number(n))

    def event(self, name: str) -> str:
        """Return an event of the ledger in words; one that has none as it is."""
        return self.word(f"event_{name}") if f"event_{name}" in WORDS else name

    def tone(self, state: str) -> str:
        """Return the name of the colour that goes with a state."""
        return TONES.get(state, "quiet")

    def code(self, code: str) -> Text:
        """Return sentence and remedy of a code, both empty if we have no such code."""
        found = CODES.get(code)
        return found.text(self.language) if found else Text("", "")

    def moment(self, at: datetime, *, seconds: bool = False) -> str:
        """Return a time in the box's zone."""
        clock = "%H:%M:%S" if seconds else "%H:%M"
        return at.astimezone(self._zone).strftime(f"{DAYS[self.language]} {clock}")

    def clock(self, at: datetime) -> str:
        """Return only the time of day."""
        return at.astimezone(self._zone).strftime("%H:%M:%S")

    def day(self, at: datetime) -> str:
        """Return only the day."""
        return at.astimezone(self._zone).strftime(DAYS[self.language])

    def machine(self, at: datetime) -> str:
        """Return a time as <time datetime="..."> wants it."""
        return at.astimezone(UTC).isoformat(timespec="milliseconds")

    def ago(self, at: datetime) -> str:
        """Return how long ago something was."""
        age = self.age((self._now - at).total_seconds())
        return f"vor {age}" if self.language == "de" else f"{age} ago"

    def since(self, at: datetime) -> str:
        """Return since how long something is so."""
        age = self.age((self._now - at).total_seconds())
        return f"seit {age}" if self.language == "de" else f"for {age}"

    def age(self, seconds: float) -> str:
        """Return a length of time in its two largest units."""
        whole = max(0, int(seconds))
        if whole < MINUTE:
            return f"{whole} s"
        if whole < HOUR:
            return f"{whole // MINUTE} min"
        if whole < DAY:
            return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
        return f"{self.many('day_n', whole // DAY)} {whole % DAY // HOUR} h"

    def seconds(self, seconds: float) -> str:
        """Return a short length of time."""
        text = f"{seconds:.2f} s"
        return text.replace(".", ",") if self.language == "de" else text

    def number(self, n: int) -> str:
        """Return a whole number with its thousands set apart."""
        return f"{n:,}".replace(",", "." if self.language == "de" else ",")

    def size(self, n: int) -> str:
        """Return a number of bytes, short."""
        value, unit = float(n), "B"
        for unit in ("B", "kB", "MB", "GB", "TB"):
            if value < 1000 or unit == "TB":
                break
            value /= 1000
        text = f"{value:.0f}" if unit == "B" or value >= 100 else f"{value:.1f}"
        return f"{text.replace('.', ',') if self.language == 'de' else text} {unit}"
