"""What others take with the same key: a bare C_Sign, and pyHanko signing a whole file.

Runs as a process of its own, because PyKCS11 never releases the GIL, and is told
what to do in lines of JSON. What it reports are times taken inside of it: nothing
of the way to it and back is in them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contrib.demo.token import TokenFiles

RESERVED: Final = 32768
"""Hex digits for the CMS: as many as ours, and it saves pyHanko a CMS made to measure the size."""
SIGNATURE_BYTES: Final = 384


class Bare:
    """The process, from the outside."""

    def __init__(self, token: TokenFiles) -> None:
        """Start it and log in."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.bare"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "SOFTHSM2_CONF": str(token.softhsm2_conf)},
            cwd=Path(__file__).parents[1],
        )
        self._ask(
            "open",
            module=str(token.module),
            token=token.token,
            key=token.key,
            pin=str(token.pin),
            certificate=str(token.certificate),
            chain=str(token.chain),
        )

    def sign(self) -> float:
        """Return how long C_SignInit and C_Sign took, in seconds."""
        return self._ask("sign")

    def pyhanko(self, source: Path, target: Path) -> float:
        """Let pyHanko sign *source* into *target*, with one fsync; return the seconds."""
        return self._ask("pyhanko", source=str(source), target=str(target))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, task: str, **argument: str) -> float:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"task": task, **argument}).encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"bench.bare ended with {process.wait()}")
        return float(json.loads(answer))


class Inside:
    """The token and the signers, inside of the process."""

    def __init__(self, argument: dict[str, str]) -> None:
        """Open the token, log in, find the key."""
        import PyKCS11  # noqa: PLC0415 (only in this process, never in the bench's own)

        self.p11 = PyKCS11
        self._lib = PyKCS11.PyKCS11Lib()
        self._lib.load(argument["module"])
        label = argument["token"]
        (slot,) = (
            slot
            for slot in self._lib.getSlotList(tokenPresent=True)
            if self._lib.getTokenInfo(slot).label.strip() == label
        )
        self._session = self._lib.openSession(slot)
        self._session.login(Path(argument["pin"]).read_text(encoding="ascii"))
        (self._key,) = self._session.findObjects(
            [
                (PyKCS11.CKA_CLASS, PyKCS11.CKO_PRIVATE_KEY),
                (PyKCS11.CKA_LABEL, argument["key"]),
            ]
        )
        pss = (PyKCS11.CKM_SHA256, PyKCS11.CKG_MGF1_SHA256, 32)
        self._on_digest = PyKCS11.RSA_PSS_Mechanism(PyKCS11.CKM_RSA_PKCS_PSS, *pss)
        self._on_data = PyKCS11.RSA_PSS_Mechanism(PyKCS11.CKM_SHA256_RSA_PKCS_PSS, *pss)
        self._loop = asyncio.new_event_loop()
        self._signer = self._pyhanko_signer(argument)

    def sign(self) -> float:
        """Sign a digest with the two calls that it takes and nothing around them."""
        low, handle = self._session.lib, self._session.session
        mechanism = self._on_digest.to_native()
        digest = self.p11.ckbytelist(os.urandom(32))
        room = self.p11.ckbytelist(bytes(SIGNATURE_BYTES))
        begun = time.perf_counter()
        init = low.C_SignInit(handle, mechanism, self._key)
        done = low.C_Sign(handle, digest, room)
        taken = time.perf_counter() - begun
        if (init, done) != (self.p11.CKR_OK, self.p11.CKR_OK):
            raise RuntimeError(f"C_SignInit {init}, C_Sign {done}")
        return taken

    def sign_data(self, data: bytes) -> bytes:
        """Sign as PyKCS11 does it for everybody: the token makes the digest, too."""
        return bytes(self._session.sign(self._key, data, self._on_data))

    def pyhanko(self, source: str, target: str) -> float:
        """Sign as pyHanko does it: an incremental update, certified, PAdES B-B."""
        from pyhanko.pdf_utils.incremental_writer import (  # noqa: PLC0415
            IncrementalPdfFileWriter,
        )

        begun = time.perf_counter()
        with Path(source).open("rb") as file, Path(target).open("x+b") as out:
            writer = IncrementalPdfFileWriter(file)
            signing = self._signer.async_sign_pdf(writer, output=out, bytes_reserved=RESERVED)
            self._loop.run_until_complete(signing)
            out.flush()
            os.fsync(out.fileno())
        return time.perf_counter() - begun

    def _pyhanko_signer(self, argument: dict[str, str]) -> Any:
        from asn1crypto import pem, x509  # noqa: PLC0415
        from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter  # noqa: PLC0415
        from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, Signer  # noqa: PLC0415
        from pyhanko_certvalidator.registry import SimpleCertificateStore  # noqa: PLC0415

        from daemon.certificate import signature_mechanism  # noqa: PLC0415

        inside = self

        class TokenSigner(Signer):
            async def async_sign_raw(
                self,
                data: bytes,
                digest_algorithm: str,  # noqa: ARG002 (the mechanism says it)
                dry_run: bool = False,
            ) -> bytes:
                return bytes(SIGNATURE_BYTES) if dry_run else inside.sign_data(data)

        def read(path: str) -> x509.Certificate:
            return x509.Certificate.load(pem.unarmor(Path(path).read_bytes())[2])

        chain = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        chain.register_multiple([read(argument["chain"])])
        signer = TokenSigner(
            signing_cert=read(argument["certificate"]),
            cert_registry=chain,
            # Written out: prefer_pss takes the longest salt, which the token does not make.
            signature_mechanism=signature_mechanism("rsa-pss-sha256"),
            embed_roots=True,
        )
        metadata = PdfSignatureMetadata(
            field_name="Seal",
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            certify=True,
            docmdp_permissions=MDPPerm.NO_CHANGES,
        )
        return PdfSigner(metadata, signer=signer)


def main() -> None:
    """Answer each line of standard input with the seconds it took."""
    inside: Inside | None = None
    for line in sys.stdin:
        argument = json.loads(line)
        task = argument.pop("task")
        seconds = 0.0
        if inside is None:
            inside = Inside(argument)
        else:
            seconds = getattr(inside, task)(**argument)
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
