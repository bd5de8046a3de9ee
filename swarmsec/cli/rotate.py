"""``swarmsec ca rotate``: move to another root, watch, call off, go on without somebody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say, warn
from swarmsec.cli.nextroot import RootOptions, root_options, say_where_keys_are, wanted_root
from swarmsec.cli.swarmoptions import docker_options
from swarmsec.cli.swarmrotate import SwarmRotationOptions, leads_a_swarm, rotate_with_swarm
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.keys.signers import SealedKeys
    from swarmsec.services.rotation.rotate_authority import LeftOut
    from swarmsec.services.rotation.rotation_records import RotationRecord
    from swarmsec.services.rotation.rotation_status import RotationStatus
    from swarmsec.wiring.ca.nextroots import WantedRoot
    from swarmsec.wiring.homes.home import Home

_NAMED: Final = 5


@click.command()
@click.option("--detach", is_flag=True, help="Begin, do what can be done at once, and do not wait.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Wait no longer than this, such as 10m.")
@click.option("--finish-without", metavar="NODE", multiple=True, help="Go on without NODE, and revoke it. Repeatable.")
@click.option("--follow", is_flag=True, help="Begin none: follow the one that runs, or show how the last one ended.")
@click.option("--abort", is_flag=True, help="Call the rotation off; nodes that had moved come back.")
@root_options
@docker_options
@click.pass_context
def rotate(
    context: click.Context,
    /,
    detach: bool,
    timeout: timedelta | None,
    finish_without: tuple[str, ...],
    follow: bool,
    abort: bool,
    docker: str | None,
    docker_tls: Path | None,
    **root: Any,
) -> None:
    """Move to a new root, or follow the rotation that runs, and wait for its end.

    Nodes follow by themselves: swarmsec node renew --daemon, or --if-due from a timer. They need a running server in
    this home. Until each of them uses the new root, both count; then the old one is given up, and join tokens are
    new. Ctrl-C leaves the rotation running; --follow watches it again.

    A home that has adopted a Swarm leads the Swarm along, in two moves. A running server goes on with it after an
    interruption or --detach, and so does repeating the command; --abort goes back.

    \b
    Examples:
      swarmsec ca rotate --timeout 10m
      swarmsec ca rotate --key-type p384 --detach
      swarmsec ca rotate --import-cert root.pem --import-key root.key
    """
    options = RootOptions(**root)
    # Before anything is read or set down for a root that is not to be.
    _verify_one(abort, follow, not options.is_plain)
    wanted = wanted_root(context, options)
    with opened_home(context) as home:
        leads = home.store.read(leads_a_swarm)
        _verify_one(abort, follow, bool(finish_without) and not leads, not options.is_plain)
        if leads:
            swarm_options = SwarmRotationOptions(
                finish_without=finish_without,
                timeout=timeout,
                wanted=wanted,
                detach=detach,
                follow=follow,
                abort=abort,
                docker=docker,
                docker_tls=docker_tls,
            )
            rotate_with_swarm(context, home, swarm_options)
            say_where_keys_are(options)
            return
        _verify_no_docker(docker, docker_tls)
        keys = keys_of(context, home)
        left = _leave_out(home, finish_without) if finish_without else None
        begins = not (follow or finish_without)
        record, joined = _abort(home, keys) if abort else _begin(home, keys, wanted, begins=begins)
        status = _wait(home, keys, record, detach=detach, timeout=timeout)
        others = _others(home, status)
    if not status.is_over and not detach:
        _time_is_over(status)
    expected = "aborted" if abort else "retired"
    if status.is_over and status.record.phase != expected and (abort or begins):
        _went_otherwise(status)
    if not joined:
        say_where_keys_are(options)
    if options_of(context).json:
        document = status.members() | {"joined": joined, "issue_again": list(others)}
        print_json(document | ({} if left is None else {"left_out": list(left.nodes)}))
    else:
        _print(status, others)


def _verify_one(*asked: bool) -> None:
    from swarmsec.errors import UsageProblem

    if sum(asked) > 1:
        raise UsageProblem(
            "expected one of --abort, --follow, --finish-without and what the new root is to be, got several"
        )


def _verify_no_docker(docker: str | None, tls: Path | None) -> None:
    from swarmsec.errors import UsageProblem

    if docker is not None or tls is not None:
        raise UsageProblem(
            "expected --docker with a home that has adopted a Swarm", hint="without one, no Docker Engine is asked"
        )


def _begin(home: Home, keys: SealedKeys, wanted: WantedRoot, *, begins: bool) -> tuple[RotationRecord, bool]:
    from swarmsec.errors import NotFound
    from swarmsec.wiring.ca.nextroots import LIKE_THE_PRESENT
    from swarmsec.wiring.ca.rootrotation import begin

    if not begins:
        record = home.store.read(lambda transaction: transaction.rotations.newest())
        if record is None:
            raise NotFound("there never was a root rotation", hint="begin one with: swarmsec ca rotate")
        return record, True
    begun = begin(home, keys, local_requester(), wanted)
    if begun.joined:
        say(f"following the rotation that runs, {begun.record.phase}")
        if wanted != LIKE_THE_PRESENT:
            warn("the rotation that runs has its root already; what was asked of another one changes nothing")
    return begun.record, begun.joined


def _abort(home: Home, keys: SealedKeys) -> tuple[RotationRecord, bool]:
    from swarmsec.services.rotation.rotate_authority import abort_rotation

    record = home.store.write(lambda transaction: abort_rotation(transaction, keys, local_requester()))
    return record, True


def _leave_out(home: Home, nodes: Sequence[str]) -> LeftOut:
    from swarmsec.services.nodes.renew_node import records_of, role_word
    from swarmsec.services.rotation.rotate_authority import finish_without

    left = home.store.write(lambda transaction: finish_without(transaction, frozenset(nodes), local_requester()))
    for node in left.nodes:
        records = home.store.read(partial(records_of, name=node))
        role = role_word(records[-1]) if records else "node"
        warn(f"{role} {node} is left out, and its certificates are revoked; it has to join again")
    for node in left.followed:
        say(f"{node} has followed already")
    return left


def _wait(
    home: Home, keys: SealedKeys, record: RotationRecord, *, detach: bool, timeout: timedelta | None
) -> RotationStatus:
    from swarmsec.wiring.ca.rootrotation import Watch, carry_on, watch

    if detach:
        return carry_on(home, keys, local_requester(), record)
    seconds = None if timeout is None else timeout.total_seconds()
    with _Teller() as teller:
        return watch(home, keys, local_requester(), record, Watch(timeout=seconds, tell=teller.tell))


def _others(home: Home, status: RotationStatus) -> Sequence[str]:
    """Who holds a certificate of the root that goes, and has to be given another by hand."""
    from swarmsec.services.rotation.rotation_status import left_behind

    if status.record.phase == "aborted":
        return ()
    return home.store.read(lambda transaction: left_behind(transaction, status.record))


class _Teller:
    """Says on stderr what is new."""

    def __init__(self) -> None:
        self._said: tuple[object, ...] = ()
        self._looks = 0
        self._warned = False

    def __enter__(self) -> _Teller:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def tell(self, status: RotationStatus) -> None:
        """Say how far it is, where that is news; and once, that nobody serves the nodes."""
        self._looks += 1
        now = (status.record.phase, *status.counts.values())
        if now != self._said:
            self._said = now
            say(_line(status))
        if not status.is_over and status.waiting and not status.is_served and self._looks > 8 and not self._warned:
            self._warned = True
            warn("no server runs in this home: nodes cannot follow until 'swarmsec serve' does")


def _line(status: RotationStatus) -> str:
    counts = status.counts
    total = sum(counts.values()) - counts["excluded"]
    if status.record.phase == "aborted":
        return f"aborted: {status.waiting} nodes to come back"
    trust = total - counts["pending"]
    return f"{status.record.phase}: {trust}/{total} trust both roots, {counts['converged']}/{total} use the new one"


def _time_is_over(status: RotationStatus) -> NoReturn:
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.errors import Unavailable

    def named(moment: int | None) -> str:
        return "never" if moment is None else rfc3339_seconds(moment)

    who = [
        f"{blocker.role} {blocker.node} (last seen {named(blocker.last_seen)}, certificate until"
        f" {named(blocker.not_after)})"
        for blocker in status.blockers[:_NAMED]
    ]
    more = f" and {status.waiting - _NAMED} more" if status.waiting > _NAMED else ""
    served = "" if status.is_served else "; no server runs in this home, and nodes cannot follow without one"
    raise Unavailable(
        f"the rotation is {status.record.phase} and waits for {', '.join(who) or 'its next step'}{more}{served}",
        hint="it goes on by itself: wait with 'swarmsec ca rotate --follow', go on without one with"
        " --finish-without NODE, or call it off with --abort",
    )


def _went_otherwise(status: RotationStatus) -> NoReturn:
    from swarmsec.errors import Changed

    raise Changed(f"the rotation ended as {status.record.phase}, by somebody else's command", hint="see: audit log")


def _former_key(status: RotationStatus) -> str:
    if not status.former_key:
        return " and its key erased"
    return f"; its key stays in its token, remove it there: {status.former_key}"


def _print(status: RotationStatus, others: Sequence[str]) -> None:
    record = status.record
    click.echo(record.old_root if record.phase == "aborted" else record.new_root)
    if not status.is_over:
        say(f"{_line(status)}; it goes on while 'swarmsec serve' runs: see ca status")
    elif record.phase == "retired":
        say(f"rotated: the old root is given up{_former_key(status)}, join tokens are new: see ca token")
    else:
        say("called off: the old root stays")
    if others and record.phase != "aborted":
        names = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
        warn(f"certificates of the old root that do not follow by themselves: {names}; issue them again")
