"""Pin a stack file: each service's image is held to its digest, and every other character stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import yaml

MAX_STACK: Final = 1 << 20
MAX_MERGES: Final = 64
_MERGE: Final = "<<"
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*\s+)*")
"""An anchor or tag before a value: the parser counts them to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackImage:
    """One image as a stack file writes it: its text, and where that stands, in characters."""

    text: str
    start: int
    end: int
    quote: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """A stack file's text and the images of its services; an image that several services share stands once."""

    text: str
    images: tuple[StackImage, ...]

    def pinned(self, digest_of: Callable[[str], str]) -> str:
        """The text with each image replaced.

        Args:
            digest_of: gives the pinned form of an image's text.
        """
        text = self.text
        for image in sorted(self.images, key=lambda image: image.start, reverse=True):
            text = f"{text[: image.start]}{image.quote}{digest_of(image.text)}{image.quote}{text[image.end :]}"
        return text


def read_stack(path: Path) -> StackFile:
    """Read a stack file.

    Raises:
        NotFound, Unavailable, UsageProblem: it cannot be read, or is none whose images can be pinned.
    """
    from swarmsec.cli.secretinput import read_bounded

    return parse_stack(read_bounded(path, limit=MAX_STACK), source=str(path))


def parse_stack(data: bytes, *, source: str) -> StackFile:
    """Parse a stack file (Compose specification: ``services``, each with ``image``).

    Args:
        data: UTF-8, one YAML document.
        source: the name for errors.

    Raises:
        UsageProblem: it is none, a service has no image, or an image is not written plainly.
    """
    import yaml

    from swarmsec.errors import UsageProblem

    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            raise UsageProblem(f"{source}: expected no byte order mark")
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise UsageProblem(f"{source}: expected UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageProblem(f"{source}, line {line}: expected one YAML document") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UsageProblem(f"{source}: expected one YAML document") from None
    images: dict[int, StackImage] = {}
    services = _member(document, "services", source)
    if not isinstance(services, yaml.MappingNode) or not services.value:
        raise UsageProblem(f"{source}: expected services in a stack file")
    for name, service in _members(services, source):
        image = _member(service, "image", source)
        if image is None:
            raise UsageProblem(
                f"{source}: service {name[:80]!a} has no image",
                hint="a stack runs images alone; build and push it first",
            )
        found = _image(image, text, name, source)
        images[found.start] = found
    return StackFile(text=text, images=tuple(images.values()))


def _members(node: yaml.Node, source: str) -> Iterator[tuple[str, yaml.Node]]:
    import yaml

    from swarmsec.errors import UsageProblem

    seen: set[str] = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            raise UsageProblem(f"{source}, line {key.start_mark.line + 1}: expected a name")
        if key.value in seen:
            raise UsageProblem(f"{source}, line {key.start_mark.line + 1}: {key.value[:80]!a} stands twice")
        seen.add(key.value)
        yield key.value, value


def _member(node: yaml.Node | None, name: str, source: str, depth: int = 0) -> yaml.Node | None:
    """A member of a mapping: its own, else that of the mappings which are merged into it, the first that has it."""
    import yaml

    from swarmsec.errors import UsageProblem

    if depth > MAX_MERGES:
        raise UsageProblem(f"{source}: expected at most {MAX_MERGES} merges within each other")
    if not isinstance(node, yaml.MappingNode):
        return None
    members = dict(_members(node, source))
    if name in members:
        return members[name]
    merged = members.get(_MERGE)
    for other in merged.value if isinstance(merged, yaml.SequenceNode) else (merged,):
        found = _member(other, name, source, depth + 1)
        if found is not None:
            return found
    return None


def _image(node: yaml.Node, text: str, service: str, source: str) -> StackImage:
    import yaml

    from swarmsec.errors import UsageProblem

    line = node.start_mark.line + 1
    if not isinstance(node, yaml.ScalarNode) or node.style not in {None, "'", '"'}:
        raise UsageProblem(f"{source}, line {line}: expected the image of {service[:80]!a} on one line")
    if "$" in node.value:
        raise UsageProblem(
            f"{source}, line {line}: expected an image without variables, got {node.value[:100]!a}",
            hint="fill them in first: docker stack config -c FILE",
        )
    quote = node.style or ""
    prefix = _PROPERTIES.match(text, node.start_mark.index)
    start = prefix.end() if prefix is not None else node.start_mark.index
    if text[start : node.end_mark.index] != f"{quote}{node.value}{quote}":
        raise UsageProblem(f"{source}, line {line}: expected the image of {service[:80]!a} without escapes")
    return StackImage(text=node.value, start=start, end=node.end_mark.index, quote=quote, service=service)
