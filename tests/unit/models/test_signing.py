"""A signature says who released a bundle, and no text of ours says the key."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fraud.errors import BundleRefused, SettingsError
from fraud.models.signing import (
    ANY_RELEASE,
    SigningKey,
    TrustedKeys,
    claimed_key,
    key_id,
    read_signing_key,
    read_trusted_keys,
)

MANIFEST = b'{"version": "1.0.0"}'


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.new()


def test_what_a_trusted_key_signed_is_accepted_and_the_key_is_named(key: SigningKey) -> None:
    assert TrustedKeys((key.public,)).check(MANIFEST, key.sign(MANIFEST)) == key_id(key.public)


def test_while_a_key_is_replaced_releases_of_both_are_accepted(key: SigningKey) -> None:
    newer = SigningKey.new()
    both = TrustedKeys((newer.public, key.public))
    assert both.check(MANIFEST, key.sign(MANIFEST)) == key_id(key.public)
    assert both.check(MANIFEST, newer.sign(MANIFEST)) == key_id(newer.public)


def test_one_changed_byte_of_the_manifest_is_refused(key: SigningKey) -> None:
    with pytest.raises(BundleRefused, match="does not match its manifest"):
        TrustedKeys((key.public,)).check(MANIFEST + b" ", key.sign(MANIFEST))


def test_an_unsigned_release_is_refused_only_where_keys_are_asked_for(key: SigningKey) -> None:
    with pytest.raises(BundleRefused, match="is not signed"):
        TrustedKeys((key.public,)).check(MANIFEST, None)
    assert ANY_RELEASE.check(MANIFEST, None) is None


def test_another_key_is_refused_even_under_a_trusted_name(key: SigningKey) -> None:
    stranger = SigningKey.new()
    trusted = TrustedKeys((key.public,))
    with pytest.raises(BundleRefused, match="not trusted here"):
        trusted.check(MANIFEST, stranger.sign(MANIFEST))
    forged = json.loads(stranger.sign(MANIFEST)) | {"key_id": key_id(key.public)}
    with pytest.raises(BundleRefused, match="does not match"):
        trusted.check(MANIFEST, json.dumps(forged).encode())


def test_a_signature_made_for_something_else_is_no_release(key: SigningKey) -> None:
    raw = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.seed)).sign(MANIFEST)
    document = json.loads(key.sign(MANIFEST)) | {"signature": base64.b64encode(raw).decode()}
    with pytest.raises(BundleRefused, match="does not match"):
        TrustedKeys((key.public,)).check(MANIFEST, json.dumps(document).encode())


@pytest.mark.parametrize(
    "signature",
    [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 3000, b" " * 5000, b'{"key_id": 1, "algorithm": 2}'],
)
def test_a_damaged_signature_file_is_one_sentence(key: SigningKey, signature: bytes) -> None:
    with pytest.raises(BundleRefused, match="cannot be read"):
        TrustedKeys((key.public,)).check(MANIFEST, signature)
    assert claimed_key(signature) is None


def test_a_key_is_read_from_its_seed_and_from_a_pem_file(key: SigningKey, tmp_path: Path) -> None:
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.seed))
    pem = tmp_path / "key.pem"
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for text in (key.seed, str(pem)):
        read = read_signing_key(text)
        assert read is not None and read.public == key.public
    assert read_signing_key(None) is None


def test_a_setting_that_is_no_key_is_refused_without_repeating_it(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_text("secret words")
    for text in (key.seed[:-4], "secret words", str(tmp_path / "other.pem")):
        with pytest.raises(SettingsError, match="FRAUD_SIGNING_KEY") as caught:
            read_signing_key(text)
        assert text not in caught.value.message
    with pytest.raises(SettingsError, match="key 2"):
        read_trusted_keys([base64.b64encode(key.public).decode(), "abc"])


def test_no_representation_of_a_key_tells_the_secret(key: SigningKey) -> None:
    assert key.seed not in f"{key!r} {key} {vars(key)}" and key.sign(MANIFEST) == key.sign(MANIFEST)
