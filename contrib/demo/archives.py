"""The archives that `make demo` can deliver to: a folder, or a bucket with Object Lock.

    TARGETS=folder     demo/archive/<id>/<file>
    TARGETS=s3         SeaweedFS on this machine, all of it in demo/seaweed/

What they hold is looked up without any part of Scanseal's targets.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contrib.demo.seaweed import REGION, SeaweedFS
from daemon.targets.element import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE: Final = Path(__file__).resolve().parents[2]
WEED: Final = HERE / "build" / "seaweed" / "bin" / "weed"
"""Where the Makefile puts it."""
BUCKET: Final = "archive"


class FolderArchive:
    """A folder."""

    kind = "folder"

    def __init__(self, demo: Path) -> None:
        """Below *demo*."""
        self._root = demo / "archive"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make it."""
        self._root.mkdir(parents=True, exist_ok=True)
        yield

    @property
    def toml(self) -> str:
        """What stands in its [[target]]."""
        return f'kind = "folder"\npath = "{self._root}"'

    def held(self, document: str) -> tuple[str, bool]:
        """Return where a document lies, in words, and whether it is complete."""
        folder = self._root / document
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        return f"{folder}/", _complete(names)

    def tries(self, document: str) -> str:  # noqa: ARG002 (there is nothing to try on a folder)
        """Return what a person may try there, in words."""
        return ""


class BucketArchive:
    """A bucket with Object Lock."""

    kind = "s3"

    def __init__(self, demo: Path) -> None:
        """Below *demo*."""
        self._store = SeaweedFS(WEED, demo / "seaweed")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the store, with its bucket, and end it."""
        self._store.start()
        try:
            self._store.make_bucket(BUCKET)
            yield
        finally:
            self._store.stop()

    @property
    def toml(self) -> str:
        """What stands in its [[target]]."""
        return (
            f'kind = "s3"\nurl = "{self._store.url}"\nbucket = "{BUCKET}"\nregion = "{REGION}"\n'
            f'user = "{self._store.box.name}"\npassword = "file:{self._store.secret}"'
        )

    def held(self, document: str) -> tuple[str, bool]:
        """Return where a document lies, in words, and whether it is complete and locked."""
        names, until = set(), set()
        for key, version in self._versions(document):
            status, head, _ = self._store.asked("HEAD", f"{BUCKET}/{key}", {"versionId": version})
            names.add(key.partition("/")[2])
            mode = head.get("x-amz-object-lock-mode", "no") if status == 200 else "no"
            until.add((mode.lower(), head.get("x-amz-object-lock-retain-until-date", "")))
        mode, time = max(until, default=("no", ""))
        locked = f"{mode} lock" + (f" until {time[:10]}" if time else "")
        good = _complete(names) and {found for found, _ in until} == {"compliance"}
        return f"s3://{BUCKET}/{document}/, {len(names)} objects, {locked}", good

    def tries(self, document: str) -> str:
        """Return what a person may try there, in words."""
        (key, version), *_ = [*self._versions(document), ("ID/sealed.pdf", "VERSION")]
        return (
            "\nTry to remove something from the archive, with all rights there are (curl):\n"
            f"  curl -X DELETE --aws-sigv4 aws:amz:{REGION}:s3 \\\n"
            f'    --user "{self._store.admin.name}:$(cat {self._store.secret})-admin" \\\n'
            f'    "{self._store.url}/{BUCKET}/{key}?versionId={version}"\n'
            "It says AccessDenied: a compliance lock holds for everybody."
        )

    def _versions(self, document: str) -> list[tuple[str, str]]:
        _, _, body = self._store.asked("GET", BUCKET, {"versions": "", "prefix": f"{document}/"})
        return [(one.said("Key"), one.said("VersionId")) for one in parsed(body).all("Version")]


ARCHIVES: Final[Mapping[str, type[FolderArchive | BucketArchive]]] = {
    "folder": FolderArchive,
    "s3": BucketArchive,
}


def _complete(names: set[str]) -> bool:
    originals = [name for name in names if name.startswith("original.")]
    return bool(originals) and "manifest.p7s" in names
