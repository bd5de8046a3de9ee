"""``swarmsec policy``: versions, all or nothing, answers with their exit codes, and refusals that name the place."""

from __future__ import annotations

import hashlib

import pytest

from tests.unit.swarmsec.cli.program import Program

SHOP = """\
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], images: ["registry.example/shop/*"], effect: allow}
    - {secrets: ["team/app/root"], effect: deny}
"""
TRUST = """\
apiVersion: swarmsec.dev/v1
kind: TrustPolicy
metadata: {name: default}
spec:
  scopes:
    - {images: ["**"], level: enforce, minSigners: 1, maxAge: 90d}
"""
BOTH = f"{SHOP}---\n{TRUST}"
CASES = """\
apiVersion: swarmsec.dev/v1
kind: PolicyTest
metadata: {name: shop}
spec:
  cases:
    - name: the shop reads its password
      request: {secret: team/app/db, service: shop_api, image: registry.example/shop/api, attached: true}
      expect: allow
    - {name: images are verified, request: {image: r.example/app}, expect: enforce}
"""
FACTS = ["--secret", "team/app/db", "--service", "shop_api", "--image", "registry.example/shop/api:1", "--attached"]


def applied(program: Program, text: str) -> list[dict[str, object]]:
    """Apply a text and return what the program says of each document."""
    answer = program.good("policy", "apply", "-", "--json", stdin=text.encode())
    changes: list[dict[str, object]] = answer.document
    return changes


def test_documents_get_versions_and_unchanged_ones_none(program: Program) -> None:
    assert [(item["name"], item["version"], item["change"]) for item in applied(program, BOTH)] == [
        ("shop", 1, "new"),
        ("default", 1, "new"),
    ]
    changed = BOTH.replace("90d", "30d")
    assert [(item["version"], item["change"]) for item in applied(program, changed)] == [
        (1, "unchanged"),
        (2, "changed"),
    ]
    listed = program.good("policy", "list", "--json").document
    assert [(item["kind"], item["name"], item["version"]) for item in listed] == [
        ("SecretAccessPolicy", "shop", 1),
        ("TrustPolicy", "default", 2),
    ]
    assert '"90d"' not in program.good("policy", "show", "TrustPolicy", "default").out
    assert "90d" in program.good("policy", "show", "trustpolicy", "default", "--version", "1").out
    assert applied(program, BOTH)[1]["version"] == 3
    program.good("audit", "verify")


def test_each_new_version_is_in_the_log_with_its_digest(program: Program) -> None:
    digests = [item["digest"] for item in applied(program, BOTH)]
    applied(program, BOTH)
    lines = program.good("audit", "log", "--action", "policy.apply", "--json").out.splitlines()
    assert len(lines) == 2
    assert all(str(digest) in line for digest, line in zip(digests, lines, strict=True))


def test_a_dry_run_changes_nothing(program: Program) -> None:
    answer = program.good("policy", "apply", "--dry-run", program.write("p.yaml", BOTH))
    assert "new" in answer.out
    assert "nothing was changed" in answer.err
    assert program.good("policy", "list", "--json").document == []


def test_all_documents_or_none(program: Program) -> None:
    applied(program, TRUST)
    clash = TRUST.replace("name: default", "name: other").replace("enforce", "warn")
    answer = program("policy", "apply", program.write("p.yaml", SHOP), program.write("clash.yaml", clash))
    assert answer.code == 2
    assert "equally specific" in answer.err
    assert [item["name"] for item in program.good("policy", "list", "--json").document] == ["default"]


def test_replacing_what_would_clash_is_allowed(program: Program) -> None:
    applied(program, TRUST)
    assert applied(program, TRUST.replace("enforce", "warn"))[0]["change"] == "changed"


def test_two_files_may_not_name_one_document(program: Program) -> None:
    names = [program.write("a.yaml", TRUST), program.write("b.yaml", TRUST)]
    for verb in ("check", "apply"):
        answer = program("policy", verb, *names)
        assert answer.code == 2
        assert "a.yaml, b.yaml: expected one TrustPolicy named default, got two" in answer.err


def test_what_is_shown_is_the_same_document_again(program: Program) -> None:
    odd = TRUST.replace("name: default", 'name: "0x10"').replace(
        '"**"', '"registry.example/no", "registry.example/1e3/**"'
    )
    (item,) = applied(program, odd)
    shown = program.good("policy", "show", "TrustPolicy", "0x10").out
    assert str(item["digest"]) in program.good("policy", "check", "-", stdin=shown.encode()).out
    canonical = program.good("policy", "show", "TrustPolicy", "0x10", "--canonical").out
    assert item["digest"] == f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
    whole = program.good("policy", "show", "TrustPolicy", "0x10", "--json").document
    assert (whole["state"], whole["document"]["metadata"]) == ("active", {"name": "0x10"})


@pytest.mark.parametrize("arguments", [["TrustPolicy", "nobody"], ["TrustPolicy", "default", "--version", "7"]])
def test_what_does_not_exist_is_not_found(program: Program, arguments: list[str]) -> None:
    applied(program, TRUST)
    assert program("policy", "show", *arguments).code == 2


def test_check_needs_no_home(homeless: Program) -> None:
    answer = homeless.good("policy", "check", homeless.write("p.yaml", BOTH))
    assert answer.out.count("sha256:") == 2
    assert not homeless.home.exists()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (BOTH.replace("level: enforce", "level: maybe"), "p.yaml, line 14, document 2, spec.scopes[0].level: "),
        (BOTH.replace("effect: deny", "effect: deny, user: me"), "p.yaml, line 7, document 1, "),
        ("a: &x 1\n", "p.yaml, line 1"),
        ("a: 1\na: 2\n", "p.yaml, line 2"),
        ("", "p.yaml: "),
        ("{", "p.yaml, line 1"),
        ("a: \x1b[31m\n", "p.yaml, line 1: expected visible characters"),
        ("x" * 300_000, "expected at most 262144 bytes in p.yaml"),
        ("[" * 5000, "p.yaml, line 1"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "apply"])
def test_a_refused_text_is_named_with_its_place(program: Program, verb: str, text: str, place: str) -> None:
    answer = program("policy", verb, program.write("p.yaml", text))
    assert answer.code == 2
    assert place in answer.err


def test_bytes_that_are_no_text_are_refused(program: Program) -> None:
    answer = program("policy", "check", program.write("p.yaml", b"a: 1\n\xff"))
    assert (answer.code, "p.yaml, line 2: expected UTF-8" in answer.err) == (2, True)


def test_missing_files_and_folders_are_refused(program: Program) -> None:
    assert "no file nowhere.yaml" in program("policy", "check", "nowhere.yaml").err
    assert program("policy", "check", str(program.directory)).code == 2
    assert program("policy", "check", "-", stdin=b"#" * 300_000).code == 2


def test_a_document_whose_kept_form_would_not_read_is_refused(program: Program) -> None:
    def patterns(n: int, field: str) -> str:
        return ",".join(f"{n:02d}{field}{number:02d}{'x' * 11}" for number in range(64))

    def rule(n: int) -> str:
        fields = ", ".join(f"{name}: [{patterns(n, name[:1])}]" for name in ("secrets", "images", "nodes"))
        return f"{{effect: allow, {fields}}}"

    rules = "".join(f"    - {rule(n)}\n" for n in range(75))
    text = f"apiVersion: swarmsec.dev/v1\nkind: SecretAccessPolicy\nmetadata: {{name: big}}\nspec:\n  rules:\n{rules}"
    assert len(text) < 262_144
    answer = program("policy", "apply", program.write("p.yaml", text))
    assert answer.code == 2
    assert "SecretAccessPolicy big is too large to be kept" in answer.err
    assert program.good("policy", "list", "--json").document == []


def test_cases_that_hold_end_with_0_and_name_what_is_untested(program: Program) -> None:
    names = [program.write("p.yaml", BOTH), "--cases", program.write("c.yaml", CASES)]
    answer = program.good("policy", "test", *names)
    assert "2 of 2 cases as expected" in answer.out
    assert "not tested: shop rule 1" in answer.out
    document = program.good("policy", "test", *names, "--json").document
    assert [case["passed"] for case in document["cases"]] == [True, True]
    assert [(rule["policy"], rule["rule"]) for rule in document["unmet_rules"]] == [("shop", 1)]


def test_a_case_that_fails_ends_with_1_and_shows_why(program: Program) -> None:
    program.write("c.yaml", CASES.replace("expect: enforce", "expect: warn"))
    answer = program("policy", "test", program.write("p.yaml", BOTH), "--cases", "c.yaml")
    assert answer.code == 1
    assert "failed: images are verified: expected warn, got enforce" in answer.out
    assert "default rule 0: decided" in answer.out


def test_cases_without_files_ask_the_documents_in_force(program: Program) -> None:
    program.write("c.yaml", CASES)
    assert program("policy", "test", "--cases", "c.yaml").code == 1
    applied(program, BOTH)
    program.good("policy", "test", "--cases", "c.yaml")


def test_explanations_end_with_the_answer(program: Program) -> None:
    denied = program("policy", "explain", "secret", *FACTS)
    assert (denied.code, "no secret access policy is in force" in denied.out) == (1, True)
    applied(program, BOTH)
    allowed = program.good("policy", "explain", "secret", *FACTS)
    assert "shop 0\tdecided" in allowed.out
    assert "allowed by shop rule 0" in allowed.out
    without = program("policy", "explain", "secret", *FACTS[:-1], "--json")
    assert without.code == 1
    assert without.document["decision"]["code"] == "not_attached"


def test_images_are_explained_as_docker_names_them(program: Program) -> None:
    text = TRUST.replace('["**"]', '["docker.io/library/*"]')
    program.write("p.yaml", text)
    answer = program.good("policy", "explain", "image", "--file", "p.yaml", "nginx:1.27", "--json")
    assert answer.document["decision"] == {
        "allowed": True,
        "level": "enforce",
        "min_signers": 1,
        "max_age_seconds": 90 * 86_400,
    }
    assert program("policy", "explain", "image", "--file", "p.yaml", "registry.example/x").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["secret", "--secret", "x", "--label", "no-value"],
        ["secret", "--secret", "x", "--label", "a=1", "--label", "a=2"],
        ["secret", "--secret", "x", "--image", "UPPER"],
        ["secret"],
        ["image", ""],
        ["image", "a@sha256:00"],
    ],
)
def test_questions_that_cannot_be_meant_are_usage(program: Program, arguments: list[str]) -> None:
    assert program("policy", "explain", *arguments).code == 2
