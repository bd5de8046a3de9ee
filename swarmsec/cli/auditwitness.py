"""``swarmsec audit witness``: those who watch a log from outside, and the log's side of it.

``init``, ``watch``, ``cosign``, ``serve`` and ``show`` are a witness's own commands and need no home; the others belong
to the home whose log is watched.
"""

from __future__ import annotations

from pathlib import Path

import click

from swarmsec.cli.auditproofs import parse_key
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say, verify_local
from swarmsec.cli.tables import print_table

_directory = click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The witness's files.",
)


@click.group()
def witness() -> None:
    """Watch a log from another machine: cosign only what continues what was seen before."""


@witness.command()
@_directory
@click.option("--name", required=True, metavar="NAME", help="Of the witness, such as witness.example.internal/ci.")
@click.pass_context
def init(context: click.Context, directory: Path, name: str) -> None:
    """Make a witness here, with a key of its own; prints the public key.

    \b
    Example:
      swarmsec audit witness init --dir ./witness --name witness.example.internal/ci
    """
    from swarmsec.clock import SystemClock
    from swarmsec.wiring.log.witnessdir import Witness

    verify_local(options_of(context))
    made = Witness.create(directory, name, SystemClock())
    if options_of(context).json:
        print_json({"key": str(made.key), "dir": str(directory)})
        return
    click.echo(str(made.key))
    say(
        "give this key to whoever relies on the witness, and to the home with: swarmsec audit witness add KEY --url URL"
    )


@witness.command()
@_directory
@click.argument("key")
@click.pass_context
def watch(context: click.Context, directory: Path, key: str) -> None:
    """Watch a log, given its public key.

    \b
    Example:
      swarmsec audit witness watch --dir ./witness log.vkey
    """
    from swarmsec.wiring.log.witnessdir import Witness

    verify_local(options_of(context))
    log = parse_key(key)
    Witness.load(directory).watch(log)
    if options_of(context).json:
        print_json({"origin": log.name})
        return
    click.echo(log.name)


@witness.command()
@_directory
@click.pass_context
def show(context: click.Context, directory: Path) -> None:
    """Show the witness's key, and what it has cosigned of each log.

    \b
    Example:
      swarmsec audit witness show --dir ./witness
    """
    from swarmsec.wiring.log.witnessdir import Witness

    verify_local(options_of(context))
    opened = Witness.load(directory)
    logs = [(log.name, opened.checkpoint_of(log)) for log in opened.watched()]
    if options_of(context).json:
        listed = [
            {"origin": name, "size": known.size if known else 0, "root": known.root.hex() if known else None}
            for name, known in logs
        ]
        print_json({"key": str(opened.key), "logs": listed})
        return
    click.echo(str(opened.key))
    for name, known in logs:
        click.echo(f"{name} {known.size if known else 0}")


@witness.command()
@_directory
@click.option(
    "--from", "source", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="An exported log (tiles)."
)
@click.pass_context
def cosign(context: click.Context, directory: Path, source: Path | None) -> None:
    """Cosign a log's newest checkpoint, if it continues what this witness has seen; prints it with the cosignature.

    With --server and --identity the log is fetched from there and the cosignature handed in, as a CI job does it. With
    --from it is read from exported files; take what is printed to the home: swarmsec audit witness accept.

    \b
    Example:
      swarmsec audit witness cosign --dir ./witness --from evidence
    """
    from swarmsec.clock import SystemClock
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.log.cosigning import cosign_source
    from swarmsec.wiring.log.logclient import LogClient
    from swarmsec.wiring.log.logsources import ExportedLog
    from swarmsec.wiring.log.witnessdir import Witness

    options = options_of(context)
    opened = Witness.load(directory)
    if (source is None) == (options.server is None):
        raise UsageProblem("expected either --from DIR or --server URL")
    client = LogClient.of(options.server, options.identity) if source is None else None
    log = ExportedLog(source) if source is not None else client.log()  # type: ignore[union-attr]  # one of both is there
    found = cosign_source(opened, log, SystemClock())
    if client is not None:
        client.give_cosigned(found.note)
    if options.json:
        print_json({"origin": found.origin, "size": found.size, "checkpoint": found.note.decode()})
        return
    click.echo(found.note.decode(), nl=False)
    say(f"cosigned the first {found.size} entries of {found.origin}")


@witness.command()
@_directory
@click.option("--listen", default="127.0.0.1:8470", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.pass_context
def serve(context: click.Context, directory: Path, listen: str) -> None:
    """Take checkpoints over HTTP (C2SP tlog-witness, add-checkpoint) until stopped.

    What counts is signed, so plain HTTP is enough inside; put a proxy with TLS in front of it elsewhere.

    \b
    Example:
      swarmsec audit witness serve --dir ./witness --listen 0.0.0.0:8470
    """
    from swarmsec.wiring.log.witnessdir import Witness
    from swarmsec.wiring.log.witnessserver import run_witness
    from swarmsec.wiring.serving.session import Listening

    verify_local(options_of(context))
    run_witness(Witness.load(directory), Listening.parse(listen), lambda line: click.echo(line, err=True))


@witness.command()
@click.argument("key")
@click.option("--url", default="", metavar="URL", help="Where it takes checkpoints; none for one that fetches them.")
@click.pass_context
def add(context: click.Context, key: str, url: str) -> None:
    """Count on a witness of this home's log, given its public key.

    \b
    Example:
      swarmsec audit witness add witness.vkey --url http://witness.example.internal:8470
    """
    from swarmsec.services.log.witness_log import add_witness
    from swarmsec.wiring.log.witnessclient import parse_witness_url

    parsed, address = parse_key(key), parse_witness_url(url) if url else ""
    with opened_home(context) as home:
        row = home.store.write(lambda transaction: add_witness(transaction, local_requester(), parsed, address))
    if options_of(context).json:
        print_json({"name": row.name, "key": row.key, "url": row.url})
        return
    click.echo(row.name)


@witness.command(name="list")
@click.pass_context
def list_(context: click.Context) -> None:
    """List the witnesses of this home's log, and how far each has cosigned it.

    \b
    Example:
      swarmsec audit witness list
    """
    from swarmsec.services.log.witness_log import witnessed_sizes

    with opened_home(context) as home:
        found = home.store.read(witnessed_sizes)
    if options_of(context).json:
        print_json([{"name": row.name, "key": row.key, "url": row.url, "size": size} for row, size in found])
        return
    print_table(("NAME", "URL", "ENTRIES"), [(row.name, row.url, str(size)) for row, size in found])


@witness.command()
@click.argument("name")
@click.pass_context
def remove(context: click.Context, name: str) -> None:
    """Count on a witness no longer; what it cosigned stays.

    \b
    Example:
      swarmsec audit witness remove witness.example.internal/ci
    """
    from swarmsec.services.log.witness_log import remove_witness

    with opened_home(context) as home:
        home.store.write(lambda transaction: remove_witness(transaction, local_requester(), name))
    if options_of(context).json:
        print_json({"name": name})
        return
    click.echo(name)


@witness.command()
@click.argument("name", required=False)
@click.pass_context
def ask(context: click.Context, name: str | None) -> None:
    """Have the newest checkpoint cosigned by one witness, or by every witness that has an address.

    Ends with 4 if a witness has seen another history, with 3 if one cannot be reached.

    \b
    Example:
      swarmsec audit witness ask
    """
    from swarmsec.wiring.log.cosigning import ask_witnesses

    with opened_home(context) as home:
        found = ask_witnesses(home, name)
    if options_of(context).json:
        print_json([{"name": one, "size": size} for one, size in found])
        return
    for one, size in found:
        click.echo(f"{one} {size}")


@witness.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def accept(context: click.Context, file: Path) -> None:
    """Keep a cosigned checkpoint, as 'swarmsec audit witness cosign' printed it.

    \b
    Example:
      swarmsec audit witness accept cosigned.txt
    """
    from swarmsec.audit.notes import MAX_NOTE_BYTES
    from swarmsec.services.log.witness_log import accept_cosigned
    from swarmsec.wiring.log.logsources import read_file

    data = read_file(file, limit=MAX_NOTE_BYTES)
    with opened_home(context) as home:
        names = home.store.write(lambda transaction: accept_cosigned(transaction, data))
    if options_of(context).json:
        print_json(names)
        return
    for name in names:
        click.echo(name)
