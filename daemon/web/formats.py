"""What stands on the page as HTML has it."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup, escape


def commands(text: str) -> Markup:
    """Return a remedy with what stands between backticks set as commands."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


def pretty(line: dict[str, Any]) -> str:
    """Return a ledger line over several lines."""
    return json.dumps(line, ensure_ascii=False, indent=2)
