"""Image references and digests: Docker's grammar, strictly, and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notary.errors import InvalidDigest, InvalidReference
from notary.reference import (
    MAX_REFERENCE_LENGTH,
    Algorithm,
    Digest,
    ImageReference,
    LayoutReference,
    is_layout_reference,
    parse_layout_reference,
    parse_tag,
)

SHA256 = "sha256:" + "0a" * 32
SHA512 = "sha512:" + "0a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        (f"nginx@{SHA256}", f"docker.io/library/nginx@{SHA256}"),
        (f"nginx:1.25@{SHA512}", f"docker.io/library/nginx:1.25@{SHA512}"),
        ("team/app", "docker.io/team/app"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/nginx", "docker.io/library/nginx"),
        ("docker.io/library/nginx", "docker.io/library/nginx"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:x", "localhost:5000/app:x"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c"),
        ("[fc00::1]:5000/app:x", "[fc00::1]:5000/app:x"),
        ("Registry.Example/app", "registry.example/app"),
        ("r.example/a__b/c-d--e/f.g_h:T.-_1", "r.example/a__b/c-d--e/f.g_h:T.-_1"),
        ("xn--bcher-kva.example/app", "xn--bcher-kva.example/app"),
    ],
)
def test_references_and_their_full_form(text: str, full: str) -> None:
    reference = ImageReference.parse(text)
    assert str(reference) == full
    assert ImageReference.parse(full) == reference


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ":tag",
            "@",
            f"@{SHA256}",
            "/app",
            "app/",
            "a//b",
            "App",
            "team/App",
            "a___b/c",
            "a._b",
            "-a",
            "a-",
            "a b",
        ),
        *("app:", "app:-x", "app:.x", "app:" + "t" * 129, "app:a:b", "app@", "app@sha256:", f"app@{SHA256}0"),
        *(f"app@{SHA256.upper()}", "app@sha256:" + "A" * 64, f"app@{SHA256}@{SHA256}", "app@md5:" + "0" * 32),
        *("https://r.example/app", "r.example:port/app", "r.example:99999/app", "r_.example/app", "-r.example/app"),
        *("r..example/app", "r.example./app", "[::1/app", "Foo/bar", "0" * 64, "app\n", "app\x00", "é/app", "app:é"),
        *("r.example/" + "a" * 250, "a" * (MAX_REFERENCE_LENGTH + 1), "app:١", "١/app", "\u212a.example/app"),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference, match="expected"):
        ImageReference.parse(text)


def test_the_parts() -> None:
    reference = ImageReference.parse(f"r.example:5000/shop/api:1@{SHA256}")
    assert (reference.domain, reference.path, reference.tag) == ("r.example:5000", "shop/api", "1")
    assert reference.digest == Digest(algorithm=Algorithm.SHA256, hex="0a" * 32)
    assert reference.repository == "r.example:5000/shop/api"
    assert ImageReference.parse("app").tag is None


def test_pinning_keeps_the_tag() -> None:
    pinned = ImageReference.parse("r.example/app:1").pinned(Digest.parse(SHA256))
    assert str(pinned) == f"r.example/app:1@{SHA256}"


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_digests_come_back_as_written(text: str) -> None:
    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "sha256",
            "sha256:",
            SHA256[:-1],
            SHA256 + "0",
            SHA256.upper(),
            "sha256:" + "0A" * 32,
            "sha256:" + "g" * 64,
        ),
        *("SHA256:" + "0" * 64, "sha384:" + "0" * 96, "sha512:" + "0" * 64, "0" * 64, f" {SHA256}", SHA256 + "\n"),
        *("sha256:" + "٠" * 64,),
    ],
)
def test_other_digests_are_refused(text: str) -> None:
    with pytest.raises(InvalidDigest, match="expected"):
        Digest.parse(text)


def test_digests_of_bytes() -> None:
    assert Digest.of(b"abc").hex == hashlib.sha256(b"abc").hexdigest()
    assert Digest.of(b"abc", algorithm=Algorithm.SHA512).hex == hashlib.sha512(b"abc").hexdigest()
    assert Digest.parse(str(Digest.of(b"abc"))) == Digest.of(b"abc")


@pytest.mark.parametrize(
    ("text", "directory", "tag"),
    [("oci:layout", "layout", None), ("oci:/a/b.c:1.0", "/a/b.c", "1.0"), ("oci:.:x", ".", "x")],
)
def test_layout_references(text: str, directory: str, tag: str | None) -> None:
    reference = parse_layout_reference(text)
    assert is_layout_reference(text)
    assert reference == LayoutReference(directory=directory, tag=tag)
    assert str(reference) == text


@pytest.mark.parametrize("text", ["oci:", "oci::x", "oci:a:", "oci:a:b:c", "oci:a:b/c", "oci:a\x00", "layout", "OCI:a"])
def test_other_layout_references_are_refused(text: str) -> None:
    with pytest.raises(InvalidReference, match="expected"):
        parse_layout_reference(text)


def test_long_values_are_shortened_in_messages() -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_tag("x" * 1000)
    assert len(str(caught.value)) < 200


@given(
    st.text(max_size=80)
    | st.text("ab0.:/@_-[]AZ", max_size=40)
    | st.binary(max_size=60).map(lambda b: b.decode("latin-1"))
)
@example("a" * MAX_REFERENCE_LENGTH)
@example("a." * 500 + "/")
@example("a-" * 500)
@example("a/" * 500)
def test_arbitrary_text_parses_or_is_refused(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except InvalidReference as error:
        message = str(error)
    else:
        message = ""
        assert ImageReference.parse(str(reference)) == reference
    assert message.isprintable()


@given(st.text(max_size=80))
def test_arbitrary_text_is_a_digest_or_a_layout_or_refused(text: str) -> None:
    for parse in (Digest.parse, parse_layout_reference):
        try:
            parse(text)
        except (InvalidDigest, InvalidReference):
            continue
        assert str(parse(text)) == text
