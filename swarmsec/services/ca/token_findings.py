"""What is said about the settings of a token and the keys in it where the two do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from swarmsec.services.ca.short_lifetimes import AuthorityFinding
from swarmsec.services.ca.show_authority import is_token_key_name
from swarmsec.services.ca.token_roots import unfinished_token_keys
from swarmsec.services.ports import Transaction
from swarmsec.services.swarm.swarm_rotation_records import load_swarm_rotation

UNUSED_ID: Final = "ca-token-settings-unused"
UNFINISHED_ID: Final = "ca-token-key-unfinished"


def needs_token(transaction: Transaction) -> bool:
    """Whether a root's key is in a token, or a rotation of the Swarm is to bring one there."""
    rotation = load_swarm_rotation(transaction)
    if rotation is not None and rotation.choice.token_key:
        return True
    return any(is_token_key_name(root.key_name) for root in transaction.authorities.all())


def token_findings(transaction: Transaction, module: str) -> Sequence[AuthorityFinding]:
    """What a command that was killed on its way into a token left behind.

    Args:
        module: that the home's settings name; empty where they name none.
    """
    findings = [
        AuthorityFinding(
            finding_id=UNFINISHED_ID,
            severity="low",
            text=f"a root key was begun in a token and is not in use: {plan.key_name}",
            hint="repeat the command that was interrupted, which finds it, or remove it with the token's own tools",
        )
        for plan in unfinished_token_keys(transaction)
    ]
    if module and not findings and not needs_token(transaction):
        findings.append(
            AuthorityFinding(
                finding_id=UNUSED_ID,
                severity="low",
                text=f"[pkcs11] in swarmsec.toml names {module}, and no root key of this home is in a token",
                hint="repeat the command that was interrupted, or take the section out of swarmsec.toml",
            )
        )
    return findings
