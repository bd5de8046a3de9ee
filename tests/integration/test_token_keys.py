"""Keys in a real PKCS#11 module: made there, unable to leave, found again after the token was away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PyKCS11
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from swarmsec.errors import AlreadyExists, KeyUnavailable, NotFound, UsageProblem
from swarmsec.keys import tokens as module
from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.signers import SealedKeys
from swarmsec.keys.tokenaccess import TokenAccess
from swarmsec.keys.tokens import Tokens, TokenSigner
from swarmsec.keys.tokenuri import TokenKeyUri, parse_token_uri
from swarmsec.services.records import KeyKind
from tests.peers.softhsm import MODULE, SoftHsm

ROOT = parse_token_uri("pkcs11:token=swarm;object=root;id=%01")
P256 = tuple(bytes.fromhex("06082a8648ce3d030107"))
P521 = tuple(bytes.fromhex("06052b81040023"))


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    made = SoftHsm(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    yield made
    made.close()


@pytest.fixture
def tokens(hsm: SoftHsm) -> Iterator[Tokens]:
    made = Tokens(TokenAccess(module=str(MODULE), pin_file=str(hsm.pin_file)))
    yield made
    made.close()


def verifies(signer: Any, message: bytes, signature: bytes) -> None:
    key = serialization.load_der_public_key(signer.public_key_der)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}[signer.signature_hash]
    key.verify(signature, message, ec.ECDSA(algorithm))


@pytest.mark.parametrize(("kind", "hash_name"), [(KeyKind.P256, "sha256"), (KeyKind.P384, "sha384")])
def test_a_key_is_made_there_and_signs(kind: KeyKind, hash_name: str, hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    assert tokens.find(ROOT) is None

    made = tokens.create(ROOT, kind)
    signer = tokens.signer(ROOT)

    assert (made.kind, made.made_there, made.uri) == (kind, True, ROOT)
    assert signer.signature_hash == hash_name
    for message in (b"", b"x" * 5000):
        verifies(signer, message, signer.sign(message))
    assert "swarm" in repr(signer)


def test_nothing_gets_the_private_key_out(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    tokens.create(ROOT, KeyKind.P256)
    session = hsm.session()
    (key,) = session.findObjects([(PyKCS11.CKA_CLASS, PyKCS11.CKO_PRIVATE_KEY)])

    flags = ("SENSITIVE", "ALWAYS_SENSITIVE", "EXTRACTABLE", "NEVER_EXTRACTABLE", "TOKEN", "PRIVATE")
    told = dict(zip(flags, session.getAttributeValue(key, [getattr(PyKCS11, f"CKA_{f}") for f in flags]), strict=True))

    assert told == {flag: flag != "EXTRACTABLE" for flag in flags}
    assert session.getAttributeValue(key, [PyKCS11.CKA_VALUE]) == [None]
    with pytest.raises(PyKCS11.PyKCS11Error):
        session.setAttributeValue(key, [(PyKCS11.CKA_EXTRACTABLE, PyKCS11.CK_TRUE)])


def test_a_name_is_made_once(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    tokens.create(ROOT, KeyKind.P256)

    with pytest.raises(AlreadyExists):
        tokens.create(ROOT, KeyKind.P256)
    with pytest.raises(NotFound, match="no private key"):
        tokens.signer(parse_token_uri("pkcs11:token=swarm;object=other"))


def test_a_key_that_is_kept_in_a_token_which_does_not_show_it_is_unavailable(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    unasked: Any = None  # where a key is in a token, neither ring nor database is looked at

    with pytest.raises(KeyUnavailable, match="no private key") as raised:
        SealedKeys(unasked, tokens).signer(unasked, ROOT.key_name)
    assert raised.value.hint == "put in the token that has it"


def test_a_key_that_was_not_shown_once_is_looked_for_anew(hsm: SoftHsm, tokens: Tokens) -> None:
    token = hsm.make_token("swarm")
    made = tokens.create(ROOT, KeyKind.P256)
    tokens.close()
    objects = [path for path in token.glob("*.object") if path.name != "token.object"]
    for path in objects:
        path.rename(path.with_suffix(".away"))
    with pytest.raises(NotFound):
        tokens.signer(ROOT)
    for path in objects:
        path.with_suffix(".away").rename(path)

    verifies(tokens.signer(ROOT), b"a", tokens.signer(ROOT).sign(b"a"))
    assert tokens.signer(ROOT).public_key_der == TokenSigner(tokens, made).public_key_der


def test_a_key_that_was_begun_and_signs_nothing_is_made_again(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    assert tokens.find_begun(ROOT) is None
    session = hsm.session()
    begun = [(PyKCS11.CKA_LABEL, "root"), (PyKCS11.CKA_ID, (1,)), (PyKCS11.CKA_TOKEN, PyKCS11.CK_TRUE)]
    private = [
        (PyKCS11.CKA_CLASS, PyKCS11.CKO_PRIVATE_KEY),
        (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_EC),
        (PyKCS11.CKA_PRIVATE, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_SENSITIVE, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_EXTRACTABLE, PyKCS11.CK_FALSE),
        (PyKCS11.CKA_SIGN, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_EC_PARAMS, P256),
        (PyKCS11.CKA_VALUE, ()),
    ]
    session.createObject([*private, *begun])
    make_pair(session, label="root", key_id=2)
    assert hsm.keys_named("swarm", "root") == (2, 1)

    assert tokens.find_begun(ROOT) is None
    assert hsm.keys_named("swarm", "root") == (1, 1)
    made = tokens.create(ROOT, KeyKind.P256)
    assert tokens.find_begun(ROOT) == made
    verifies(tokens.signer(ROOT), b"a", tokens.signer(ROOT).sign(b"a"))
    assert hsm.keys_named("swarm", "root") == (2, 2)


def make_pair(
    session: Any, *, label: str, key_id: int, curve: tuple[int, ...] = P256, extractable: bool = False
) -> None:
    names = [(PyKCS11.CKA_LABEL, label), (PyKCS11.CKA_ID, (key_id,)), (PyKCS11.CKA_TOKEN, PyKCS11.CK_TRUE)]
    public = [(PyKCS11.CKA_EC_PARAMS, curve), (PyKCS11.CKA_VERIFY, PyKCS11.CK_TRUE), *names]
    private = [
        (PyKCS11.CKA_SIGN, PyKCS11.CK_TRUE),
        (PyKCS11.CKA_SENSITIVE, not extractable),
        (PyKCS11.CKA_EXTRACTABLE, extractable),
        *names,
    ]
    session.generateKeyPair(public, private, PyKCS11.MechanismECGENERATEKEYPAIR)


def test_keys_that_an_authority_does_not_sign_with_are_refused(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    session = hsm.session()
    make_pair(session, label="free", key_id=1, extractable=True)
    make_pair(session, label="large", key_id=2, curve=P521)
    make_pair(session, label="twice", key_id=3)
    make_pair(session, label="twice", key_id=4)
    make_pair(session, label="alone", key_id=5)
    (public,) = session.findObjects([(PyKCS11.CKA_CLASS, PyKCS11.CKO_PUBLIC_KEY), (PyKCS11.CKA_ID, (5,))])
    session.destroyObject(public)
    rsa = [(PyKCS11.CKA_LABEL, "rsa"), (PyKCS11.CKA_ID, (6,)), (PyKCS11.CKA_TOKEN, PyKCS11.CK_TRUE)]
    session.generateKeyPair([(PyKCS11.CKA_MODULUS_BITS, 2048), *rsa], [(PyKCS11.CKA_SIGN, PyKCS11.CK_TRUE), *rsa])
    for label, said in (
        ("free", "cannot leave its token"),
        ("large", "P-256 or P-384"),
        ("twice", "expected one private key"),
        ("alone", "expected one public key"),
        ("rsa", "expected an EC key"),
    ):
        with pytest.raises(UsageProblem, match=said):
            tokens.find(TokenKeyUri(token="swarm", object=label))
    assert tokens.find(TokenKeyUri(token="swarm", object="twice", id=b"\x03")) is not None
    assert tokens.find(TokenKeyUri(token="swarm", id=b"\x04")) is not None


def test_one_token_is_meant(hsm: SoftHsm, tokens: Tokens) -> None:
    with pytest.raises(KeyUnavailable, match="no token with token 'swarm' is there"):
        tokens.find(ROOT)
    hsm.make_token("swarm")
    hsm.make_token("swarm")
    with pytest.raises(UsageProblem, match="expected one token with token 'swarm', got 2"):
        tokens.find(ROOT)
    with pytest.raises(KeyUnavailable, match="no token with"):
        tokens.find(TokenKeyUri(token="swarm", serial="0000", object="root"))


def test_a_wrong_pin_is_shown_once_and_a_corrected_one_counts(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    hsm.write_pin("not-this-one")
    for _ in range(3):
        with pytest.raises(WrongUnlock, match="refused"):
            tokens.find(ROOT)
    hsm.write_pin("4711-swarm")

    assert tokens.create(ROOT, KeyKind.P256).made_there


def test_a_token_that_was_pulled_is_found_again_when_it_is_back(hsm: SoftHsm, tokens: Tokens) -> None:
    token = hsm.make_token("swarm")
    tokens.create(ROOT, KeyKind.P256)
    signer = tokens.signer(ROOT)
    for _ in range(2):
        hsm.pull(token)
        for _ in range(2):
            with pytest.raises(KeyUnavailable):
                signer.sign(b"while it is away")
        assert tokens.failure
        hsm.put(token)
        verifies(signer, b"back", signer.sign(b"back"))
        assert tokens.failure == ""


def test_another_token_in_its_place_signs_nothing(hsm: SoftHsm, tokens: Tokens) -> None:
    token = hsm.make_token("swarm")
    tokens.create(ROOT, KeyKind.P256)
    signer = tokens.signer(ROOT)
    hsm.pull(token)
    hsm.make_token("swarm")
    tokens.close()
    make_pair(hsm.session(), label="root", key_id=1)
    hsm.close()

    with pytest.raises(KeyUnavailable, match="another key"):
        signer.sign(b"what the impostor must not sign")


def test_while_it_is_away_it_is_asked_once_a_second(
    hsm: SoftHsm, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 60.0)
    token = hsm.make_token("swarm")
    tokens.create(ROOT, KeyKind.P256)
    signer = tokens.signer(ROOT)
    hsm.pull(token)
    loads: list[object] = []
    original = Tokens._load

    def counted(self: Tokens, binding: Any) -> Any:
        loads.append(binding)
        return original(self, binding)

    monkeypatch.setattr(Tokens, "_load", counted)

    for _ in range(10):
        with pytest.raises(KeyUnavailable):
            signer.sign(b"x")

    assert len(loads) <= 2


def test_many_threads_sign_at_once(hsm: SoftHsm, tokens: Tokens) -> None:
    hsm.make_token("swarm")
    tokens.create(ROOT, KeyKind.P256)
    signer = tokens.signer(ROOT)
    signatures: list[tuple[bytes, bytes]] = []

    def work(number: int) -> None:
        for count in range(20):
            message = f"{number} {count}".encode()
            signatures.append((message, signer.sign(message)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(signatures) == 160
    for message, signature in signatures:
        verifies(signer, message, signature)


def test_a_module_that_is_none_is_said(hsm: SoftHsm, tmp_path: Path) -> None:
    fake = tmp_path / "fake.so"
    fake.write_bytes(b"no library")
    fake.chmod(0o600)

    with pytest.raises(KeyUnavailable):
        Tokens(TokenAccess(module=str(fake), pin_file=str(hsm.pin_file))).find(ROOT)
