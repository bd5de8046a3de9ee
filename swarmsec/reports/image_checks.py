"""Checks of the images that services run, against what the home's trust repository says of them now.

An image that names no digest may be any image: nobody vouches for it, and nobody can say that it was not revoked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from swarmsec.reports.checks import checks, judged, not_applicable, not_checked, unreadable
from swarmsec.reports.facts import Answers, Facts, ImageFact, Unknown, text
from swarmsec.reports.model import Finding, Resource, State

SERVICES: Final = "/services"
TASKS: Final = "/tasks"
MAX_IMAGES: Final = 8
TRUSTED: Final = "trusted"
UNPINNED: Final = "unpinned"
REVOKED: Final = "revoked"
UNKNOWN: Final = "unknown"
_CONTAINER: Final = ("TaskTemplate", "ContainerSpec", "Image")


def images_of_services(facts: Answers) -> Mapping[Resource, Sequence[str]]:
    """The images of each service: that of its specification, and those that its tasks still run.

    Raises:
        Unknown: no manager was asked, or it did not answer.
    """
    services = {text(service, "ID"): service for service in facts.objects(SERVICES)}
    found: dict[str, set[str]] = {
        key: {image} for key, service in services.items() if (image := text(service, "Spec", *_CONTAINER))
    }
    for task in facts.objects(TASKS):
        image = text(task, "Spec", "ContainerSpec", "Image")
        if image and text(task, "Status", "State") == "running" and text(task, "ServiceID") in found:
            found[text(task, "ServiceID")].add(image)
    return {
        Resource(type="service", id=key, name=text(services[key], "Spec", "Name")): sorted(images)
        for key, images in found.items()
    }


@checks("OWN-14", SERVICES, TASKS)
def images_are_signed(facts: Facts) -> Iterable[Finding]:
    """What runs is signed as the policy asks, and is so now."""
    expected = "every image signed as the policy asks"
    for resource, judged_images in _judged(facts):
        asked = {image: fact for image, fact in judged_images.items() if fact.is_asked}
        unknown = _with(asked, {UNKNOWN})
        bad = [image for image, fact in asked.items() if fact.standing not in {TRUSTED, UNKNOWN}]
        if bad:
            yield judged(False, resource, _told(asked, bad), expected)
        elif unknown:
            yield unreadable(resource, expected, asked[unknown[0]].reason)
        elif not asked:
            yield not_applicable(resource, "level skip", expected, "the policy asks for no signature here")
        else:
            yield judged(True, resource, f"trusted: {_shown(asked)}", expected)


@checks("OWN-15", SERVICES, TASKS)
def images_are_not_revoked(facts: Facts) -> Iterable[Finding]:
    """Nothing runs that was revoked."""
    expected = "no image that was revoked"
    for resource, judged_images in _judged(facts):
        revoked = _with(judged_images, {REVOKED})
        unknown, unpinned = _with(judged_images, {UNKNOWN}), _with(judged_images, {UNPINNED})
        if revoked:
            yield judged(False, resource, _told(judged_images, revoked), expected)
        elif unknown:
            yield unreadable(resource, expected, judged_images[unknown[0]].reason)
        elif unpinned:
            reason = "it names no digest, so nobody can tell what runs"
            yield not_checked(resource, f"image {_shown(unpinned)}", expected, reason)
        else:
            yield judged(True, resource, f"not revoked: {_shown(judged_images)}", expected)


def _judged(facts: Facts) -> Iterator[tuple[Resource, Mapping[str, ImageFact]]]:
    services = images_of_services(facts)
    if facts.home.trust_roles is None:
        raise Unknown(State.NOT_CHECKED, "this home signs no images; see: swarmsec trust init")
    missing = ImageFact(standing=UNKNOWN, reason="it was not looked up", is_asked=True)
    for resource, images in services.items():
        yield resource, {image: facts.home.images.get(image, missing) for image in images}


def _with(images: Mapping[str, ImageFact], standings: Collection[str]) -> Sequence[str]:
    return [image for image, fact in images.items() if fact.standing in standings]


def _told(images: Mapping[str, ImageFact], chosen: Sequence[str]) -> str:
    told = [f"{image[:200]} is {images[image].standing}: {images[image].reason[:200]}" for image in chosen]
    return "; ".join(told[:MAX_IMAGES])


def _shown(images: Iterable[str]) -> str:
    chosen = [image[:200] for image in images]
    more = f" and {len(chosen) - MAX_IMAGES} more" if len(chosen) > MAX_IMAGES else ""
    return ", ".join(chosen[:MAX_IMAGES]) + more
