"""The root command: the options of the whole program and the list of groups."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from swarmsec._version import __version__
from swarmsec.cli.frame import LazyGroup, Options, run
from swarmsec.cli.streams import prepare_streams

_GROUPS = {
    "access": ("swarmsec.cli.access:access", "Identities of people and programs on the server"),
    "agent": ("swarmsec.cli.agent:agent", "Report what only this host can tell, for its authority's reports"),
    "audit": ("swarmsec.cli.audit:audit", "Read and verify the log"),
    "backup": ("swarmsec.cli.backup:backup", "Write an encrypted backup of this home"),
    "ca": ("swarmsec.cli.ca:ca", "The certificate authority: root, tokens, certificates"),
    "completion": ("swarmsec.cli.completion:completion", "Print the shell completion script"),
    "driver": ("swarmsec.cli.driver:driver", "Give tasks their secrets: the Docker secret driver"),
    "image": ("swarmsec.cli.image:image", "Verify images, and show what is signed about them"),
    "keys": ("swarmsec.cli.keys:keys", "Rotate the keys that seal this home"),
    "node": ("swarmsec.cli.node:node", "Join a node to the authority"),
    "policy": ("swarmsec.cli.policy:policy", "Apply, check and explain policy documents"),
    "restore": ("swarmsec.cli.backup:restore", "Restore a home from a backup"),
    "secrets": ("swarmsec.cli.secrets:secrets", "Secrets in versions, and who may see them"),
    "serve": ("swarmsec.cli.serve:serve", "Serve nodes and Swarms over HTTPS"),
    "trust": ("swarmsec.cli.trust:trust", "Who may sign which image; keys, signatures, status"),
    "swarm": ("swarmsec.cli.swarm:swarm", "A running Docker Swarm on this authority"),
    "unlock": ("swarmsec.cli.unlock:unlock", "Unlock a running server"),
}


@click.group(
    cls=LazyGroup,
    lazy=_GROUPS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The home to work on: settings and state of one authority. Default: $SWARMSEC_HOME.",
)
@click.option("--server", metavar="URL", help="Ask a running server instead of a home.")
@click.option(
    "--identity",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The identity to show to --server, from 'swarmsec access add'.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but results, warnings and errors.")
@click.option("-v", "--verbose", count=True, help="Say more; a defect shows where it happened.")
@click.option(
    "--accept-rollback",
    metavar="REASON",
    help="Go on with a home that is older than its anchor; the reason is logged.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Read the home's passphrase from FILE (mode 0600) instead of asking.",
)
@click.version_option(__version__, prog_name="swarmsec")
@click.pass_context
def root(
    context: click.Context,
    home: Path | None,
    server: str | None,
    identity: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
    accept_rollback: str | None,
    passphrase_file: Path | None,
) -> None:
    """The security control plane for Docker Swarm.

    One home is the authority of exactly one Swarm. Begin with:

    \b
      swarmsec --home ./authority ca init --recovery-out ./recovery.key
      swarmsec --home ./authority serve --listen 0.0.0.0:8443

    Results go to stdout, talk to stderr. Exit codes: 0 good, 1 a decision against, 2 usage or not found,
    3 could not tell or do, 4 an integrity check failed, 70 a defect.
    """
    context.obj = Options(
        home=home,
        server=server,
        identity=identity,
        json=as_json,
        verbosity=-1 if quiet else verbose,
        accept_rollback=accept_rollback,
        passphrase_file=passphrase_file,
    )


def main() -> None:
    """The entry point of the ``swarmsec`` command."""
    prepare_streams()
    sys.exit(run(root))
