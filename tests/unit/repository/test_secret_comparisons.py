"""Secrets, and what is made of them, are compared by ``hmac.compare_digest`` and in no other way.

How long a comparison takes cannot be asserted on a busy machine; that ``==`` is written nowhere can. Every comparison
that may be of a secret is found in the source (``comparisons.py`` says how) and must be listed here with the reason why
what it compares is public.
"""

from __future__ import annotations

import ast
from typing import Final

import pytest

from tests.unit.repository.comparisons import comparisons
from tests.unit.repository.tree import PACKAGES, modules

PUBLIC: Final = {
    "SecretBytes, whose comparison goes through hmac.compare_digest": (
        "swarmsec/services/swarm/lock_swarm.py: former == key",
        "swarmsec/wiring/homes/restoring.py: kept != recovery.backup_mac_key",
    ),
    "public keys and certificates, and hashes of them, which anybody may know": (
        "ca/cross_requests.py: permission.spki_sha256 not in (None, root_request.key.spki_sha256)",
        "ca/issuer.py: certificate.public_key() != key",
        "ca/successors.py: _key(cross) == _key(root)",
        "notary/trustkeys.py: material in seen",
        "swarmsec/cli/auditverify.py: home.store.read(log_key_of) != parse_key(log_key)",
        "swarmsec/server/connections.py: connection.certificate_sha256 == certificate_sha256",
        "swarmsec/server/identify.py: caller.certificate_sha256 != connection.certificate_sha256",
        "swarmsec/services/swarm/adopt_swarm.py: plan.former_root_sha256 == fingerprint(authority.record.certificate)",
        "swarmsec/services/rotation/follow_rotation.py: roots_sha256 == authority.trusted_sha256",
        "swarmsec/services/nodes/join_node.py: waiting.spki_sha256 != spki_sha256",
        "swarmsec/services/nodes/join_node.py: record.spki_sha256 != spki_sha256",
        "swarmsec/services/rotation/next_roots.py: _spki(root.certificate) == key",
        "swarmsec/services/ca/publish_revocations.py: fingerprint(record.certificate) == sha256",
        "swarmsec/services/nodes/recover_node.py: record.spki_sha256 == spki_sha256",
        "swarmsec/services/nodes/redeem_tokens.py: limited.redeemed_by == spki_sha256",
        "swarmsec/services/nodes/redeem_tokens.py: admission.limited.redeemed_by != spki_sha256",
        "swarmsec/services/nodes/renew_node.py: each.sha256 == presented_sha256",
        "swarmsec/services/nodes/renew_node.py: bytes.fromhex(signing_request.spki_sha256) == presented.spki_sha256",
        "swarmsec/services/log/sign_log.py: signer.key != public",
        "swarmsec/services/swarm/trust_swarm.py: root.sha256 == sha256",
        "swarmsec/services/swarm/trust_swarm.py: root.sha256 in quiet",
        "swarmsec/storage/records.py: nodes.c.root_sha256 == sha256",
        "swarmsec/storage/records.py: table.c.root_sha256 == sha256",
        "swarmsec/wiring/nodes/answers.py: spki_of(certificate.public_key()) == spki_of(key)",
        "swarmsec/wiring/nodes/enrolment.py: answer.get('spki_sha256') != own",
        "swarmsec/wiring/nodes/nodefiles.py: spki_of(key.public_key()) == spki_of(certificate.public_key())",
        "swarmsec/wiring/trust/outsidesigners.py: material_of(key) == material",
        "swarmsec/wiring/nodes/recovering.py: issued.bundle != node.roots",
        "swarmsec/wiring/nodes/renewing.py: kept != sha256",
    ),
    "hashes of what is published or signed, such as images, documents, lists and trust metadata": (
        "ca/revocation.py: list_der != _envelope(_tbs(found, algorithm, authority), algorithm, signature)",
        "notary/manifest.py: found != expected",
        "notary/repository.py: quorum.keys.keys() != known.keys.keys()",
        "notary/signing.py: members.keys() != {'signed', 'signatures'}",
        "notary/signing.py: member.keys() == {'keyid', 'sig'}",
        "notary/signing.py: keyid in self.keys",
        "notary/verifying.py: manifest.digest != vouched.digest",
        "notary/verifying.py: reference.digest not in vouched.digests",
        "notary/verifying.py: digest in vouched.digests",
        "notary/verifying.py: str(digest) in str(target.custom)",
        "notary/verifying.py: reference.digest != manifest.digest",
        "notary/verifying.py: manifest.digest not in vouched.digests",
        "swarmsec/services/access/apply_policy.py: document.digest != digest_text(record)",
        "swarmsec/services/access/apply_policy.py: again.digest != document.digest",
        "swarmsec/services/access/apply_policy.py: digest_text(former) == document.digest",
        "swarmsec/services/log/check_checkpoints.py: origin not in keys",
        "swarmsec/services/trust/oidc_tokens.py: kid not in issuer.keys",
        "swarmsec/services/ca/publish_revocations.py: state.entries_sha256 != _digest(entries)",
        "swarmsec/services/trust/publish_trust.py: (row.threshold, row.keyids) != (quorum.threshold, keyids)",
        "swarmsec/services/trust/sign_image.py: known != wanted.image.digest",
        "swarmsec/services/trust/sign_image.py: members['hashes']['sha256'] == digest.hex",
        "swarmsec/services/trust/sign_image.py: m['hashes']['sha256'] == reference.digest.hex",
        "swarmsec/services/trust/signed_policy.py: named.get('hashes') == {'sha256': sha256}",
        "swarmsec/services/trust/trust_state.py: keyid not in document.signatures",
        "swarmsec/wiring/trust/trustclient.py: answer.get('digest') != str(image.digest)",
        "swarmsec/wiring/trust/trustsessions.py: hashlib.sha256(data).hexdigest() != expected",
    ),
    "hashes over our own rows, entries and files, which are not keyed": (
        "swarmsec/audit/chain.py: leaf_hash(stored.data) != stored.leaf_hash",
        "swarmsec/audit/chain.py: leaf_hash(stored.data) == stored.leaf_hash",
        "swarmsec/reports/difference.py: fingerprint not in seen",
        "swarmsec/storage/checking.py: chain.rows.pop((table.name, key), None) != row['digest'].hex()",
        "swarmsec/storage/logtree.py: next(below, None) != (row.number, row.hash)",
        "swarmsec/wiring/homes/home.py: present.last_hash != known.last_hash",
        "swarmsec/wiring/homes/intents.py: sha256_of(path) == plan.sha256",
        "swarmsec/wiring/homes/restoring.py: (found.entries, found.last_hash) == (header.size, header.leaf_hash)",
    ),
    "names, terms and states, not what bears them": (
        "ca/algorithms.py: algorithm.is_rsa == isinstance(key, rsa.RSAPublicKey)",
        "ca/plain_requests.py: part[0] == len(signature) + 1 <= _MAX_SHORT",
        "policies/globs.py: token == wanted",
        "policies/globs.py: here == end",
        "policies/globs.py: mine == theirs",
        "policies/secret_access.py: k == key",
        "swarmsec/cli/policyquestions.py: key in labels",
        "swarmsec/keys/tokenaccess.py: error.value not in _wrong_pins(binding)",
        "swarmsec/keys/tokens.py: _plain(names[name]) == value",
        "swarmsec/reports/image_checks.py: text(task, 'ServiceID') in found",
        "swarmsec/secretstore/envelope.py: term_of(wrapped_key) != key.term",
        "swarmsec/secretstore/labels.py: key in labels",
        "swarmsec/server/refusals.py: key in self._seen",
        "swarmsec/services/secrets/attach_secret.py: item.get('SecretName') != docker_secret",
        "swarmsec/services/secrets/attach_secret.py: key != label",
        "swarmsec/services/ca/authority_status.py: state_of(token, now) == ACTIVE",
        "swarmsec/services/trust/ci_tokens.py: claims.keys() != _CLAIMS",
        "swarmsec/services/rotation/retire_root.py: state_of(token, now) == ACTIVE",
        "swarmsec/services/ca/revocation_lists.py: key != generation",
        "swarmsec/services/secrets/rotate_secret.py: attachment.docker_secret != docker_secret",
        "swarmsec/services/secrets/rotate_secret.py: key != wanted.label",
        "swarmsec/services/secrets/secret_ages.py: (record.name, record.current) in generated",
        "swarmsec/storage/anchor.py: members.keys() == _MEMBERS.get(version)",
        "swarmsec/wiring/secrets/attachattempts.py: (made.docker_secret, made.target) in files",
        "swarmsec/wiring/secrets/attachattempts.py: made.docker_secret in names",
        "swarmsec/wiring/secrets/attachattempts.py: attempt.attachment.docker_secret not in wanted",
        "swarmsec/wiring/secrets/secretrotation.py: due not in due_among([age], unix_seconds(transaction.clock))",
        "swarmsec/wiring/secrets/validating.py: key.startswith(_OURS)",
    ),
}
"""Comparisons of what anybody may know, by what it is."""


def ours() -> dict[str, str]:
    """The modules of the product."""
    return {name: text for name, text in modules().items() if name.split("/", 1)[0] in PACKAGES}


def test_whatever_is_compared_by_equality_is_public() -> None:
    found = {f"{name}: {comparison}" for name, text in ours().items() for comparison in comparisons(text)}

    assert found == {comparison for listed in PUBLIC.values() for comparison in listed}


def test_the_comparison_in_constant_time_has_one_name() -> None:
    """Were it imported under a name of its own, tests could not see who calls it."""
    for name, text in ours().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                taken = {alias.name for alias in node.names}
                assert not taken & {"compare_digest", "eq", "ne", "contains"}, f"{name}:{node.lineno}"
            if isinstance(node, ast.Attribute) and node.attr == "compare_digest":
                assert ast.unparse(node) == "hmac.compare_digest", f"{name}:{node.lineno}"


@pytest.mark.parametrize(
    "line",
    [
        "given.secret == known",
        "given != record.fingerprint",
        "value.reveal() == other",
        "hmac.digest(key, data, 'sha256') == mac",
        "members['mac'] != expected",
        "token in tokens",
        "text.startswith(passphrase)",
        "pin.__eq__(other)",
        "(record.name, record.spki_sha256) == wanted",
        "{'mac': wanted} == members",
        "[mac for mac in found] == wanted",
        "wanted == (found.secret if found else b'')",
        "a.commitment == b == c",
        "derive(private_key) == found",
    ],
)
def test_such_a_comparison_is_found(line: str) -> None:
    assert list(comparisons(f"def f():\n    if {line}:\n        pass\n")) == [line]


def test_a_variable_that_is_given_a_secret_counts_like_it() -> None:
    given = "a = x.reveal(); b: bytes = hmac.digest(k, d, 'sha256'); c = (d := f.secret)"
    source = f"def f():\n    {given}\n    return a == y or b == y or y in d\n"
    assert list(comparisons(source)) == ["a == y", "b == y", "y in d"]


def test_a_pattern_that_holds_a_value_is_a_comparison() -> None:
    pattern = "def f():\n    match token:\n        case wanted.token:\n            pass\n"
    assert len(list(comparisons(pattern))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "hmac.compare_digest(given.secret, known)",
        "given.secret_id == known",
        "len(given.secret) == length",
        "given.secret == b''",
        "given.secret is None",
        "given.phase == wanted",
    ],
)
def test_what_tells_nothing_is_not(line: str) -> None:
    assert list(comparisons(f"def f():\n    if {line}:\n        pass\n")) == []
