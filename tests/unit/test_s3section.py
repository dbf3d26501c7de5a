"""What `[[target]] kind = "s3"` may say."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.document import Role
from daemon.targets.kinds import _one
from daemon.targets.s3 import S3Target
from daemon.targetsections import S3Section
from tests.values import NOW

GOOD: dict[str, Any] = {
    "name": "archive",
    "kind": "s3",
    "role": "archive",
    "url": "https://s3.example",
    "user": "AKIA",
    "password": "credential:archive-secret",
    "bucket": "scanseal-01",
}


def test_what_is_right_has_no_problem_and_becomes_a_target() -> None:
    """With the defaults: compliance, no first lock, parts of 16 MiB."""
    section = S3Section(**GOOD)
    target = _one(section, None, lambda: NOW)

    assert list(section.problems()) == []
    assert (section.lock_mode, section.first_lock_days, section.part_mb) == ("compliance", 0, 16)
    assert isinstance(target, S3Target)
    assert (target.name, target.role, target.create_once) == ("archive", Role.ARCHIVE, False)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"bucket": ""}, "bucket: must be the name of a bucket (got '')"),
        ({"bucket": "Archive"}, "bucket: must be"),
        ({"bucket": "a/b"}, "bucket: must be"),
        ({"region": "eu west"}, "region: must be lower-case"),
        ({"region": ""}, "region: must be lower-case"),
        ({"user": ""}, "user, password: are needed"),
        ({"password": ""}, "user, password: are needed"),
        ({"password": "hunter2"}, "password: must be credential:NAME or file:/PATH"),
        ({"url": "s3.example"}, "url: must be an http or https address"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], wanted: str) -> None:
    """By its key; a secret that stands there is not repeated."""
    found = list(S3Section(**{**GOOD, **changes}).problems())

    assert len(found) == 1
    assert found[0].startswith(wanted)
    assert "hunter2" not in found[0]
