"""Targets of the secret store: names and labels as people and stack files write them."""

from __future__ import annotations

from swarmsec.secretstore.errors import SecretInvalid
from swarmsec.secretstore.labels import format_labels, load_labels, parse_labels
from swarmsec.secretstore.names import MAX_NAME, SecretName
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import text_of


def _name(data: bytes) -> None:
    text = text_of(data)
    name = SecretName.parse(text)
    if name.text != text or len(name.docker_name) > MAX_NAME or "/" in name.docker_name or not text.isascii():
        raise CheckFailed("expected a name that Docker takes")


def _labels(data: bytes) -> None:
    labels = parse_labels(text_of(data).split("\n"))
    if load_labels(format_labels(labels)) != labels:
        raise CheckFailed("expected labels to be kept as they were read")


TARGETS = (
    Target(
        name="secret-name",
        run=_name,
        seeds=(b"team/app/db", b"a", b"a.b/c_d-e"),
        allowed=(SecretInvalid,),
        covers=("swarmsec.secretstore.names.SecretName.parse",),
        words=(b"/", b"..", b"-", b"pki/", b"#"),
    ),
    Target(
        name="secret-labels",
        run=_labels,
        seeds=(b"owner=shop\nnote=a=b", b"a="),
        allowed=(SecretInvalid,),
        covers=("swarmsec.secretstore.labels.parse_labels", "swarmsec.secretstore.labels.load_labels"),
        words=(b"=", b"\n", b"a=\x1b[2J"),
    ),
)
