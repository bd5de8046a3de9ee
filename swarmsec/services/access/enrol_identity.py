"""Redeem a token of role driver or agent for a client certificate that carries that role in our table.

A driver called N is ``driver.N``; the agent of node N is ``agent.N`` and may speak for N alone. Nodes that join have no
dots in their names, so neither can take the other's. The name of the token counts; where it has none, whoever brings it
chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from ca.errors import CaError
from ca.identity import new_id, parse_node_id
from ca.requests import SigningRequest
from swarmsec.audit.actions import Action
from swarmsec.errors import Denied, SwarmsecError, UsageProblem
from swarmsec.http import Role, RoleKind
from swarmsec.services.access.kept_identities import issue_kept_identity
from swarmsec.services.access.manage_access import parse_identity_name, verify_name_free
from swarmsec.services.ca.authority import Authority
from swarmsec.services.nodes.limited_tokens import TokenRole, reference_of_token
from swarmsec.services.nodes.redeem_tokens import Admission, admit, handed_out_before, refusal, spend
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Field, Requester

_ID_BYTES: Final = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolRequest:
    """What a program sends: its token, its checked signing request, and the name that it would like."""

    token: str = field(repr=False)
    signing_request: SigningRequest
    name: str | None


def enrol_identity(
    transaction: Transaction, keys: Keys, authority: Authority, request: EnrolRequest, requester: Requester
) -> CertificateRecord:
    """Issue the first certificate of a driver or agent, as its token says.

    Returns:
        the certificate's record; again the same one for the same key.

    Raises:
        Refusal: the token is wrong, no longer counts or is for something else, or the name is another's.
    """
    spki_sha256 = bytes.fromhex(request.signing_request.spki_sha256)
    admission = admit(transaction, keys, authority, request.token, requester, spki_sha256=spki_sha256)
    kind = _kind_of(admission, requester)
    wanted = _wanted_name(admission, request.name, requester)
    given = handed_out_before(transaction, authority, admission, spki_sha256)
    if given is not None and wanted in {None, given.subject_id.removeprefix(f"{kind}.")}:
        return given
    if wanted is None and kind is RoleKind.AGENT:
        raise _refused(admission, UsageProblem("expected the node of this agent", hint="give --name NODE"), requester)
    short = new_id(transaction.clock.random(_ID_BYTES)) if wanted is None else wanted
    name = _free_name(transaction, admission, f"{kind}.{short}", requester)
    record = issue_kept_identity(
        transaction,
        authority,
        name=name,
        role=Role(kind=kind, scope=short if kind is RoleKind.AGENT else ""),
        spki_der=request.signing_request.spki_der,
        requester=requester,
        via=f"token:{admission.token_id}",
    )
    spent = spend(transaction, admission, spki_sha256, requester)
    fields: Mapping[str, Field] = {"serial": record.serial, "uses_left": spent.uses_left}
    transaction.log(requester.event(Action.CA_TOKEN_REDEEM, reference_of_token(spent), fields=fields))
    return record


def _kind_of(admission: Admission, requester: Requester) -> RoleKind:
    match admission.role:
        case TokenRole.DRIVER:
            return RoleKind.DRIVER
        case TokenRole.AGENT:
            return RoleKind.AGENT
        case TokenRole.WORKER | TokenRole.MANAGER:
            hint = "a node joins with: swarmsec node join --server URL --token TOKEN --dir DIR"
        case TokenRole.RECOVER:
            hint = "for bringing a node back: swarmsec node recover --server URL --token TOKEN --data-root DIR"
        case _:
            assert_never(admission.role)
    why = f"this token is for role {admission.role}, neither driver nor agent can be enrolled with it"
    raise _refused(admission, Denied(why, hint=hint), requester)


def _wanted_name(admission: Admission, name: str | None, requester: Requester) -> str | None:
    if not admission.node_name or name in {None, admission.node_name}:
        return admission.node_name or name
    error = Denied("the token is for another name", hint="leave --name out")
    raise _refused(admission, error, requester)


def _free_name(transaction: Transaction, admission: Admission, name: str, requester: Requester) -> str:
    try:
        parse_node_id(name.partition(".")[2])
        verify_name_free(transaction, parse_identity_name(name))
    except CaError as error:
        hint = error.hint or "give a short name, such as the host name: --name m1"
        raise _refused(admission, UsageProblem(str(error), hint=hint), requester) from None
    except SwarmsecError as error:
        raise _refused(admission, error, requester) from None
    return name


def _refused(admission: Admission, error: SwarmsecError, requester: Requester) -> Exception:
    return refusal(requester, Action.CA_TOKEN_REDEEM, error, admission.limited)
