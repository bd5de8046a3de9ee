"""What is stored as a policy is read as strictly as what a user writes, and must be what its record says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsec.errors import IntegrityFailure
from swarmsec.services.access.apply_policy import digest_text, read_document
from swarmsec.services.records import PolicyRecord
from tests.unit.policies.builders import trust_policy

DOCUMENT = trust_policy({"images": ["**"]}, name="default")
RECORD = PolicyRecord(
    kind="TrustPolicy",
    name="default",
    version=3,
    document_sha256=DOCUMENT.digest.removeprefix("sha256:"),
    document=DOCUMENT.canonical.decode(),
    state="active",
    applied=0,
)


def test_a_kept_document_is_read_back() -> None:
    assert read_document(RECORD) == DOCUMENT
    assert digest_text(RECORD) == DOCUMENT.digest


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, document_sha256="00" * 32),
        replace(RECORD, name="other"),
        replace(RECORD, kind="SecretAccessPolicy"),
        replace(RECORD, document=RECORD.document.replace("enforce", "warn")),
    ],
    ids=["digest", "name", "kind", "content"],
)
def test_another_document_than_the_record_names_is_an_integrity_failure(record: PolicyRecord) -> None:
    with pytest.raises(IntegrityFailure, match=f"policy {record.kind} {record.name} version 3 is not the document"):
        read_document(record)


@pytest.mark.parametrize("text", ["", "{", "\ud800", "a: 1", RECORD.document + "\n---\n" + RECORD.document])
def test_what_does_not_read_is_an_integrity_failure(text: str) -> None:
    with pytest.raises(IntegrityFailure, match="version 3 is in the store but does not read"):
        read_document(replace(RECORD, document=text))
