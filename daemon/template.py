"""The CMS template: pyHanko's own CMS builder, in a worker that lives for one call.

pyHanko is large (53 MiB, a third of a second to import) and good at this: it is
asked once per certificate, for a complete CMS with zeros where digest and
signature go. `daemon/cms.py` compares what comes back, and does the rest.

The main process imports this module for `fetch_template`; pyHanko is imported
inside the task, so only in the worker.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from asn1crypto import x509

from daemon.certificate import (
    SCHEMES,
    fitting,
    public_key,
    signature_bytes,
    signature_mechanism,
)
from daemon.child import serve
from daemon.cms import Template
from daemon.errors import TransientError
from daemon.workers import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIMITS: Final = Limits(memory_mb=256, file_mb=1)
SECONDS: Final = 30.0
"""A Raspberry Pi on a bad day needs seconds for the imports."""


class Caller(Protocol):
    """A Worker or Workers running `daemon.template`."""

    async def call(self, task: str, argument: Mapping[str, Any], *, seconds: float) -> Any:
        """Run a task; see `Worker.call`."""


async def fetch_template(
    worker: Caller, certificate: bytes, chain: Sequence[bytes], scheme: str
) -> Template:
    """Return the template for *certificate* (DER); *chain* is embedded beside it.

    Raise TransientError: `certificate-key` if its key cannot sign by *scheme*,
    `template-invalid` if the worker's CMS is not what we would write.
    """
    fitting(scheme, certificate)
    others = [one for one in dict.fromkeys(chain) if one != certificate]
    reply = await worker.call(
        "template",
        {
            "certificate": certificate.hex(),
            "chain": [one.hex() for one in others],
            "scheme": scheme,
        },
        seconds=SECONDS,
    )
    try:
        cms = bytes.fromhex(reply["cms"])
    except (TypeError, KeyError, ValueError) as exc:
        raise TransientError("template-invalid", "the worker's answer holds no CMS") from exc
    template = Template(cms, scheme, certificate)
    if sorted(template.chain) != sorted(others):
        raise TransientError("template-invalid", "the CMS template: its certificates")
    return template


def template(argument: dict[str, Any]) -> dict[str, str]:
    """Build the CMS; runs in the worker."""
    from pyhanko.sign.signers.pdf_cms import ExternalSigner  # noqa: PLC0415 (see above)
    from pyhanko_certvalidator.registry import SimpleCertificateStore  # noqa: PLC0415

    certificate = bytes.fromhex(argument["certificate"])
    chain = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    chain.register_multiple(x509.Certificate.load(bytes.fromhex(one)) for one in argument["chain"])
    signer = ExternalSigner(
        signing_cert=x509.Certificate.load(certificate),
        cert_registry=chain,
        signature_value=bytes(signature_bytes(public_key(certificate))),
        signature_mechanism=signature_mechanism(argument["scheme"]),
        embed_roots=True,
    )
    scheme = SCHEMES[argument["scheme"]]
    cms = asyncio.run(signer.async_sign(bytes(scheme.digest_bytes), scheme.digest, use_pades=True))
    return {"cms": cms.dump().hex()}


if __name__ == "__main__":
    serve({"template": template})
