"""Labels of a secret: a few short texts of its owner's choice, kept in the clear."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from swarmsec.secretstore.errors import SecretInvalid

MAX_LABELS: Final = 32
MAX_LABEL_VALUE: Final = 256
_KEY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,62}[A-Za-z0-9])?", re.ASCII)


def parse_labels(texts: Iterable[str]) -> Mapping[str, str]:
    """Read labels as ``key=value``.

    Raises:
        SecretInvalid: a key, a value or their number cannot be meant, or a key is there twice.
    """
    labels: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not _KEY.fullmatch(key):
            raise SecretInvalid(f"expected a label as key=value, got {text!r:.80}")
        if key in labels:
            raise SecretInvalid(f"expected each label once, got {key!r:.80} twice")
        if len(value) > MAX_LABEL_VALUE or not value.isprintable():
            raise SecretInvalid(f"expected at most {MAX_LABEL_VALUE} printable characters in the label {key}")
        labels[key] = value
    if len(labels) > MAX_LABELS:
        raise SecretInvalid(f"expected at most {MAX_LABELS} labels, got {len(labels)}")
    return labels


def format_labels(labels: Mapping[str, str]) -> str:
    """Write labels the way they are kept: JSON with sorted keys."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"))


def load_labels(text: str) -> Mapping[str, str]:
    """Read kept labels."""
    return {str(key): str(value) for key, value in json.loads(text).items()}
