"""Labels are short, printable and read back as they were written."""

from __future__ import annotations

import pytest

from swarmsec.secretstore.errors import SecretInvalid
from swarmsec.secretstore.labels import MAX_LABELS, format_labels, load_labels, parse_labels


def test_labels_come_back() -> None:
    labels = parse_labels(["owner=shop", "note=a=b", "empty="])

    assert labels == {"owner": "shop", "note": "a=b", "empty": ""}
    assert load_labels(format_labels(labels)) == labels


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["owner"], "expected a label as key=value"),
        (["=x"], "expected a label as key=value"),
        (["-a=x"], "expected a label as key=value"),
        (["a=x", "a=y"], "expected each label once"),
        (["a=\x1b[2J"], "printable characters"),
        (["a=" + "x" * 257], "at most 256"),
        ([f"k{n}=v" for n in range(MAX_LABELS + 1)], "at most 32 labels"),
    ],
)
def test_what_no_label_can_be(texts: list[str], words: str) -> None:
    with pytest.raises(SecretInvalid, match=words):
        parse_labels(texts)
