"""Sign the root that a Swarm goes to when it leaves us, if an operator permitted exactly that root a moment ago.

Who gets this certificate can make certificates that every node believes until it ends. So a manager's certificate is
not enough to ask: one key is permitted, for minutes, and the certificate lives for days at most.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from ca.cross_requests import CrossSignPermission, CrossSignRequest, check_cross_sign_request
from ca.errors import RequestRefused
from ca.identity import NodeIdentity
from ca.issuing import cross_sign_requested, fingerprint, serial_from
from ca.profiles import cross_validity
from ca.requests import RootRequest
from ca.serials import SERIAL_BYTES
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import now_utc, rfc3339_seconds, unix_seconds
from swarmsec.errors import Denied, IntegrityFailure
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.requester import Field, Requester

SETTING: Final = "ca/cross-signing"


def open_cross_signing(transaction: Transaction, requester: Requester, *, spki_sha256: str, until: int) -> None:
    """Permit the root with one key; what was permitted before counts no more.

    Args:
        spki_sha256: of its SubjectPublicKeyInfo, lower-case hex.
        until: Unix seconds.
    """
    members = {"spki_sha256": spki_sha256, "until": until}
    transaction.settings.put(SETTING, encode_canonical(members).decode())
    fields: Mapping[str, Field] = {"spki_sha256": spki_sha256, "until": rfc3339_seconds(until)}
    transaction.log(requester.event(Action.CA_CROSS_SIGN_OPEN, ObjectRef(type="root", id=spki_sha256), fields=fields))


def close_cross_signing(transaction: Transaction, requester: Requester) -> None:
    """Permit no root any more; nothing happens where none is permitted."""
    if transaction.settings.get(SETTING):
        transaction.settings.put(SETTING, "")
        transaction.log(requester.event(Action.CA_CROSS_SIGN_CLOSE, ObjectRef(type="root")))


def cross_sign_for_swarm(
    transaction: Transaction,
    authority: Authority,
    caller: NodeIdentity,
    request: CrossSignRequest,
    root_request: RootRequest,
    requester: Requester,
) -> bytes:
    """Sign the permitted root.

    Returns:
        the certificate, DER; the entry in the log has it too.

    Raises:
        Refusal: nothing, or another root, is permitted, or a request that SwarmKit would not send.
    """
    spki_sha256 = root_request.key.spki_sha256
    target = ObjectRef(type="root", id=spki_sha256)
    try:
        subject = check_cross_sign_request(
            request,
            root_request,
            caller=caller,
            cluster_id=authority.cluster_id,
            permission=_permission(transaction),
        )
    except RequestRefused as error:
        denied = Denied(str(error), hint=error.hint)
        event = requester.event(Action.CA_CROSS_SIGN, target, outcome=Outcome.DENIED, reason=str(error))
        raise Refusal(denied, event) from None
    end = authority.issuer.not_after
    der = cross_sign_requested(
        authority.issuer,
        requested=subject,
        serial=serial_from(transaction.clock.random(SERIAL_BYTES)),
        validity=cross_validity(now_utc(transaction.clock), issuer_not_after=end, root_not_after=end),
    )
    fields: Mapping[str, Field] = {
        "certificate_sha256": fingerprint(der),
        "certificate": base64.b64encode(der).decode("ascii"),
    }
    transaction.log(requester.event(Action.CA_CROSS_SIGN, target, fields=fields))
    return der


def _permission(transaction: Transaction) -> CrossSignPermission | None:
    text = transaction.settings.get(SETTING)
    if not text:
        return None
    match parse_canonical(text.encode()):
        case {"spki_sha256": str(spki), "until": int(until)}:
            return CrossSignPermission(spki_sha256=spki) if unix_seconds(transaction.clock) < until else None
    raise IntegrityFailure("expected the setting of a permitted root, got another")
