"""Sign the root that a Swarm goes to when it leaves us, if an operator permitted exactly that root a moment ago.

Who gets this certificate can make certificates that every node believes until it ends. So a manager's certificate is
not enough to ask: one key is permitted, for minutes, and the certificate lives for days at most.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from ca.cross_requests import CrossSignPermission, CrossSignRequest, check_cross_sign_request
from ca.errors import RequestRefused
from ca.identity import NodeIdentity
from ca.issuing import cross_sign_requested, fingerprint, serial_from
from ca.profiles import cross_validity
from ca.requests import RootRequest
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied, IntegrityFailure
from swarmsec.services.authority import SERIAL_BYTES, Authority, now_utc
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.requester import Field, Requester

SETTING: Final = "cross_signing"
OPEN_FOR: Final = timedelta(minutes=10)


def open_cross_signing(transaction: Transaction, spki_sha256: str, requester: Requester) -> None:
    """Permit the root with one key, from now on for ten minutes.

    Args:
        spki_sha256: of its SubjectPublicKeyInfo, lower-case hex.
    """
    until = unix_seconds(transaction.clock) + round(OPEN_FOR.total_seconds())
    members = {"spki_sha256": spki_sha256, "until": until}
    transaction.settings.put(SETTING, encode_canonical(members).decode())
    target = ObjectRef(type="root", id=spki_sha256)
    transaction.log(requester.event(Action.CA_CROSS_SIGN_PERMIT, target, fields={"until": until}))


def close_cross_signing(transaction: Transaction, requester: Requester) -> None:
    """Permit no root any more; nothing happens where none is permitted."""
    if transaction.settings.get(SETTING):
        transaction.settings.put(SETTING, "")
        event = requester.event(Action.CA_CROSS_SIGN_PERMIT, ObjectRef(type="root"), fields={"closed": True})
        transaction.log(event)


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
