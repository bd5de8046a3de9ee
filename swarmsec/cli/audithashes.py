"""``swarmsec audit hash-keys``: the keys by which the log names values that it does not hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.tables import print_table

if TYPE_CHECKING:
    from swarmsec.secretbytes import SecretBytes
    from swarmsec.wiring.homes.home import Home


@click.command(name="hash-keys")
@click.option("--rotate", is_flag=True, help="Hash under a new key from now on; the former ones stay.")
@click.option("--erase", type=click.IntRange(1), metavar="TERM", help="Erase a key: its hashes tell nobody anything.")
@click.pass_context
def hash_keys(context: click.Context, rotate: bool, erase: int | None) -> None:
    """List the keys of keyed hashes by their terms; a running server takes a new one when it starts again.

    \b
    Examples:
      swarmsec audit hash-keys
      swarmsec audit hash-keys --rotate
    """
    from swarmsec.cli.unlock import keys_of
    from swarmsec.services.log.keyed_hashes import begin_hash_term, erase_hash_term, standing_terms

    with opened_home(context) as home:
        if rotate or erase is not None:
            keys = keys_of(context, home)
        if rotate:
            term = home.store.write(lambda transaction: begin_hash_term(transaction, keys, local_requester()))
            say(f"hashes under term {term} from now on")
        if erase is not None:
            home.store.write(lambda transaction: erase_hash_term(transaction, keys, local_requester(), erase))
            home.store.truncate_write_ahead_log()
            say(f"term {erase} is erased here; backups made before still hold it")
        terms = home.store.read(standing_terms)
    if options_of(context).json:
        print_json([{"term": term, "writing": term == terms[-1]} for term in terms])
        return
    print_table(("TERM", "STATE"), [(str(term), "writing" if term == terms[-1] else "kept") for term in terms])


def hashes_of_stdin(context: click.Context, home: Home) -> frozenset[str]:
    """The keyed hashes of the value on standard input; that somebody asked is on disk before the answer.

    Raises:
        UsageProblem: there is no value, or one longer than any secret.
    """
    from swarmsec.cli.unlock import keys_of
    from swarmsec.services.log.keyed_hashes import ask_about_value

    value, keys = _read_value(), keys_of(context, home)
    return frozenset(home.store.write(lambda transaction: ask_about_value(transaction, keys, local_requester(), value)))


def _read_value() -> SecretBytes:
    from swarmsec.errors import UsageProblem
    from swarmsec.secretbytes import SecretBytes
    from swarmsec.secretstore.versions import MAX_VALUE

    if sys.stdin.isatty():
        raise UsageProblem("expected the value on standard input, got a terminal, which would show it")
    data = sys.stdin.buffer.read(MAX_VALUE + 2)
    if not 1 <= len(data) <= MAX_VALUE + 1:
        raise UsageProblem(f"expected a value of 1 to {MAX_VALUE} bytes on standard input")
    return SecretBytes(data)
