"""Makes a SoftHSM token and the demo PKI around its key, for `make demo` and the tests.

    folder/softhsm2.conf    to be named by SOFTHSM2_CONF
    folder/tokens/          the token: key pair and certificate, both "seal"
    folder/ca.pem           Scanseal Demo CA
    folder/seal.pem         the seal certificate
    folder/chain.pem        what stands between them and the root: here the CA itself
    folder/pin              the user PIN, 0400, written last: with it the folder is complete

The private key is made in the token and cannot leave it. The CA key lives only
while this runs and is then forgotten, and so is the SO PIN: this makes one seal
certificate and will not renew, revoke or repair. For that, and where a run was
cut off, remove the folder and make it anew. A folder in use is never touched.

A SoftHSM token is a file like any other: nothing made here belongs on a real box.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import PyKCS11
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODULE: Final = Path("/usr/lib/softhsm/libsofthsm2.so")
ORGANISATION: Final = "Stadt Musterstadt, Marktamt"
CRL_ADDRESS: Final = "http://127.0.0.1:8480/demo.crl"
TOKEN_LABEL: Final = "scanseal"  # noqa: S105 - a label, no secret
KEY_LABEL: Final = "seal"
LABEL_BYTES: Final = 32
KEY_ID: Final = b"\x01"
RSA_BITS: Final = {"rsa3072": 3072, "rsa4096": 4096}
CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, str]]] = {
    "p256": (ec.SECP256R1(), "06082a8648ce3d030107"),
    "p384": (ec.SECP384R1(), "06052b81040022"),
    "p521": (ec.SECP521R1(), "06052b81040023"),
    "brainpool256": (ec.BrainpoolP256R1(), "06092b2403030208010107"),
    "brainpool384": (ec.BrainpoolP384R1(), "06092b240303020801010b"),
    "brainpool512": (ec.BrainpoolP512R1(), "06092b240303020801010d"),
}
"""The curve and its CKA_EC_PARAMS, by the kind of key."""

KeyKind = Literal[
    "rsa3072", "rsa4096", "p256", "p384", "p521", "brainpool256", "brainpool384", "brainpool512"
]
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
Issuer = Callable[[PublicKey], tuple[x509.Certificate, x509.Certificate]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFiles:
    """A token that is ready to seal, and where everything about it lies."""

    folder: Path
    token: str = TOKEN_LABEL
    key: str = KEY_LABEL
    module: Path = MODULE

    @property
    def softhsm2_conf(self) -> Path:
        """What SOFTHSM2_CONF must name before the module is loaded."""
        return self.folder / "softhsm2.conf"

    @property
    def ca(self) -> Path:
        """The root certificate to trust."""
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The seal certificate; the token holds it, too."""
        return self.folder / "seal.pem"

    @property
    def chain(self) -> Path:
        """The certificates above the seal certificate."""
        return self.folder / "chain.pem"

    @property
    def pin(self) -> Path:
        """The file with the user PIN."""
        return self.folder / "pin"


def random_pin() -> str:
    """Return eight random digits."""
    return f"{secrets.randbelow(10**8):08}"


def find_token(folder: Path, *, label: str = TOKEN_LABEL) -> TokenFiles | None:
    """Return the token that an earlier run finished in *folder*, if there is one."""
    files = TokenFiles(folder=folder.absolute(), token=label)
    return files if files.pin.exists() else None


def make_token(
    folder: Path,
    *,
    label: str = TOKEN_LABEL,
    pin: str,
    key: KeyKind = "rsa3072",
    organisation: str = ORGANISATION,
    issued: Issuer | None = None,
) -> TokenFiles:
    """Make token, key, CA and seal certificate in *folder*, which must be empty or missing.

    *issued* returns the root and the seal certificate for the key, if it is not the demo CA's.

    PyKCS11 never releases the GIL and SoftHSM reads its configuration once per
    process, so the token is only ever touched by processes that end afterwards.
    """
    if not label.isascii() or len(label) > LABEL_BYTES:
        raise ValueError(f"a token label has at most {LABEL_BYTES} plain letters (got {label!r})")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} is not empty: remove it, or name another folder for the token"
        )
    folder.chmod(0o700)
    files = TokenFiles(folder=folder.absolute(), token=label)

    tokens = files.folder / "tokens"
    tokens.mkdir(mode=0o700)
    settings = f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    _write(files.softhsm2_conf, settings.encode())

    spki = _in_token(files, task="generate", pin=pin, so_pin=random_pin(), kind=key)
    public = serialization.load_der_public_key(bytes.fromhex(spki))
    if not isinstance(public, PublicKey):
        raise TypeError(f"the token made a {type(public).__name__} where {key} was wanted")
    if issued is None:
        issued = partial(issue, organisation=organisation, now=datetime.now(UTC))
    ca, seal = issued(public)
    der = seal.public_bytes(serialization.Encoding.DER)
    _in_token(files, task="import", pin=pin, certificate=der.hex())

    for path, certificate in ((files.ca, ca), (files.chain, ca), (files.certificate, seal)):
        _write(path, certificate.public_bytes(serialization.Encoding.PEM))
    _write(files.pin, pin.encode(), mode=0o400)
    return files


def issue(
    public: PublicKey,
    *,
    organisation: str,
    now: datetime,
    days: int = 730,
    ca_days: int = 3652,
    more: Sequence[x509.ExtensionType] = (),
) -> tuple[x509.Certificate, x509.Certificate]:
    """Return a new demo CA and its one certificate: a seal for *public*, with *more* extensions.

    They are valid for so many *days*, for a test also less than none.
    """
    ca_key = ec.generate_private_key(ec.SECP384R1())
    ca_name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Scanseal Demo"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Scanseal Demo CA"),
        ]
    )
    seal_name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, "VATDE-000000000"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Scanseal Demo Seal"),
        ]
    )
    start = now - timedelta(hours=1)  # clocks that are a little behind
    ca_ski = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca_aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_ski)
    crl = x509.DistributionPoint(
        full_name=[x509.UniformResourceIdentifier(CRL_ADDRESS)],
        relative_name=None,
        reasons=None,
        crl_issuer=None,
    )
    ca = (
        x509.CertificateBuilder(ca_name, ca_name, ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(max(start, now + timedelta(days=ca_days)))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(ca_ski, critical=False)
        .sign(ca_key, hashes.SHA384())
    )
    builder = (
        x509.CertificateBuilder(ca_name, seal_name, public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(max(start, now + timedelta(days=days)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, content_commitment=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(ca_aki, critical=False)
        .add_extension(x509.CRLDistributionPoints([crl]), critical=False)
    )
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return ca, builder.sign(ca_key, hashes.SHA384())


def _usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """Return a key usage with these bits and no other."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a new file that only its owner can read, from its first byte on."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)


def _in_token(files: TokenFiles, **request: str) -> str:
    """Let a process of its own do *request* in the token; return its answer.

    The PIN travels through its standard input, so neither `ps` nor
    /proc/PID/environ shows it.
    """
    request |= {"module": str(files.module), "token": files.token, "key": files.key}
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from contrib.demo.token import serve; serve()"],
        input=json.dumps(request),
        env={
            "SOFTHSM2_CONF": str(files.softhsm2_conf),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONUTF8": "1",
        },
        umask=0o077,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"token {files.token} in {files.folder}: {request['task']}: {done.stderr.strip()}"
        )
    return done.stdout


def serve() -> None:
    """Do the one task that stands in standard input: the process around the token."""
    request: dict[str, str] = json.load(sys.stdin)
    if not Path(request["module"]).exists():
        sys.exit(f"{request['module']} is missing: install the Debian package softhsm2")
    lib = PyKCS11.PyKCS11Lib()
    try:
        lib.load(request["module"])
        if request["task"] == "generate":
            sys.stdout.write(_generate(lib, request).hex())
        else:
            _import(lib, request)
    except PyKCS11.PyKCS11Error as exc:
        sys.exit(str(exc))


def _generate(lib: PyKCS11.PyKCS11Lib, request: dict[str, str]) -> bytes:
    """Make the token and a key pair in it; return the public key as DER."""
    rw = PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION
    padded = request["token"].ljust(LABEL_BYTES)  # PyKCS11 pads with zeros, PKCS#11 wants blanks
    lib.initToken(lib.getSlotList()[0], request["so_pin"], padded)
    slot = _slot(lib, request["token"])
    session = lib.openSession(slot, rw)
    session.login(request["so_pin"], PyKCS11.CKU_SO)
    session.initPin(request["pin"])
    session.logout()
    session.login(request["pin"])

    public = [
        (PyKCS11.CKA_TOKEN, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_PRIVATE, PyKCS11.CK_FALSE),
        (PyKCS11.CKA_LABEL, request["key"]),
        (PyKCS11.CKA_ID, KEY_ID),
        (PyKCS11.CKA_VERIFY, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_ENCRYPT, PyKCS11.CK_FALSE),
        (PyKCS11.CKA_WRAP, PyKCS11.CK_FALSE),
    ]
    private = [
        (PyKCS11.CKA_TOKEN, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_PRIVATE, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_LABEL, request["key"]),
        (PyKCS11.CKA_ID, KEY_ID),
        (PyKCS11.CKA_SENSITIVE, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_EXTRACTABLE, PyKCS11.CK_FALSE),
        (PyKCS11.CKA_SIGN, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_DECRYPT, PyKCS11.CK_FALSE),
        (PyKCS11.CKA_UNWRAP, PyKCS11.CK_FALSE),
    ]
    made: PublicKey
    if bits := RSA_BITS.get(request["kind"]):
        public += [
            (PyKCS11.CKA_MODULUS_BITS, bits),
            (PyKCS11.CKA_PUBLIC_EXPONENT, (65537).to_bytes(3, "big")),
        ]
        mechanism = PyKCS11.Mechanism(PyKCS11.CKM_RSA_PKCS_KEY_PAIR_GEN)
        handle, _ = session.generateKeyPair(public, private, mechanism)
        wanted = [PyKCS11.CKA_MODULUS, PyKCS11.CKA_PUBLIC_EXPONENT]
        modulus, exponent = (
            int.from_bytes(bytes(value), "big")
            for value in session.getAttributeValue(handle, wanted)
        )
        made = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    else:
        curve, name = CURVES[request["kind"]]
        public.append((PyKCS11.CKA_EC_PARAMS, bytes.fromhex(name)))
        mechanism = PyKCS11.Mechanism(PyKCS11.CKM_EC_KEY_PAIR_GEN)
        handle, _ = session.generateKeyPair(public, private, mechanism)
        (point,) = session.getAttributeValue(handle, [PyKCS11.CKA_EC_POINT])
        octets = bytes(point)[-(1 + 2 * ((curve.key_size + 7) // 8)) :]  # in a DER octet string
        made = ec.EllipticCurvePublicKey.from_encoded_point(curve, octets)
    return made.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _import(lib: PyKCS11.PyKCS11Lib, request: dict[str, str]) -> None:
    """Lay the seal certificate beside its key."""
    der = bytes.fromhex(request["certificate"])
    certificate = x509.load_der_x509_certificate(der)
    slot = _slot(lib, request["token"])
    session = lib.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
    session.login(request["pin"])
    session.createObject(
        [
            (PyKCS11.CKA_CLASS, PyKCS11.CKO_CERTIFICATE),
            (PyKCS11.CKA_CERTIFICATE_TYPE, PyKCS11.CKC_X_509),
            (PyKCS11.CKA_TOKEN, PyKCS11.CK_TRUE),
            (PyKCS11.CKA_PRIVATE, PyKCS11.CK_FALSE),
            (PyKCS11.CKA_LABEL, request["key"]),
            (PyKCS11.CKA_ID, KEY_ID),
            (PyKCS11.CKA_SUBJECT, certificate.subject.public_bytes()),
            (PyKCS11.CKA_ISSUER, certificate.issuer.public_bytes()),
            (PyKCS11.CKA_VALUE, der),
        ]
    )


def _slot(lib: PyKCS11.PyKCS11Lib, label: str) -> int:
    """Return the slot of the token *label*; SoftHSM moves a token when it is made."""
    for slot in lib.getSlotList(tokenPresent=True):
        if lib.getTokenInfo(slot).label.strip() == label:
            return int(slot)
    sys.exit(f"no token with the label {label!r}")


def main() -> None:
    """Make a token in the folder named on the command line, with a random PIN."""
    parser = argparse.ArgumentParser(prog="python -m contrib.demo.token", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="a new or empty folder")
    parser.add_argument("--key", choices=(*RSA_BITS, *CURVES), default="rsa3072")
    parser.add_argument("--organisation", default=ORGANISATION, help="subject of the certificate")
    args = parser.parse_args()
    try:
        files = make_token(
            args.folder, pin=random_pin(), key=args.key, organisation=args.organisation
        )
    except (OSError, RuntimeError) as exc:
        sys.exit(str(exc))
    print(f"export SOFTHSM2_CONF={shlex.quote(str(files.softhsm2_conf))}")
    print(f"token {files.token!r}, key {files.key!r}, PIN in {files.pin}, CA in {files.ca}")


if __name__ == "__main__":
    main()
