"""``swarmsec image sign``, ``revoke`` and ``promote`` with images in OCI layouts, judged by ``image verify``."""

from __future__ import annotations

import base64
import json

import pytest

from tests.unit.swarmsec.cli.layouts import make_layout
from tests.unit.swarmsec.cli.program import Answer, Program

APP = "registry.example/shop/api"


@pytest.fixture
def signing(program: Program) -> Program:
    program.good("trust", "init", "--yes")
    return program


def verify(program: Program, layout: str, name: str) -> Answer:
    return program("image", "verify", f"oci:{layout}", "--as", name)


def test_what_is_signed_is_verified(signing: Program) -> None:
    digest = make_layout(signing.directory / "one", "1.0")
    answer = signing.good("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0")
    assert answer.out == f"{APP}:1.0 {digest}\n"
    assert f"delegated {APP} to a key of this home" in answer.err
    assert "delegated" not in signing.good("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0").err
    checked = verify(signing, "one:1.0", f"{APP}:1.0")
    assert (checked.code, digest in checked.out) == (0, True), checked.err


def test_an_index_is_signed_with_its_platforms(signing: Program) -> None:
    digest = make_layout(signing.directory / "one", "1.0", platforms=("amd64", "arm64"))
    document = signing.good("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0", "--json").document
    assert (document[0]["digest"], document[0]["published"]) == (digest, True)
    assert verify(signing, "one:1.0", f"{APP}:1.0").code == 0


def test_another_image_under_a_signed_tag_is_not_trusted(signing: Program) -> None:
    make_layout(signing.directory / "one", "1.0")
    make_layout(signing.directory / "two", "1.0", "two")
    signing.good("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0")
    assert verify(signing, "two:1.0", f"{APP}:1.0").code == 1


def test_a_revoked_image_is_not_trusted_and_not_signed_again(signing: Program) -> None:
    make_layout(signing.directory / "one", "1.0")
    signing.good("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0")
    signing.good("image", "revoke", f"{APP}:1.0", "--reason", "leaked a key")
    assert verify(signing, "one:1.0", f"{APP}:1.0").code == 1
    again = signing("image", "sign", "oci:one:1.0", "--as", f"{APP}:2.0")
    assert (again.code, "is revoked: leaked a key" in again.err) == (1, True)


def test_without_a_repository_of_signed_metadata_nothing_is_signed(program: Program) -> None:
    make_layout(program.directory / "one", "1.0")
    answer = program("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0")
    assert (answer.code, "signs no images yet" in answer.err) == (2, True)


def test_a_server_needs_a_root_to_be_believed(program: Program) -> None:
    make_layout(program.directory / "one", "1.0")
    sign = ("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0")
    answer = program("--server", "https://127.0.0.1:1", *sign)
    assert (answer.code, "expected --ca FILE" in answer.err) == (2, True)
    assert program(*sign, "--ca", "root.pem").code == 2


def test_one_name_is_for_one_image(signing: Program) -> None:
    answer = signing("image", "sign", "oci:one:1", "oci:two:1", "--as", f"{APP}:1.0")
    assert (answer.code, "one REF with --as" in answer.err) == (2, True)


def test_a_second_signer_s_turn_is_said(signing: Program) -> None:
    make_layout(signing.directory / "one", "1.0")
    signing.good("trust", "key", "create", "release.key", "--plain")
    signing.good("trust", "delegate", "add", APP, "--key", "release.key.pub")
    answer = signing.good("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0")
    assert "waits for signatures" in answer.err
    assert verify(signing, "one:1.0", f"{APP}:1.0").code == 1
    signing.good("trust", "sign", "--key", "release.key", "--yes")
    assert verify(signing, "one:1.0", f"{APP}:1.0").code == 0


def test_a_bundle_answers_without_a_network(signing: Program) -> None:
    make_layout(signing.directory / "one", "1.0")
    signing.good("image", "sign", "oci:one:1.0", "--as", f"{APP}:1.0")
    signing.good("trust", "export", "-o", "bundle.json")
    bundle = json.loads((signing.directory / "bundle.json").read_bytes())

    signing.write("root.json", base64.b64decode(bundle["metadata"]["1.root.json"]))
    arguments = ("image", "verify", "oci:one:1.0", "--as", f"{APP}:1.0", "--offline", "bundle.json")
    assert signing(*arguments, "--root", "root.json").code == 0
