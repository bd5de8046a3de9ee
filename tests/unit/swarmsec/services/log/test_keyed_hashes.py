"""What the settings ask to be hashed is hashed in every entry that a store writes, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Actor, ObjectRef, Source, parse_entry
from swarmsec.config import ADDRESSES, SUBJECTS, parse_config
from swarmsec.errors import UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.log.keyed_hashes import ask_about_value, open_concealment, standing_terms
from swarmsec.services.requester import Requester
from swarmsec.wiring.homes.home import Home
from tests.unit.swarmsec.homes import OPERATOR, make_home

ADDRESS, SUBJECT = "192.0.2.7", "repo:people/alice"
CALLER = Requester(actor=Actor(type="anonymous", id=""), source=Source(ip=ADDRESS, node="n1"), request_id="r")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    made, _, _ = make_home(tmp_path / "home")
    yield made
    made.close()


def spend(home: Home, requester: Requester = CALLER) -> tuple[dict[str, object], bytes]:
    """Write an entry of a CI identity's and read it back."""
    event = requester.event(
        Action.TRUST_TOKEN_SPEND, ObjectRef(type="oidc-token"), fields={"issuer": "i", "subject": SUBJECT}
    )
    seq = home.store.write(lambda transaction: transaction.log(event))
    with home.store.reading() as transaction:
        stored = transaction.log_entries.get(seq)
    assert stored is not None
    return parse_entry(stored.data), stored.data


def hashes(home: Home, value: str) -> set[str]:
    keys = home.keys()
    asked = SecretBytes(value.encode())
    return home.store.write(lambda transaction: ask_about_value(transaction, keys, OPERATOR, asked))


@pytest.mark.parametrize("wanted", [(), (ADDRESSES,), (SUBJECTS,), (ADDRESSES, SUBJECTS)])
def test_what_is_asked_for_is_hashed(home: Home, wanted: tuple[str, ...]) -> None:
    keys = home.keys()
    if wanted:
        home.store.conceal = home.store.write(lambda transaction: open_concealment(transaction, keys, wanted))
    entry, data = spend(home)
    source, fields = entry["source"], entry["fields"]
    assert isinstance(source, dict)
    assert isinstance(fields, dict)
    assert (ADDRESS.encode() in data, SUBJECT.encode() in data) == (ADDRESSES not in wanted, SUBJECTS not in wanted)
    assert source["node"] == "n1"
    assert fields["issuer"] == "i"
    if ADDRESSES in wanted:
        assert source["ip"] in hashes(home, ADDRESS)
    if SUBJECTS in wanted:
        assert fields["subject"] in hashes(home, SUBJECT)
    # Without an address there is none to hash.
    assert spend(home, OPERATOR)[0]["actor"] == {"id": OPERATOR.actor.id, "type": OPERATOR.actor.type} | (
        {"auth": OPERATOR.actor.auth} if OPERATOR.actor.auth else {}
    )


def test_a_second_start_goes_on_with_the_same_term(home: Home) -> None:
    keys = home.keys()
    first = home.store.write(lambda transaction: open_concealment(transaction, keys, (ADDRESSES,)))
    second = home.store.write(lambda transaction: open_concealment(transaction, keys, (ADDRESSES,)))
    event = CALLER.event(Action.KEY_REWRAP, ObjectRef(type="test"))
    assert first(event) == second(event)
    assert home.store.read(standing_terms) == [1]
    assert first.key.reveal().hex() not in repr(first)


def test_settings_name_what_may_be_hashed() -> None:
    text = b'format = 1\n[audit]\nkeyed_hashes = ["addresses", "subjects"]\n'
    assert parse_config(text, source="x").audit.keyed_hashes == (ADDRESSES, SUBJECTS)
    with pytest.raises(UsageProblem, match="expected only addresses, subjects"):
        parse_config(text.replace(b"subjects", b"names"), source="x")
