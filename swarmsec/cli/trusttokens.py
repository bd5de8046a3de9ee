"""``swarmsec trust token``: tokens with which CI signs one repository once."""

from __future__ import annotations

from datetime import timedelta

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of


@click.group()
def token() -> None:
    """Tokens for CI.

    \b
    Examples:
      swarmsec trust token create --repo registry.example/shop/api --ttl 15m
    """


@token.command()
@click.option("--repo", "repository", required=True, metavar="R", help="The only repository that it signs.")
@click.option("--ttl", type=DURATION, default="15m", show_default=True, help="How long it counts.")
@click.pass_context
def create(context: click.Context, repository: str, ttl: timedelta) -> None:
    """Make a token that signs one image of a repository, and print it; it is shown this once.

    A CI job has it in SWARMSEC_TOKEN for: swarmsec --server URL image sign REF --ca FILE.
    """
    from notary.roles import parse_repository
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.trust.ci_tokens import create_ci_token

    name = parse_repository(repository)
    with opened_home(context) as home:
        keys = keys_of(context, home)
        made = home.store.write(
            lambda transaction: create_ci_token(transaction, keys, local_requester(), repository=name, ttl=ttl)
        )
    text, expires = made.text.reveal().decode("ascii"), rfc3339_seconds(made.expires)
    if options_of(context).json:
        print_json({"id": made.token_id, "repository": name, "expires": expires, "token": text})
        return
    click.echo(text)
    say(f"token {made.token_id}: signs {name} once, until {expires}")
