"""``swarmsec ca status``: how the authority stands, at one look."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import opened_home, options_of, print_json

if TYPE_CHECKING:
    from swarmsec.services.ca.authority_status import AuthorityStatus
    from swarmsec.services.ca.revocation_lists import ListState
    from swarmsec.services.rotation.rotation_status import RotationStatus

_DAY: Final = 24 * 3600
_NAMED: Final = 5
_LISTED: Final = 20
_LABEL: Final = 14
_WIDTH: Final = 80


@click.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Show how the authority stands: certificates, what is due, when root and revocation list end, tokens.

    The exit code is 0 whatever it finds.
    """
    from swarmsec.services.ca.authority_status import authority_status
    from swarmsec.services.ca.short_lifetimes import short_lifetime_findings
    from swarmsec.services.ca.token_findings import token_findings
    from swarmsec.wiring.ca.authority import served_lifetime_of

    with opened_home(context) as home:
        found = home.store.read(authority_status)
        findings = [
            *short_lifetime_findings(found.short_lived, served_lifetime_of(home.config)),
            *home.store.read(partial(token_findings, module=home.config.pkcs11.module)),
        ]
    if options_of(context).json:
        print_json(_members(found) | {"findings": [finding.members() for finding in findings]})
    else:
        _print(found)
        for finding in findings:
            _line("finding", finding.text)


def _members(found: AuthorityStatus) -> dict[str, object]:
    from swarmsec.clock import rfc3339_seconds

    lists = [_list_members(sha256, state) for sha256, state in found.revocation_lists]
    return {
        "cluster_id": found.cluster_id,
        "root": {"sha256": found.root_sha256, "not_after": rfc3339_seconds(found.root_not_after)},
        "certificates": found.certificates,
        "due": list(found.due),
        "overdue": list(found.overdue),
        "expired": list(found.expired),
        "short_lived": list(found.short_lived),
        "waiting": list(found.waiting),
        "crl": lists[0] and {name: lists[0][name] for name in ("number", "next_update")},
        "crls": [each for each in lists if each is not None],
        "rotation": found.rotation and found.rotation.members(),
        "swarm_roots": [{"sha256": root.sha256, "added": rfc3339_seconds(root.added)} for root in found.swarm_roots],
        "tokens": [
            {
                "role": token.role,
                "kind": token.kind,
                "created": rfc3339_seconds(token.created),
                "age_seconds": max(0, found.now - token.created),
            }
            for token in found.standing_tokens
        ],
        "open_limited_tokens": found.open_limited_tokens,
    }


def _list_members(sha256: str, state: ListState | None) -> dict[str, object] | None:
    from swarmsec.clock import rfc3339_seconds

    if state is None:
        return None
    return {"root_sha256": sha256, "number": state.number, "next_update": rfc3339_seconds(state.next_update)}


def _print(found: AuthorityStatus) -> None:
    from swarmsec.clock import rfc3339_seconds

    days = (found.root_not_after - found.now) // _DAY
    click.echo(f"cluster       {found.cluster_id}")
    click.echo(f"root          until {rfc3339_seconds(found.root_not_after)[:10]}, {days} days")
    click.echo(f"certificates  {', '.join(f'{count} {state}' for state, count in found.certificates.items())}")
    for label, subjects in (("due", found.due), ("overdue", found.overdue)):
        _line(label, _names(subjects))
    if found.expired:
        _line("expired", _names(found.expired))
    if found.waiting:
        _line("waiting", _names(found.waiting))
    for number, (sha256, state) in enumerate(found.revocation_lists):
        whose = f" of the other root, {sha256[:12]}…" if number else ""
        click.echo(f"crl           {_crl(state, found.now)}{whose}")
    if found.rotation is not None:
        _line("rotation", _rotation(found.rotation))
    click.echo(f"swarm roots   {len(found.swarm_roots)} accepted")
    for token in found.standing_tokens:
        click.echo(f"token         {token.kind} {token.role}, {max(0, found.now - token.created) // _DAY} days old")
    click.echo(f"token         {found.open_limited_tokens} with limits")


def _line(label: str, text: str) -> None:
    """A line under its label, broken where it is wider than a terminal is at least."""
    indent = " " * _LABEL
    for line in textwrap.wrap(text, _WIDTH, initial_indent=label.ljust(_LABEL), subsequent_indent=indent):
        click.echo(line)


def _names(subjects: Sequence[str]) -> str:
    from swarmsec.plaintext import plain_text

    more = f" and {len(subjects) - _LISTED} more: see ca list" if len(subjects) > _LISTED else ""
    return f"{plain_text(', '.join(subjects[:_LISTED]))}{more}" if subjects else "nobody"


def _crl(state: ListState | None, now: int) -> str:
    from swarmsec.clock import rfc3339_seconds

    if state is None:
        return "none yet"
    word = "until" if now < state.next_update else "ended"
    return f"number {state.number}, {word} {rfc3339_seconds(state.next_update)}"


def _rotation(found: RotationStatus) -> str:
    from swarmsec.plaintext import plain_text

    names = [blocker.node for blocker in found.blockers[:_NAMED]]
    more = f" and {found.waiting - _NAMED} more" if found.waiting > _NAMED else ""
    waits = f", waits for {plain_text(', '.join(names))}{more}" if names else ""
    return f"{found.record.phase}{waits}{'' if found.is_served else '; no server runs'}"
