"""Who released a bundle: an Ed25519 signature over the bytes of its manifest, which lists every other digest.

The trainer holds the private key; whoever loads releases knows public keys, several while one replaces
another. A signature covers a prefix of its own, so that nothing else signed with the key can pass for a
release, nor a release for anything else (RFC 8032, section 10.3, on contexts).
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fraud.errors import BundleRefused, SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE_FILE = "manifest.sig"
LARGEST_SIGNATURE = 4_096
"""Bytes of a signature file."""

_ALGORITHM = "ed25519"
_PREFIX = b"fraud model release v1\0"
_KEY_BYTES = 32
_LARGEST_PEM = 16_384


@dataclass(frozen=True)
class SigningKey:
    """The private key of whoever releases. It is in no representation of this object."""

    _key: "Ed25519PrivateKey" = field(repr=False)

    @classmethod
    def new(cls) -> "SigningKey":
        """Return a key that nobody else has."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @property
    def seed(self) -> str:
        """The secret: base64 of 32 bytes, as FRAUD_SIGNING_KEY takes it."""
        return base64.b64encode(self._key.private_bytes_raw()).decode("ascii")

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, manifest: bytes) -> bytes:
        """Return the content of manifest.sig for the bytes of a manifest; equal bytes give an equal file."""
        document = {
            "key_id": key_id(self.public),
            "algorithm": _ALGORITHM,
            "signature": base64.b64encode(self._key.sign(_PREFIX + manifest)).decode("ascii"),
        }
        return (json.dumps(document, indent=1) + "\n").encode("ascii")


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The public keys whose releases are loaded. None at all: any release is, signed or not."""

    keys: tuple[bytes, ...] = ()

    @property
    def required(self) -> bool:
        """Whether a release must be signed."""
        return bool(self.keys)

    def check(self, manifest: bytes, signature: bytes | None) -> str | None:
        """Return the id of the trusted key that signed a manifest; None where no key is asked for.

        Nothing of the manifest is read: a stranger's bytes meet no parser but the signature's.

        Raises
        ------
        BundleRefused
            Keys are asked for, and the signature is missing, malformed, of another key, or wrong.
        """
        if not self.required:
            return None
        if signature is None:
            raise _refused("is not signed", "sign it where it was trained (FRAUD_SIGNING_KEY)", "unsigned")
        signed_by, algorithm, value = _parse(signature)
        by_id = {key_id(key): key for key in self.keys}
        if algorithm != _ALGORITHM or signed_by not in by_id:
            raise _refused(
                "is signed with a key that is not trusted here",
                "if it is one of yours, add it to FRAUD_TRUSTED_KEYS",
                "untrusted_key",
            )
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(by_id[signed_by]).verify(value, _PREFIX + manifest)
        except InvalidSignature as error:
            raise _refused(
                "is not what was signed: its signature does not match its manifest",
                "fetch it again or release it anew",
                "signature",
            ) from error
        return signed_by


ANY_RELEASE = TrustedKeys()
"""Ask for no signature: right for releases that never left this machine."""


def key_id(public: bytes) -> str:
    """Return a public key's name: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def claimed_key(signature: bytes | None) -> str | None:
    """Return the key id that a signature file names, unchecked; None without one that can be read."""
    try:
        return None if signature is None else _parse(signature)[0]
    except BundleRefused:
        return None


def read_signing_key(text: str | None) -> SigningKey | None:
    """Return the key that FRAUD_SIGNING_KEY holds or names; None if it is not set.

    Parameters
    ----------
    text : base64 of the 32 bytes of an Ed25519 seed, or the path of an unencrypted PEM file (PKCS #8)

    Raises
    ------
    SettingsError
        It is neither. What it holds is not repeated.
    """
    if not text:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = _key_bytes(text)
    if seed is not None:
        return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    key = _pem_key(Path(text))
    if key is None:
        raise SettingsError(
            "FRAUD_SIGNING_KEY must be the base64 of a 32-byte Ed25519 seed or the path of a PEM file with "
            "such a key, unencrypted; `python -m fraud keys new` makes one.",
            code="settings",
            field="FRAUD_SIGNING_KEY",
        )
    return SigningKey(key)


def read_trusted_keys(texts: Iterable[str]) -> TrustedKeys:
    """Return public keys given in base64; SettingsError naming the first (by position) that is none."""
    keys = []
    for position, text in enumerate(texts, 1):
        key = _key_bytes(text)
        if key is None:
            raise SettingsError(
                f"FRAUD_TRUSTED_KEYS: key {position} is not the base64 of a 32-byte Ed25519 public key; "
                "`python -m fraud keys show` prints it.",
                code="settings",
                field="FRAUD_TRUSTED_KEYS",
            )
        keys.append(key)
    return TrustedKeys(tuple(dict.fromkeys(keys)))


def _pem_key(path: Path) -> "Ed25519PrivateKey | None":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_PEM:
            return None
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None


def _key_bytes(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _KEY_BYTES else None


def _parse(signature: bytes) -> tuple[str, str, bytes]:
    try:
        if len(signature) > LARGEST_SIGNATURE:
            raise ValueError("too large")
        document = json.loads(signature)
        texts = [document[name] for name in ("key_id", "algorithm", "signature")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("not texts")
        return texts[0], texts[1], base64.b64decode(texts[2], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused("has a signature file that cannot be read", "fetch it again", "signature") from error


def _refused(what: str, remedy: str, code: str) -> BundleRefused:
    return BundleRefused(f"The release {what}; {remedy}.", code=code, field=SIGNATURE_FILE)
