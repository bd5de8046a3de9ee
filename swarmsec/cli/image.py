"""``swarmsec image``: what is signed, by whom, and whether an image may run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import LazyGroup, Options, local_requester, opened_home, options_of, warn

if TYPE_CHECKING:
    from swarmsec.wiring.trust.trustsessions import TrustOptions, TrustSession

F = TypeVar("F", bound=Callable[..., Any])

FILE: Final = click.Path(path_type=Path, dir_okay=False)
_VERBS: Final = {
    "inspect": ("swarmsec.cli.imageverifying:inspect", "Show what is signed about images"),
    "list": ("swarmsec.cli.imageverifying:list_command", "List the signed tags of repositories"),
    "verify": ("swarmsec.cli.imageverifying:verify", "Verify images, pin them to their digests"),
}
_SIGNING: Final = {
    "promote": ("swarmsec.cli.imagesigning:promote", "Sign what one tag means under another name"),
    "revoke": ("swarmsec.cli.imagesigning:revoke", "Revoke a digest"),
    "sign": ("swarmsec.cli.imagesigning:sign", "Sign what a tag means now"),
}
_HAS_SIGNING: Final = importlib.util.find_spec("swarmsec.cli.imagesigning") is not None


@click.group(cls=LazyGroup, lazy={**_VERBS, **(_SIGNING if _HAS_SIGNING else {})})
def image() -> None:
    """Which digest an image's tag means, who says so, and whether it may run.

    REF is REGISTRY/NAME:TAG, the same with @sha256:HEX, or oci:DIR[:TAG].
    """


_OPTIONS: Final = (
    click.option("--root", type=FILE, metavar="FILE", help="Trust this root instead of the pinned one."),
    click.option("--offline", "bundle", type=FILE, metavar="BUNDLE", help="Take the metadata from: trust export."),
    click.option("--url", metavar="URL", help="The server whose /tuf/ has the metadata; default: the pinned one."),
    click.option("--ca", "authority", type=FILE, metavar="FILE", help="Trust these authorities for TLS with --url."),
    click.option(
        "--insecure-registry",
        "insecure",
        multiple=True,
        metavar="HOST",
        help="Speak plain HTTP with HOST or HOST:PORT where there is no TLS; repeat for several.",
    ),
    click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long one exchange may take."),
)


def trust_options(command: F) -> F:
    """Give a command the options that say which root, metadata and hosts count."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def trust_of(context: click.Context, chosen: dict[str, Any]) -> TrustOptions:
    """Read those options.

    Raises:
        UsageProblem: two of them contradict each other.
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.trust.trustsessions import TrustOptions

    timeout: timedelta = chosen["timeout"]
    if timeout < timedelta(seconds=1):
        raise UsageProblem("expected --timeout of at least 1s")
    server = options_of(context).server
    url = chosen["url"] or server
    if chosen["bundle"] is not None and url is not None:
        raise UsageProblem("expected either --offline or a server, got both")
    return TrustOptions(
        root=chosen["root"],
        bundle=chosen["bundle"],
        url=url,
        authority=chosen["authority"] or _authority_of(options_of(context)),
        insecure=tuple(chosen["insecure"]),
        seconds=timeout.total_seconds(),
        prefers_home=options_of(context).home is not None,
    )


def _authority_of(options: Options) -> Path | None:
    """The root that stands with an identity of the server, as for other commands over ``--server``."""
    if options.server is None or options.identity is None:
        return None
    from swarmsec.wiring.nodes.identityfiles import IDENTITY

    return options.identity / IDENTITY.root


@contextmanager
def trust_session(context: click.Context, chosen: dict[str, Any]) -> Iterator[TrustSession]:
    """Open a visit as the options say; a home is opened only where its root or metadata is what counts."""
    from swarmsec.wiring.homes.places import default_home
    from swarmsec.wiring.trust.trustsessions import needs_home, open_trust

    options = trust_of(context, chosen)
    path = options_of(context).home or default_home()
    if not needs_home(options) or not _is_home(path):
        with open_trust(options, warn=warn) as session:
            yield session
        return
    from swarmsec.cli.unlock import keys_of
    from swarmsec.wiring.trust.hometrust import open_home_trust

    with opened_home(context, path=path) as home:
        own = open_home_trust(home, unlock=lambda: keys_of(context, home), requester=local_requester(), warn=warn)
        with open_trust(options, home=own, warn=warn) as session:
            yield session


def _is_home(path: Path) -> bool:
    from swarmsec.config import FILE_NAME

    return (path / FILE_NAME).exists()


def parse_references(texts: Sequence[str]) -> list[Any]:
    """Parse references to images and layouts.

    Raises:
        InvalidReference: one is none.
    """
    from notary.reference import ImageReference, is_layout_reference, parse_layout_reference

    return [parse_layout_reference(text) if is_layout_reference(text) else ImageReference.parse(text) for text in texts]
