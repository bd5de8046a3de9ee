"""Make the authority of a new home: its root, its cluster id and the two standing join tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ca.identity import NodeRole, new_id, parse_cluster_id
from ca.issuing import Signer, fingerprint, issue_root, serial_from
from ca.serials import SERIAL_BYTES
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import now_utc
from swarmsec.errors import AlreadyExists
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.token_roots import TokenRoot, conclude_token_key
from swarmsec.services.nodes.standing_tokens import renew_standing_token
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import AuthorityRecord, KeyKind
from swarmsec.services.requester import Field, Requester

FIRST_GENERATION = 1
_ID_BYTES = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRoot:
    """A root made elsewhere, checked together with its key."""

    certificate: bytes
    """DER."""
    key: SecretBytes
    """PKCS #8, DER, not encrypted."""
    key_type: str
    """``p256``, ``p384`` or ``rsa``."""


def init_authority(
    transaction: Transaction,
    keys: Keys,
    requester: Requester,
    *,
    cluster_id: str | None,
    key_kind: KeyKind,
    imported: ImportedRoot | None = None,
    in_token: TokenRoot | None = None,
) -> str:
    """Make generation 1.

    Args:
        cluster_id: the Swarm's id where one exists; one is made where none is given.
        key_kind: of the root key, where one is made.
        imported: the root to go on with; one is made without it.
        in_token: the root's key, where it is in a token; ``key_kind`` counts for nothing then.

    Returns:
        the cluster id.

    Raises:
        AlreadyExists: the home is an authority already.
        ca.errors.InvalidRequest: the id cannot be one.
    """
    present = transaction.settings.get("cluster_id")
    if transaction.authorities.active() is not None:
        raise AlreadyExists(f"this home is already the authority of cluster {present}", hint="use another --home")
    clock = transaction.clock
    chosen = parse_cluster_id(cluster_id) if cluster_id else new_id(clock.random(_ID_BYTES))
    key_name = f"ca/root/{FIRST_GENERATION}"
    if in_token is not None:
        key_name = in_token.key_name
        root = _self_signed(transaction, keys.signer(transaction, key_name))
    elif imported is None:
        root = _self_signed(transaction, keys.create_signer(transaction, key_name, key_kind))
    else:
        keys.put(transaction, key_name, imported.key)
        root = imported.certificate
    transaction.settings.put("cluster_id", chosen)
    transaction.authorities.add(
        AuthorityRecord(
            generation=FIRST_GENERATION,
            certificate=root,
            key_name=key_name,
            state="active",
            created=clock.unix_ms() // 1000,
        )
    )
    if in_token is not None and in_token.plan is not None:
        conclude_token_key(transaction, requester, in_token.plan)
    target = ObjectRef(type="authority", id=chosen, version=FIRST_GENERATION)
    fields: Mapping[str, Field] = {
        "key_type": _key_type(key_kind, imported, in_token),
        "imported": imported is not None,
        **({"key_name": key_name, "made_in_token": in_token.made_there} if in_token else {}),
        "root_sha256": fingerprint(root),
    }
    transaction.log(requester.event(Action.CA_INIT, target, fields=fields))
    for role in NodeRole:
        renew_standing_token(transaction, keys, requester, role)
    return chosen


def _self_signed(transaction: Transaction, signer: Signer) -> bytes:
    clock = transaction.clock
    return issue_root(signer, serial=serial_from(clock.random(SERIAL_BYTES)), now=now_utc(clock))


def _key_type(kind: KeyKind, imported: ImportedRoot | None, in_token: TokenRoot | None) -> str:
    given = in_token or imported
    return kind.value if given is None else given.key_type
