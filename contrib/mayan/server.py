"""Mayan EDMS 4.12 for the tests: installed into build/mayan, started on a port of its own.

    build/mayan/venv       its packages, from requirements.lock with their hashes
    build/mayan/initial    its data after the first setup, which takes minutes and is done once
    build/mayan/run-PORT   a copy of that for each server; gone afterwards

SQLite, one process, and what would be Celery's work done within the request. It listens on
127.0.0.1 only; nothing in it is worth keeping.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from contrib.mayan.rest import Rest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = PROJECT / "build" / "mayan"
LOCK: Final = Path(__file__).with_name("requirements.lock")
VENV: Final = BUILD / "venv"
INITIAL: Final = BUILD / "initial"
SETTINGS: Final = """\
from mayan.settings.base import *
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = False
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
"""
"""Its own settings insist on workers in processes of their own, and on files that npm fetched."""
SETUP_SECONDS: Final = 1800.0
START_SECONDS: Final = 120.0
ADMIN: Final = "admin"


def install() -> None:
    """Have its packages and its first setup in build/mayan; what is done is not done again."""
    stamp, locked = VENV / "installed.lock", LOCK.read_text()
    if not stamp.exists() or stamp.read_text() != locked:
        shutil.rmtree(VENV, ignore_errors=True)
        shutil.rmtree(INITIAL, ignore_errors=True)
        BUILD.mkdir(parents=True, exist_ok=True)
        _nice("/usr/bin/python3", "-m", "venv", VENV)
        quiet = ("-qq", "--disable-pip-version-check", "--require-hashes")
        _nice(VENV / "bin/python", "-m", "pip", "install", *quiet, "-r", LOCK)
        stamp.write_text(locked)
    (BUILD / "scanseal_mayan.py").write_text(SETTINGS)
    if not INITIAL.exists():
        making = BUILD / "making"
        shutil.rmtree(making, ignore_errors=True)
        _nice(*_mayan("common_initial_setup", "--no-dependencies"), media=making)
        _say_where(making, making, INITIAL)
        making.rename(INITIAL)


def _say_where(media: Path, before: Path, after: Path) -> None:
    """Have the configuration that Mayan wrote for the folder *before* hold for *after*."""
    config = media / "config.yml"
    config.write_text(config.read_text().replace(f"{before}/", f"{after}/"))


class Server:
    """A Mayan that runs; as a context manager it is stopped at the end."""

    def __init__(self) -> None:
        """Give it data of its own; nothing is started."""
        self.port = _free_port()
        self.media = BUILD / f"run-{self.port}"
        shutil.rmtree(self.media, ignore_errors=True)
        shutil.copytree(INITIAL, self.media)
        _say_where(self.media, INITIAL, self.media)
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = secrets.token_urlsafe(16)
        self._process: subprocess.Popen[bytes] | None = None
        code = (
            "import os; from django.contrib.auth import get_user_model as g;"
            f" u = g().objects.get(username='{ADMIN}');"
            " u.set_password(os.environ['MAYAN_ADMIN_PASSWORD']); u.save()"
        )
        environment = {"MAYAN_ADMIN_PASSWORD": self.password}
        _nice(*_mayan("shell", "-c", code), media=self.media, more=environment)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.media, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (BUILD / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_mayan("runserver", "--noreload", f"127.0.0.1:{self.port}")],
                env=_environment(self.media),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Mayan did not start: see {BUILD / 'server.log'}")
            time.sleep(0.2)

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            self.admin().get("/users/current/")
        except OSError:
            return False
        return True

    def admin(self) -> Rest:
        """Return a way to it with all rights."""
        return Rest(self.url, ADMIN, self.password)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _mayan(*arguments: str) -> Sequence[str | Path]:
    return (VENV / "bin/python", VENV / "bin/mayan-edms.py", *arguments)


def _environment(media: Path) -> dict[str, str]:
    return {
        **os.environ,
        "MAYAN_MEDIA_ROOT": str(media),
        "DJANGO_SETTINGS_MODULE": "scanseal_mayan",
        "PYTHONPATH": str(BUILD),
        "MAYAN_OCR_AUTO_OCR": "false",
        "MAYAN_ALLOWED_HOSTS": '["127.0.0.1"]',
        "PYTHONWARNINGS": "ignore",
    }


def _nice(
    *command: str | Path, media: Path = BUILD / "none", more: Mapping[str, str] | None = None
) -> None:
    environment = {**_environment(media), **(more or {})}
    with (BUILD / "setup.log").open("ab") as log:
        done = subprocess.run(
            ["nice", *command],
            env=environment,
            stdout=log,
            stderr=log,
            timeout=SETUP_SECONDS,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{command[1:4]} failed: see {BUILD / 'setup.log'}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
