"""The options of ``ca rotate`` that say what the new root is to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from swarmsec.cli.frame import home_path, options_of, say

if TYPE_CHECKING:
    from swarmsec.wiring.ca.nextroots import WantedRoot

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class RootOptions:
    """The options as they were given."""

    key_type: str | None
    import_cert: Path | None
    import_key: Path | None
    pkcs11: str | None
    sealed: bool

    @property
    def is_plain(self) -> bool:
        """Whether none was given."""
        return not (self.key_type or self.import_cert or self.import_key or self.pkcs11 or self.sealed)


def root_options(command: F) -> F:
    """Add the options to a command, which gets them as ``RootOptions`` by ``RootOptions(**…)``."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option("--sealed", is_flag=True, help="Seal the new root's key in this home, not in a token."),
        click.option("--pkcs11", metavar="URI", help="Have the new root's key in a PKCS#11 token, as with ca init."),
        click.option("--import-key", type=file, metavar="FILE", help="The key of --import-cert (PEM, mode 0600)."),
        click.option("--import-cert", type=file, metavar="FILE", help="Go to this root (PEM) instead of making one."),
        click.option("--key-type", type=click.Choice(["p256", "p384"]), help="Of the new root; else as the present."),
    ):
        command = option(command)
    return command


def wanted_root(context: click.Context, options: RootOptions) -> WantedRoot:
    """Read what was asked for, before a home is opened or anything is made.

    Raises:
        UsageProblem: options that contradict each other, or a root or URI that will not do.
        KeyUnavailable, WrongUnlock: the token cannot be used.
    """
    from swarmsec.cli.importedroot import read_imported_root
    from swarmsec.errors import UsageProblem
    from swarmsec.keys.tokenuri import parse_token_uri
    from swarmsec.services.records import KeyKind
    from swarmsec.wiring.ca.nextroots import WantedRoot
    from swarmsec.wiring.ca.tokenroots import verify_token_at

    imported = read_imported_root(options.import_cert, options.import_key, has_type=options.key_type is not None)
    if (imported is not None) + (options.pkcs11 is not None) + options.sealed > 1:
        raise UsageProblem("expected one of --import-cert, --pkcs11 and --sealed, got several")
    uri = None if options.pkcs11 is None else parse_token_uri(options.pkcs11)
    settings = None if uri is None else verify_token_at(home_path(options_of(context)), uri)
    kind = KeyKind(options.key_type) if options.key_type else None
    return WantedRoot(key_kind=kind, imported=imported, uri=uri, sealed=options.sealed, settings=settings)


def say_where_keys_are(options: RootOptions) -> None:
    """Remind of the file that has an imported root's key in the clear."""
    if options.import_key is not None:
        say(
            f"the new root's private key is sealed in this home; {options.import_key} still has it in the clear: remove"
            " that file"
        )
