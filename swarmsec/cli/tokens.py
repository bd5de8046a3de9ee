"""``swarmsec ca token``: standing join tokens, and those with limits."""

from __future__ import annotations

from datetime import timedelta

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of

ROLES = ("worker", "manager", "driver", "agent", "recover")


@click.group()
def token() -> None:
    """Join tokens.

    \b
    Examples:
      swarmsec ca token worker
      swarmsec ca token manager --rotate
      swarmsec ca token create --role worker --ttl 1h --uses 10
    """


def _standing(context: click.Context, role_word: str, *, rotate: bool) -> None:
    from ca.identity import NodeRole
    from swarmsec.services.nodes.standing_tokens import reveal_standing_token, rotate_standing_token

    role = NodeRole.WORKER if role_word == "worker" else NodeRole.MANAGER
    with opened_home(context) as home:
        keys = keys_of(context, home)
        service = rotate_standing_token if rotate else reveal_standing_token
        text = home.store.write(lambda transaction: service(transaction, keys, local_requester(), role))
    if options_of(context).json:
        print_json({"role": role_word, "token": text})
    else:
        click.echo(text)


@token.command()
@click.option("--rotate", is_flag=True, help="Make a new token; the present one is worth nothing from then on.")
@click.pass_context
def worker(context: click.Context, rotate: bool) -> None:
    """Print the standing token of workers."""
    _standing(context, "worker", rotate=rotate)


@token.command()
@click.option("--rotate", is_flag=True, help="Make a new token; the present one is worth nothing from then on.")
@click.pass_context
def manager(context: click.Context, rotate: bool) -> None:
    """Print the standing token of managers."""
    _standing(context, "manager", rotate=rotate)


@token.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the token is for.")
@click.option("--ttl", type=DURATION, default="15m", show_default=True, help="How long it counts.")
@click.option("--uses", type=int, default=1, show_default=True, metavar="N", help="How often it counts.")
@click.option("--node-name", default="", metavar="N", help="The only node that it is for.")
@click.pass_context
def create(context: click.Context, role: str, ttl: timedelta, uses: int, node_name: str) -> None:
    """Make a token with limits and print it; it is shown this once.

    A token of role recover brings back a node whose certificate has expired, and needs --node-name. With one of role
    driver or agent, the secret driver of a manager or the agent of a node enrols: swarmsec access enrol.

    \b
    Examples:
      swarmsec ca token create --role worker
      swarmsec ca token create --role manager --ttl 1h --node-name m2
      swarmsec ca token create --role driver --node-name m1
    """
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.ca.authority import load_authority
    from swarmsec.services.nodes.limited_tokens import TokenRole, WantedToken, create_limited_token
    from swarmsec.wiring.ca.authority import lifetime_of

    wanted = WantedToken(role=TokenRole(role), ttl=ttl, uses=uses, node_name=node_name)
    with opened_home(context) as home:
        keys = keys_of(context, home)
        lifetime = lifetime_of(home.config)
        record, text = home.store.write(
            lambda transaction: create_limited_token(
                transaction, keys, load_authority(transaction, keys, lifetime), local_requester(), wanted
            )
        )
    expires = rfc3339_seconds(record.expires)
    if options_of(context).json:
        document = {"id": record.token_id, "role": role, "node_name": node_name or None, "uses": uses}
        print_json({**document, "expires": expires, "token": text})
        return
    click.echo(text)
    say(f"token {record.token_id}: {role}, {uses} use{'s' if uses != 1 else ''}, until {expires}")


@token.command("list")
@click.pass_context
def list_command(context: click.Context) -> None:
    """List the tokens with limits; the tokens themselves are not kept."""
    from swarmsec.cli.tables import print_table
    from swarmsec.services.nodes.limited_tokens import list_limited_tokens

    with opened_home(context) as home:
        found = home.store.read(list_limited_tokens)
    if options_of(context).json:
        print_json(found)
        return
    print_table(
        ("ID", "ROLE", "NODE", "STATE", "USES LEFT", "EXPIRES"),
        [
            (
                str(item["id"]),
                str(item["role"]),
                str(item["node_name"] or "any"),
                str(item["state"]),
                f"{item['uses_left']} of {item['uses']}",
                str(item["expires"]),
            )
            for item in found
        ],
    )


@token.command()
@click.argument("token_id", metavar="ID")
@click.option("--reason", default="", help="Why, for the log.")
@click.pass_context
def revoke(context: click.Context, token_id: str, reason: str) -> None:
    """End a token with limits; a standing one is replaced with --rotate."""
    from swarmsec.services.nodes.limited_tokens import revoke_limited_token

    with opened_home(context) as home:
        home.store.write(
            lambda transaction: revoke_limited_token(transaction, token_id, local_requester(), reason=reason)
        )
    if options_of(context).json:
        print_json({"revoked": token_id})
    else:
        click.echo(f"revoked {token_id}")
