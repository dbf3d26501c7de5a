"""Real WebDAV servers as processes of their own: wsgidav on cheroot, and Apache with mod_dav."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.certomancer import free_port

if TYPE_CHECKING:
    from types import TracebackType

START_SECONDS = 30.0
MODULES = "mpm_event authn_core authn_file auth_basic authz_core authz_user dav dav_fs ssl"
USER = "box"


class DavServer:
    """One that is started on a port of its own, with what it stores in `root`; a context manager."""

    scheme = "http"

    def __init__(self, root: Path | None = None) -> None:
        # Not below pytest's folders: Apache's user may not go there.
        self.folder = Path(tempfile.mkdtemp(prefix="scanseal-dav-"))
        self.folder.chmod(0o755)
        self.root = root or self.folder / "root"
        self.root.mkdir(exist_ok=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Return once it listens."""
        with (self.folder / "out.log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.folder / "out.log").read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def command(self) -> list[str]:
        raise NotImplementedError

    def files(self) -> set[str]:
        """Return all that is stored, and what lies beside it."""
        return {str(one.relative_to(self.root)) for one in self.root.rglob("*") if one.is_file()}

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Wsgidav(DavServer):
    """wsgidav, which writes a PUT straight under its name."""

    def command(self) -> list[str]:
        wsgidav = str(Path(sys.executable).with_name("wsgidav"))
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--root", str(self.root))
        return [wsgidav, *where, "--auth", "anonymous", "--server", "cheroot", "--no-config", "-q"]


class Apache(DavServer):
    """Apache's mod_dav, in one process."""

    password = ""
    """If it is not empty, only USER may do anything, with this one."""
    certificate: tuple[Path, Path] | None = None
    """PEM files of its certificate and key; then it speaks TLS."""

    def __enter__(self) -> Self:
        if self.certificate:
            self.scheme = "https"
        return super().__enter__()

    def command(self) -> list[str]:
        shutil.chown(self.root, "www-data", "www-data")
        locks = self.folder / "locks"
        locks.mkdir(exist_ok=True)
        shutil.chown(locks, "www-data", "www-data")
        config = self.folder / "httpd.conf"
        config.write_text(self._config())
        return ["/usr/sbin/apache2", "-X", "-f", str(config)]

    def set_password(self, password: str) -> None:
        """Change it; httpd reads the file for each request."""
        self.password = password
        file = self.folder / "users"
        made = subprocess.run(
            ["openssl", "passwd", "-apr1", password], capture_output=True, text=True, check=True
        )
        file.write_text(f"{USER}:{made.stdout}")
        file.chmod(0o644)

    def _config(self) -> str:
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
            for name in MODULES.split()
        )
        who = "Require all granted"
        if self.password:
            who = (
                f'AuthType Basic\nAuthName "dav"\nAuthUserFile {self.folder}/users\n'
                "Require valid-user"
            )
        tls = ""
        if self.certificate:
            pem, key = self.certificate
            tls = f"SSLEngine On\nSSLCertificateFile {pem}\nSSLCertificateKeyFile {key}\n"
        return f"""ServerRoot {self.folder}
PidFile {self.folder}/pid
DefaultRuntimeDir {self.folder}
Mutex file:{self.folder}
Listen 127.0.0.1:{self.port}
ServerName 127.0.0.1
{modules}
User www-data
Group www-data
ErrorLog {self.folder}/error.log
DocumentRoot {self.root}
DavLockDB {self.folder}/locks/db
{tls}<Directory {self.root}>
Dav On
{who}
</Directory>
"""
