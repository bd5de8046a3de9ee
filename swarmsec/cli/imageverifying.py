"""``swarmsec image verify``, ``list`` and ``inspect``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from swarmsec.cli.frame import hint_of, options_of, print_json, say, say_error, warn
from swarmsec.cli.image import FILE, parse_references, trust_options, trust_session
from swarmsec.cli.policyfiles import FILES, read_documents
from swarmsec.cli.tables import print_table
from swarmsec.plaintext import plain_text

if TYPE_CHECKING:
    from notary.vouching import Vouched
    from swarmsec.cli.stackfiles import StackFile
    from swarmsec.services.trust.verify_image import Outcome, Question, RefusedImage, VerifiedImage

PRECEDENCE: Final = (70, 4, 2, 1, 5, 3)
"""Of exit codes, where several images come to different ones."""


@click.command()
@click.argument("references", metavar="[REF]...", nargs=-1)
@click.option("--policy", "policies", multiple=True, type=FILES, metavar="FILE", help="Decide by these documents.")
@click.option("--pin", is_flag=True, help="Print each image as NAME@sha256:HEX.")
@click.option("--stack", type=FILE, metavar="FILE", help="Verify every image of a stack file.")
@click.option("--pin-to", type=FILE, metavar="FILE", help="Write the stack file with its images pinned.")
@click.option("--as", "name", metavar="REF", help="Verify the one REF, an OCI layout, under this name.")
@trust_options
@click.pass_context
def verify(
    context: click.Context,
    /,
    references: Sequence[str],
    policies: Sequence[Path],
    pin: bool,
    stack: Path | None,
    pin_to: Path | None,
    name: str | None,
    **chosen: Any,
) -> None:
    """Verify that images are what was signed, and print their digests.

    The signed metadata says which digest a tag means now; the registry's bytes, hashed here, must have it. Ends with 1
    for a wrong answer, 3 for none, 2 without a pinned root. Trusted on this machine is the root of: swarmsec trust pin.

    \b
    Examples:
      swarmsec image verify registry.example/shop/api:1.4
      swarmsec image verify --pin registry.example/shop/api:1.4
      swarmsec image verify --stack docker-stack.yml --pin-to pinned.yml
      swarmsec image verify --offline trust.bundle oci:./image:1.4
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.trust.imagesources import open_images

    if pin_to is not None and stack is None:
        raise UsageProblem("expected --stack FILE with --pin-to")
    if name is not None and len(references) != 1:
        raise UsageProblem("expected exactly one REF with --as")
    file = _read_stack(stack) if stack is not None else None
    texts = list(dict.fromkeys([*references, *(image.text for image in file.images)] if file else references))
    if not texts:
        raise UsageProblem("expected an image to verify", hint="give REF, or --stack FILE")
    parsed = parse_references(texts)
    documents = read_documents(policies) if policies else None
    seconds = chosen["timeout"].total_seconds()
    with trust_session(context, chosen) as session, open_images(insecure=chosen["insecure"], seconds=seconds) as images:
        questions, failed = _questions(texts, parsed, images, name)
        outcomes = {each.text: each for each in [*failed, *session.verify(questions, documents, images)]}
    _render(context, [outcomes[text] for text in texts], pin=pin)
    code = _code(list(outcomes.values()))
    if code:
        context.exit(code)
    if file is not None and pin_to is not None:
        _write_pinned(file, outcomes, pin_to)


def _read_stack(path: Path) -> StackFile:
    from swarmsec.cli.stackfiles import read_stack

    return read_stack(path)


def _questions(
    texts: Sequence[str], parsed: Sequence[Any], images: Any, name: str | None
) -> tuple[list[Question], list[RefusedImage]]:
    """Name each image; a layout that cannot be read fails alone."""
    from notary.errors import NotaryError
    from notary.reference import ImageReference
    from swarmsec.errors import SwarmsecError
    from swarmsec.services.trust.verify_image import Question, RefusedImage

    questions: list[Question] = []
    failed: list[RefusedImage] = []
    for text, reference in zip(texts, parsed, strict=True):
        try:
            image = images.image_of(reference) if name is None else images.image_of(ImageReference.parse(name))
            questions.append(Question(text=text, reference=reference, image=image))
        except (SwarmsecError, NotaryError) as failure:
            failed.append(RefusedImage(text=text, failure=failure))
    return questions, failed


def _render(context: click.Context, outcomes: Sequence[Outcome], *, pin: bool) -> None:
    from swarmsec.errors import describe
    from swarmsec.services.trust.verify_image import RefusedImage

    if options_of(context).json:
        print_json([_document(outcome) for outcome in outcomes])
    for outcome in outcomes:
        if isinstance(outcome, RefusedImage):
            description = describe(outcome.failure)
            say_error(f"{outcome.text}: {description.text}", hint_of(description))
            continue
        if outcome.failure is not None:
            warn(f"{plain_text(outcome.text)} is not trusted, and passes at level {outcome.level}: {outcome.failure}")
        if not options_of(context).json:
            name = f"{outcome.image.repository}@{outcome.image.digest}"
            click.echo(name if pin else f"{plain_text(outcome.text)} {outcome.image.digest}")


def _document(outcome: Outcome) -> dict[str, object]:
    from swarmsec.services.trust.verify_image import VerifiedImage

    return _verified(outcome) if isinstance(outcome, VerifiedImage) else _refused(outcome)


def _verified(outcome: VerifiedImage) -> dict[str, object]:
    vouched = outcome.vouched
    basis = {"policy": outcome.basis.policy, "rule": outcome.basis.rule, "digest": outcome.basis.digest}
    return {
        "reference": outcome.text,
        "verdict": outcome.verdict.value,
        "repository": outcome.image.repository,
        "tag": outcome.image.tag,
        "digest": str(outcome.image.digest),
        "pinned": f"{outcome.image.repository}@{outcome.image.digest}",
        "media_type": outcome.manifest.media_type.value,
        "platforms": [{"platform": str(c.platform), "digest": str(c.digest)} for c in outcome.manifest.platforms],
        "signed": None if vouched is None else _time(vouched),
        "signers": [] if vouched is None else sorted(vouched.signers),
        "level": outcome.level.value,
        "decided_by": basis,
        "reason": None if outcome.failure is None else str(outcome.failure),
    }


def _refused(outcome: RefusedImage) -> dict[str, object]:
    from swarmsec.errors import describe

    description = describe(outcome.failure)
    code = getattr(outcome.failure, "code", description.kind.word)
    return {
        "reference": outcome.text,
        "verdict": "refused" if description.kind.exit_code == 1 else "unknown",
        "error": {"code": code, "message": description.text, "hint": hint_of(description)},
    }


def _code(outcomes: Sequence[Outcome]) -> int:
    from swarmsec.errors import describe
    from swarmsec.services.trust.verify_image import RefusedImage

    codes = {describe(each.failure).kind.exit_code for each in outcomes if isinstance(each, RefusedImage)}
    return next((code for code in PRECEDENCE if code in codes), 0)


def _write_pinned(file: StackFile, outcomes: dict[str, Outcome], path: Path) -> None:
    from swarmsec.atomicfile import write_atomically
    from swarmsec.errors import Unavailable
    from swarmsec.services.trust.verify_image import VerifiedImage

    def pinned(text: str) -> str:
        outcome = outcomes[text]
        assert isinstance(outcome, VerifiedImage)
        return text if "@" in text else f"{text}@{outcome.image.digest}"

    try:
        write_atomically(path, file.pinned(pinned).encode(), mode=0o644)
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error.strerror}") from None
    say(f"wrote {path} with {len(file.images)} image{'s' if len(file.images) != 1 else ''} pinned")


@click.command("list")
@click.argument("repositories", metavar="REPOSITORY...", nargs=-1, required=True)
@trust_options
@click.pass_context
def list_command(context: click.Context, /, repositories: Sequence[str], **chosen: Any) -> None:
    """List the signed tags of repositories, from the signed metadata alone.

    \b
    Example:
      swarmsec image list registry.example/shop/api
    """
    from notary.roles import parse_repository
    from notary.verifying import tags_of

    names = [parse_repository(text) for text in repositories]
    with trust_session(context, chosen) as session, session.fresh() as metadata:
        found = [vouched for name in names for vouched in tags_of(metadata, name)]
    if options_of(context).json:
        print_json([_signed(vouched) for vouched in found])
        return
    print_table(
        ("IMAGE", "DIGEST", "SIGNED", "SIGNERS"),
        [(f"{v.repository}:{v.tag}", str(v.digest), _time(v) or "–", str(len(v.signers))) for v in found],
    )


@click.command()
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@trust_options
@click.pass_context
def inspect(context: click.Context, /, references: Sequence[str], **chosen: Any) -> None:
    """Show what is signed about images, from the signed metadata alone; nothing is asked of a registry.

    \b
    Example:
      swarmsec image inspect registry.example/shop/api:1.4
    """
    from notary.reference import DEFAULT_TAG, ImageReference
    from notary.verifying import vouch_for

    images = [ImageReference.parse(text) for text in references]
    named = [image if image.tag or image.digest else replace(image, tag=DEFAULT_TAG) for image in images]
    with trust_session(context, chosen) as session, session.fresh() as metadata:
        found = [vouch_for(metadata, image) for image in named]
    if options_of(context).json:
        print_json([_signed(vouched) for vouched in found])
        return
    for vouched in found:
        click.echo(f"{vouched.repository}:{vouched.tag}")
        click.echo(f"  digest   {vouched.digest}")
        click.echo(f"  size     {vouched.size}")
        click.echo(f"  type     {vouched.media_type or 'not said'}")
        click.echo(f"  signed   {_time(vouched) or 'not said'}")
        click.echo(f"  signers  {', '.join(sorted(vouched.signers))}")
        for entry in vouched.platforms:
            click.echo(f"  {entry.platform}  {entry.digest}")


def _signed(vouched: Vouched) -> dict[str, object]:
    return {
        "repository": vouched.repository,
        "tag": vouched.tag,
        "digest": str(vouched.digest),
        "size": vouched.size,
        "media_type": vouched.media_type.value if vouched.media_type is not None else None,
        "signed": _time(vouched),
        "signers": sorted(vouched.signers),
        "platforms": [{"platform": str(e.platform), "digest": str(e.digest)} for e in vouched.platforms],
    }


def _time(vouched: Vouched) -> str | None:
    return None if vouched.signed is None else f"{vouched.signed:%Y-%m-%dT%H:%M:%SZ}"
