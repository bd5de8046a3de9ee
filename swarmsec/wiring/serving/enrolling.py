"""The service behind the route of programs that enrol with a token."""

from __future__ import annotations

from ca.requests import SigningRequest
from swarmsec.http import Caller
from swarmsec.keys.signers import SealedKeys
from swarmsec.server.identity_api import EnrolAnswer
from swarmsec.services.access.enrol_identity import EnrolRequest, enrol_identity
from swarmsec.services.ports import Transaction
from swarmsec.services.rotation.follow_rotation import note_issued
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.serving.authorities import Authorities
from swarmsec.wiring.serving.services import requester_of


class EnrolledIdentities:
    """Answers the port ``server.identity_api.IdentityService``.

    Args:
        writer, keys, authorities: this server's own.
    """

    def __init__(self, writer: GroupWriter, keys: SealedKeys, authorities: Authorities) -> None:
        self._writer = writer
        self._keys = keys
        self._authorities = authorities

    async def enrol(
        self, caller: Caller, token: str, signing_request: SigningRequest, name: str | None, request_id: str
    ) -> EnrolAnswer:
        """Redeem a token."""
        wanted = EnrolRequest(token=token, signing_request=signing_request, name=name)
        requester = requester_of(caller, request_id)

        def unit(transaction: Transaction) -> EnrolAnswer:
            authority = self._authorities.at(transaction)
            record = enrol_identity(transaction, self._keys, authority, wanted, requester)
            note_issued(transaction, authority, record, requester)
            return EnrolAnswer(
                name=record.subject_id,
                role=record.role,
                certificate=authority.chain_pem(record).decode("ascii"),
                root_bundle=authority.trusted_pem.decode("ascii"),
                cross_signed=authority.cross_signed_pem.decode("ascii"),
            )

        return await self._writer.write(unit)
