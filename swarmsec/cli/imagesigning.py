"""``swarmsec image sign``, ``revoke`` and ``promote``: say what a tag means, and take it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmsec.cli.frame import local_requester, options_of, print_json, say, verify_local
from swarmsec.cli.trusthome import opened_trust
from swarmsec.cli.trustinput import FILE, outcome_members
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.trust.publish_trust import Published
    from swarmsec.services.trust.sign_image import NamedImage
    from swarmsec.services.trust.trust_records import PendingChange

_INSECURE = click.option(
    "--insecure-registry",
    "insecure",
    multiple=True,
    metavar="HOST",
    help="Speak plain HTTP with HOST or HOST:PORT where there is no TLS; repeat for several.",
)


@click.command()
@click.argument("references", nargs=-1, required=True, metavar="REF…")
@click.option("--as", "name", metavar="REF", help="Sign under this name instead.")
@click.option("--ca", "authority", type=FILE, metavar="FILE", help="The root of --server, from: swarmsec ca export.")
@_INSECURE
@click.pass_context
def sign(
    context: click.Context,
    references: tuple[str, ...],
    name: str | None,
    authority: Path | None,
    insecure: tuple[str, ...],
) -> None:
    """Sign what tags mean now: fetch the manifest or index, hash its bytes, and publish tag and digest.

    The first sign of a repository delegates it, where all keys of root lie in this home. With --server the service
    signs, for a token in SWARMSEC_TOKEN (from trust token create) or for the signer of --identity.

    \b
    Examples:
      swarmsec image sign registry.example/shop/api:1.4
      swarmsec image sign oci:./layout:1.4 --as registry.example/shop/api:1.4
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.services.trust.sign_image import ensure_delegated, sign_image

    is_remote = options_of(context).server is not None
    if authority is not None and not is_remote:
        raise UsageProblem("expected --server URL with --ca")
    found = _resolved(references, name, insecure)
    if is_remote:
        _sign_remotely(context, found, authority)
        return
    with opened_trust(context) as home:
        keys = keys_of(context, home)
        outcomes = []
        for named in found:
            is_new = home.store.write(_bound(ensure_delegated, keys, named.repository))
            if is_new:
                say(f"delegated {named.repository} to a key of this home")
            outcomes.append(home.store.write(_bound(sign_image, keys, named)))
    _report(context, found, outcomes)


@click.command()
@click.argument("references", nargs=-1, required=True, metavar="REF…")
@click.option("--reason", default="", help="Why, for everybody who is refused because of it.")
@click.pass_context
def revoke(context: click.Context, references: tuple[str, ...], reason: str) -> None:
    """Take digests back for good, in every repository: those that tags mean, or NAME@sha256:HEX.

    \b
    Examples:
      swarmsec image revoke registry.example/shop/api:1.3 --reason "leaked a key"
    """
    from notary.reference import ImageReference
    from swarmsec.services.trust.sign_image import revoke_image

    parsed = [ImageReference.parse(text) for text in references]
    with opened_trust(context) as home:
        keys = keys_of(context, home)
        done = [home.store.write(_bound(revoke_image, keys, reference, reason=reason)) for reference in parsed]
    if options_of(context).json:
        print_json([outcome_members(outcome) for outcomes in done for outcome in outcomes])
        return
    for reference, outcomes in zip(parsed, done, strict=True):
        click.echo(f"revoked {reference}")
        _say_pending(outcomes)


@click.command()
@click.argument("source")
@click.argument("target")
@_INSECURE
@click.pass_context
def promote(context: click.Context, source: str, target: str, insecure: tuple[str, ...]) -> None:
    """Sign under TARGET what SOURCE means; TARGET's registry must have that very digest there.

    \b
    Examples:
      swarmsec image promote registry.example/shop/api:1.4-rc2 registry.example/shop/api:1.4
    """
    from notary.reference import ImageReference
    from swarmsec.services.trust.sign_image import ensure_delegated, promote_image

    verify_local(options_of(context))
    signed = ImageReference.parse(source)
    found = _resolved((target,), None, insecure)
    with opened_trust(context) as home:
        keys = keys_of(context, home)
        home.store.write(_bound(ensure_delegated, keys, found[0].repository))
        outcome = home.store.write(_bound(promote_image, keys, signed, found[0]))
    _report(context, found, [outcome])


def _sign_remotely(context: click.Context, found: list[NamedImage], authority: Path | None) -> None:
    from swarmsec.cli.trustserver import peer_of, token_of_environment
    from swarmsec.wiring.trust.trustclient import sign_remotely

    peer, token = peer_of(context, authority), token_of_environment()
    answers = [sign_remotely(peer, named, token) for named in found]
    if options_of(context).json:
        print_json(answers)
        return
    for named, answer in zip(found, answers, strict=True):
        click.echo(f"{named} {named.image.digest}")
        if not answer["published"]:
            say(f"waits for signatures: change {answer['change']}")


def _bound(service: Any, keys: Any, *arguments: Any, **named: Any) -> Any:
    """A unit of a service that takes a transaction, the keys and who asks."""
    return lambda transaction: service(transaction, keys, local_requester(), *arguments, **named)


def _resolved(references: tuple[str, ...], name: str | None, insecure: tuple[str, ...]) -> list[NamedImage]:
    """Fetch manifests and name them, before a home is opened."""
    from notary.images import SignedImage
    from notary.reference import ImageReference
    from swarmsec.cli.image import parse_references
    from swarmsec.errors import UsageProblem
    from swarmsec.services.trust.sign_image import named_image
    from swarmsec.wiring.trust.imagesources import open_images

    if name is not None and len(references) > 1:
        raise UsageProblem("expected one REF with --as")
    found = []
    with open_images(insecure=insecure) as images:
        for reference in parse_references(references):
            manifest = images.resolve(reference)
            image = SignedImage(
                digest=manifest.digest,
                size=len(manifest.data),
                media_type=manifest.media_type,
                platforms=manifest.platforms,
            )
            target = images.image_of(reference) if name is None else ImageReference.parse(name)
            found.append(named_image(target, image))
    return found


def _report(context: click.Context, found: list[NamedImage], outcomes: list[Published | PendingChange]) -> None:
    if options_of(context).json:
        members = [
            {"image": str(named), "digest": str(named.image.digest), **outcome_members(outcome)}
            for named, outcome in zip(found, outcomes, strict=True)
        ]
        print_json(members)
        return
    for named in found:
        click.echo(f"{named} {named.image.digest}")
    _say_pending(outcomes)


def _say_pending(outcomes: list[Published | PendingChange]) -> None:
    from swarmsec.services.trust.trust_records import PendingChange

    for outcome in outcomes:
        if isinstance(outcome, PendingChange):
            say(f"waits for signatures: {outcome.summary} ({outcome.change_id}); next: swarmsec trust pending -o FILE")
