"""``swarmsec node pending``, ``approve`` and ``deny``: the authority's side of managers that wait to join."""

from __future__ import annotations

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say

_FINGERPRINT_DIGITS = 64


@click.command()
@click.pass_context
def pending(context: click.Context) -> None:
    """List the managers that wait for approval, on the authority.

    Compare the fingerprint with what 'swarmsec node join' shows on the node before you approve it.
    """
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.nodes.approve_nodes import list_held_nodes, members_of

    with opened_home(context) as home:
        found = home.store.read(list_held_nodes)
    if options_of(context).json:
        print_json([members_of(held) for held in found])
        return
    print_table(
        ("NODE", "STATE", "SINCE", "FROM", "FINGERPRINT"),
        [
            (
                held.node_id,
                held.state.value,
                rfc3339_seconds(held.requested),
                held.address,
                held.spki_sha256.hex()[:16],
            )
            for held in found
        ],
    )


@click.command()
@click.argument("node", metavar="NODE")
@click.option("--fingerprint", metavar="HEX", help="Approve only this key: what 'swarmsec node join' shows.")
@click.pass_context
def approve(context: click.Context, node: str, fingerprint: str | None) -> None:
    """Let a manager in that waits, on the authority; NODE is its name or the id of its request.

    It gets its certificate when it asks next, within seconds.

    \b
    Examples:
      swarmsec --home ./authority node pending
      swarmsec --home ./authority node approve NODE
    """
    from swarmsec.services.nodes.approve_nodes import approve_node, members_of

    expected = None if fingerprint is None else _parse_fingerprint(fingerprint)
    with opened_home(context) as home:
        held = home.store.write(
            lambda transaction: approve_node(transaction, node, local_requester(), fingerprint=expected)
        )
    if options_of(context).json:
        print_json(members_of(held))
        return
    click.echo(held.node_id)
    say(f"approved {held.node_id} with the key {held.spki_sha256.hex()}")


@click.command()
@click.argument("node", metavar="NODE")
@click.option("--reason", default="", help="Why, for the log.")
@click.pass_context
def deny(context: click.Context, node: str, reason: str) -> None:
    """Refuse a manager that waits, on the authority; its key never joins as one."""
    from swarmsec.services.nodes.approve_nodes import deny_node, members_of

    with opened_home(context) as home:
        held = home.store.write(lambda transaction: deny_node(transaction, node, local_requester(), reason=reason))
    if options_of(context).json:
        print_json(members_of(held))
        return
    click.echo(held.node_id)
    say(f"denied {held.node_id} with the key {held.spki_sha256.hex()}")


def _parse_fingerprint(text: str) -> bytes:
    from swarmsec.errors import UsageProblem

    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) * 2 != _FINGERPRINT_DIGITS:
        raise UsageProblem(f"expected a fingerprint of {_FINGERPRINT_DIGITS} hex digits, got {text!r:.80}")
    return found
