"""A node renews when it is time, keeps what works when it cannot, and believes no wrong answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.identity import NodeRole
from ca.issuing import Issuer, cross_sign, serial_from
from ca.profiles import cross_validity
from swarmsec.errors import Denied, NotFound, Unavailable, UsageProblem
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.wiring.nodes import followingroots, renewing
from swarmsec.wiring.nodes.filekinds import NODE_FILES
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, KEY, NEXT_KEY, ROOTS, alone, make_key, open_node_files
from swarmsec.wiring.nodes.renewing import KEPT_SECONDS, due_time, keep_renewed, renew
from tests.unit.ca.authority import new_issuer
from tests.unit.swarmsec.services.conftest import desk
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.wiring.nodes.nodes import SERVER, FakeServer, certificate_in, make_node, part_of_life

__all__ = ["desk"]
CHECK = followingroots.PATH


@pytest.fixture
def node(desk: Desk, tmp_path: Path) -> Path:
    make_node(desk, tmp_path / "node")
    return tmp_path / "node"


@pytest.fixture
def server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    made = FakeServer(desk=desk)
    monkeypatch.setattr(renewing, "ask", made.ask)
    monkeypatch.setattr(followingroots, "ask", made.ask)
    return made


def at(node: Path, part: float) -> Callable[[], datetime]:
    moment = part_of_life(certificate_in(node), part)
    return lambda: moment


def files(node: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in node.iterdir()}


def test_key_and_certificate_are_new_and_the_node_is_the_same(server: FakeServer, node: Path) -> None:
    before = open_node_files(node)

    renewed = renew(SERVER, node)

    after = open_node_files(node)
    assert renewed.is_new
    assert after.pair.certificate == renewed.certificate != before.pair.certificate
    assert after.identity == before.identity
    assert (node / KEY).read_bytes()
    assert after.pair.key.public_key() != before.pair.key.public_key()
    assert {path.name for path in node.iterdir()} == {CERTIFICATE, KEY, ROOTS, NODE_FILES.window}
    assert renew(SERVER, node).is_new


def test_the_moment_is_drawn_once_and_lies_in_the_window(node: Path) -> None:
    drawn = {due_time(open_node_files(node)) for _ in range(5)}
    (moment,) = drawn
    certificate = certificate_in(node)

    assert part_of_life(certificate, 0.5) - timedelta(minutes=1) <= moment <= part_of_life(certificate, 0.8)
    (node / NODE_FILES.window).unlink()
    assert len({due_time(open_node_files(node)) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\xff", b"%s -1", b"%s 1000000", b"%s 1 1", b"ab 5", b"%s " + b"9" * 99]
)
def test_a_moment_that_was_not_drawn_for_this_certificate_is_drawn_anew(content: bytes, node: Path) -> None:
    due_time(open_node_files(node))
    sha256, _, _ = (node / NODE_FILES.window).read_bytes().partition(b" ")
    (node / NODE_FILES.window).write_bytes(content.replace(b"%s", sha256))

    moment = due_time(open_node_files(node))

    assert moment <= part_of_life(certificate_in(node), 0.8)
    assert (node / NODE_FILES.window).read_bytes().startswith(sha256 + b" ")


def test_if_due_asks_for_nothing_new_before_its_moment(server: FakeServer, node: Path) -> None:
    before = certificate_in(node)

    early = renew(SERVER, node, if_due=True, now=at(node, 0.49))

    assert (early.is_new, early.certificate, server.asked) == (False, before, [CHECK])
    server.is_down = True
    assert not renew(SERVER, node, if_due=True, now=at(node, 0.49)).is_new
    server.is_down = False
    assert renew(SERVER, node, if_due=True, now=at(node, 0.81)).is_new


@pytest.mark.parametrize("part", [1.0, 1.5])
def test_an_expired_certificate_says_how_to_come_back_before_anybody_is_asked(
    part: float, server: FakeServer, node: Path
) -> None:
    with pytest.raises(Denied, match="certificate of n1 expired at") as raised:
        renew(SERVER, node, now=at(node, part))

    assert "--role recover --node-name n1" in (raised.value.hint or "")
    assert server.asked == []


def test_a_clock_before_the_certificate_is_told(server: FakeServer, node: Path) -> None:
    with pytest.raises(Denied, match="counts only from"):
        renew(SERVER, node, now=at(node, -0.1))
    assert server.asked == []


def test_a_key_that_docker_keeps_is_left_alone(server: FakeServer, node: Path) -> None:
    begin, rest = (node / KEY).read_bytes().split(b"\n", 1)
    (node / KEY).write_bytes(begin + b"\nraft-dek: AAAA\n\n" + rest)
    before = files(node)

    with pytest.raises(UsageProblem, match="Docker"):
        renew(SERVER, node)

    assert (files(node), server.asked) == (before, [])


def test_what_cannot_be_reached_leaves_the_pair_and_the_next_try_uses_the_same_key(
    server: FakeServer, node: Path
) -> None:
    before = open_node_files(node).pair.certificate
    server.is_down = True
    with pytest.raises(Unavailable):
        renew(SERVER, node)
    assert open_node_files(node).pair.certificate == before
    waiting = (node / NEXT_KEY).read_bytes()

    server.is_down = False
    renew(SERVER, node)

    assert (node / KEY).read_bytes() == waiting


def test_an_answer_that_was_lost_is_not_a_second_certificate(
    server: FakeServer, desk: Desk, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*arguments: object, **named: object) -> None:
        server.ask(*arguments, **named)  # type: ignore[arg-type]  # passed on as they came
        raise Unavailable("the connection was lost")

    monkeypatch.setattr(renewing, "ask", lose)
    with pytest.raises(Unavailable):
        renew(SERVER, node)
    monkeypatch.setattr(renewing, "ask", server.ask)

    renew(SERVER, node)

    assert sorted(desk.states().values()) == ["superseded", "valid"]


def test_wrong_answers_are_not_believed(server: FakeServer, desk: Desk, node: Path) -> None:
    stranger = new_issuer().certificate
    other = certificate_pem(desk.issue(NodeRole.WORKER, "n2", new_key())).decode()
    before = {name: content for name, content in files(node).items() if name in {KEY, CERTIFICATE, ROOTS}}
    stranger_pem = stranger.public_bytes(Encoding.PEM).decode()
    wrong = (
        {"certificate": other},
        {"certificate": ""},
        {"certificate": 7},
        {"certificate": before[CERTIFICATE].decode()},
        {"root_bundle": ""},
        {"root_bundle": None},
        {"root_bundle": other},
        {"root_bundle": stranger_pem},
        {"root_bundle": "\n" + desk.authority.bundle_pem.decode()},
    )
    for change in wrong:
        server.change = change
        with pytest.raises(Denied):
            renew(SERVER, node)
        assert {name: files(node)[name] for name in before} == before, change


def test_a_certificate_of_another_identity_is_not_believed(server: FakeServer, desk: Desk, node: Path) -> None:
    key_before = (node / KEY).read_bytes()

    def as_another(*arguments: object, **named: object) -> dict[str, object]:
        record = desk.issue(NodeRole.MANAGER, "n9", make_key(node / NEXT_KEY))
        return {"certificate": certificate_pem(record).decode(), "root_bundle": desk.authority.bundle_pem.decode()}

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Denied, match="another than n1"):
        patch.setattr(renewing, "ask", as_another)
        renew(SERVER, node)
    assert (node / KEY).read_bytes() == key_before


def test_roots_that_nobody_trusted_signed_are_not_believed(server: FakeServer, desk: Desk, node: Path) -> None:
    stranger = new_issuer()
    forged = cross_signed(new_issuer(), stranger.certificate)
    both = (desk.authority.bundle_pem + stranger.certificate.public_bytes(Encoding.PEM)).decode()
    for cross in ("", stranger.certificate.public_bytes(Encoding.PEM).decode(), forged):
        server.change = {"root_bundle": both, "cross_signed": cross}
        with pytest.raises(Denied, match="not to be believed"):
            renew(SERVER, node)
        assert (node / ROOTS).read_bytes() == desk.authority.bundle_pem


def test_a_root_that_a_trusted_one_signed_is_kept(server: FakeServer, desk: Desk, node: Path) -> None:
    successor = new_issuer().certificate
    both = desk.authority.bundle_pem + successor.public_bytes(Encoding.PEM)
    server.change = {"root_bundle": both.decode(), "cross_signed": cross_signed(desk.authority.issuer, successor)}

    renew(SERVER, node)

    assert (node / ROOTS).read_bytes() == both


def test_where_no_node_is_nothing_is_asked(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        renew(SERVER, tmp_path)
    with pytest.raises(NotFound):
        renew(SERVER, tmp_path / "nothing")
    with pytest.raises(UsageProblem):
        renew("http://ca.example.internal", tmp_path)
    assert server.asked == []


def test_two_renewals_at_once_are_one(server: FakeServer, node: Path) -> None:
    with alone(node), pytest.raises(Unavailable, match="another process"):
        renew(SERVER, node)
    assert server.asked == []


def cross_signed(issuer: Issuer, root: x509.Certificate) -> str:
    """A cross-certificate of a root, PEM."""
    now = datetime.now(UTC)
    span = cross_validity(now, issuer_not_after=issuer.not_after, root_not_after=root.not_valid_after_utc)
    der = cross_sign(issuer, new_root=root, serial=serial_from(bytes(20)), validity=span)
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


def run_rounds(
    node: Path, server: FakeServer, rounds: int, now: Callable[[], datetime], *, every: int = 60, waits: int = 60
) -> list[str]:
    """Let the daemon look some times, without waiting between."""
    told: list[str] = []
    left = iter(range(rounds))

    class Counted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == waits
            if next(left, None) == rounds - 1:
                self.set()
            return self.is_set()

    keep_renewed(SERVER, node, every=timedelta(seconds=every), stop=Counted(), tell=told.append, now=now)
    return told


def test_the_daemon_looks_for_new_roots_and_waits_for_its_moment(server: FakeServer, node: Path) -> None:
    before = certificate_in(node)

    told = run_rounds(node, server, 3, at(node, 0.1))

    assert (told, server.asked) == ([], [CHECK] * 3)
    assert certificate_in(node) == before


def test_the_daemon_renews_when_it_is_due(server: FakeServer, node: Path) -> None:
    before = certificate_in(node)

    told = run_rounds(node, server, 1, at(node, 0.85))

    assert certificate_in(node) != before
    assert len(told) == 1
    assert told[0].startswith("renewed n1: ")


def test_the_daemon_follows_new_roots_at_once(server: FakeServer, desk: Desk, node: Path) -> None:
    successor = new_issuer().certificate
    both = desk.authority.bundle_pem + successor.public_bytes(Encoding.PEM)
    server.change = {"root_bundle": both.decode(), "cross_signed": cross_signed(desk.authority.issuer, successor)}
    before = certificate_in(node)

    told = run_rounds(node, server, 1, at(node, 0.02))

    assert (node / ROOTS).read_bytes() == both
    assert certificate_in(node) == before
    assert len(told) == 1
    assert told[0].startswith("trusts the roots ")


def test_the_daemon_renews_when_it_is_its_turn(server: FakeServer, node: Path) -> None:
    server.change = {"renew": True, "phase": "reissuing"}
    before = certificate_in(node)

    assert len(run_rounds(node, server, 1, at(node, 0.1))) == 1
    assert certificate_in(node) != before
    # Being seen with the new certificate does not wait for the next round.
    assert server.asked == [CHECK, "/api/v1/node/renew", CHECK]


@pytest.mark.parametrize("seconds", [0, 1, KEPT_SECONDS + 1])
@pytest.mark.parametrize("every", [KEPT_SECONDS, KEPT_SECONDS + 1])
def test_the_daemon_keeps_its_connection_where_it_asks_again_soon(
    seconds: int, every: int, server: FakeServer, node: Path
) -> None:
    waits = min(seconds or every, every)
    for change, pause in ({}, waits), ({"phase": None}, every):
        # An answer that is none ends it.
        server.change = {"retry_after": seconds} | change
        run_rounds(node, server, 2, at(node, 0.1), every=every, waits=pause)
    assert server.was_kept == [False, waits <= KEPT_SECONDS, False, False]


@pytest.mark.parametrize("change", [{"renew": 1}, {"retry_after": -1}, {"retry_after": "soon"}, {"phase": None}])
def test_an_answer_that_does_not_say_what_to_do_is_not_guessed_at(
    change: dict[str, object], server: FakeServer, node: Path
) -> None:
    server.change = change
    with pytest.raises(Denied, match="did not say whether to renew"):
        renew(SERVER, node)


def test_the_daemon_goes_on_through_trouble_and_tells_it_once(server: FakeServer, node: Path) -> None:
    server.is_down = True
    told = run_rounds(node, server, 4, at(node, 0.1))
    expired = run_rounds(node, server, 4, at(node, 1.1))

    assert told == ["not renewed: the server is away"]
    assert len(expired) == 1
    assert "swarmsec node recover" in expired[0]
    assert server.asked == [CHECK] * 4


def test_the_daemon_hides_no_defect(server: FakeServer, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(followingroots, "ask", fail)
    with pytest.raises(RuntimeError):
        run_rounds(node, server, 1, at(node, 0.1))


@pytest.mark.parametrize("minutes", [2, 4, 59])
@pytest.mark.parametrize("lost", range(3))
def test_the_daemon_keeps_up_with_lives_of_minutes_and_answers_that_are_lost(
    minutes: int, lost: int, server: FakeServer, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.allow_minutes(minutes)
    make_node(desk, tmp_path / "node")
    begun = desk.home.store.clock.unix_ms() / 1000
    passed = 0.0
    tries = 0

    class Passing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal passed
            assert timeout is not None
            passed += timeout
            desk.move_clock(timedelta(seconds=passed))
            if passed > 5 * 60 * minutes:
                self.set()
            return self.is_set()

    def ask(*arguments: object, **named: object) -> dict[str, object]:
        nonlocal tries
        tries += 1
        if tries % (lost + 1):
            raise Unavailable("the server is away")
        return server.ask(*arguments, **named)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(renewing, "ask", ask)
    told: list[str] = []
    keep_renewed(
        SERVER,
        tmp_path / "node",
        every=timedelta(seconds=60),
        stop=Passing(),
        tell=told.append,
        now=lambda: datetime.fromtimestamp(begun + passed, UTC),
    )

    assert not any("expired" in line for line in told), told
    assert sum(line.startswith("renewed n1: ") for line in told) >= 5


def test_told_to_stop_before_it_began_the_daemon_asks_nobody(server: FakeServer, node: Path) -> None:
    stop = threading.Event()
    stop.set()

    keep_renewed(SERVER, node, every=timedelta(seconds=1), stop=stop, tell=print)

    assert server.asked == []
