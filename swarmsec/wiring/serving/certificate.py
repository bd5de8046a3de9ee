"""The server's own certificate, and the roots that its clients may come under.

Issued by our own authority from the sealed key at every start and again at half its life, its private key never
leaving memory: what the server needs to renew itself depends on no certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ca.bundle import write_bundle
from ca.profiles import Profile
from swarmsec.clock import unix_seconds
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.ports import TlsMaterial
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_certificate import SERVER_NAME
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, SwarmRoot
from swarmsec.services.requester import SERVICE
from swarmsec.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate of the server with its key."""

    record: CertificateRecord
    key: SecretBytes


class ServerCertificate:
    """Answers the server's ``TlsSource`` port.

    Args:
        store: where the certificate is recorded.
        authority: who issues it.
        names: what it names.
    """

    def __init__(self, store: Store, authority: Authority, names: Sequence[str]) -> None:
        self._clock = store.clock
        self._authority = authority
        self._names = names
        self._generation = 0
        self._swarm_roots: Sequence[SwarmRoot] = ()
        self.adopt(store.write(self.issue_in))

    @property
    def names(self) -> Sequence[str]:
        """What the certificate names."""
        return self._names

    @property
    def not_after(self) -> int:
        """When the certificate ends, in Unix seconds."""
        return self._issued.record.not_after

    def issue_in(self, transaction: Transaction) -> Issued:
        """Issue a new certificate for a new key; ``adopt`` it once the transaction is durable."""
        key = ec.generate_private_key(ec.SECP256R1())
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        record = issue_for_host(
            transaction,
            self._authority,
            Profile.SERVER,
            name=SERVER_NAME,
            role=None,
            spki_der=spki,
            hosts=self._names,
            requester=SERVICE,
        )
        key_pem = SecretBytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Issued(record=record, key=key_pem)

    def adopt(self, issued: Issued) -> None:
        """Show this certificate from the next generation on."""
        self._issued = issued
        self._build()

    def use(self, authority: Authority) -> None:
        """Take up that the authority changed; ``is_due`` then tells whether another one is to issue."""
        self._authority = authority
        self._build()

    def accept(self, swarm_roots: Sequence[SwarmRoot]) -> bool:
        """Accept clients under these Swarm roots beside our own; True if that is a change."""
        if list(swarm_roots) == list(self._swarm_roots):
            return False
        self._swarm_roots = tuple(swarm_roots)
        self._build()
        return True

    def is_due(self) -> bool:
        """Whether half of its life is over, or another authority issues now."""
        now = unix_seconds(self._clock)
        record = self._issued.record
        return self.is_of_another_authority() or now >= (record.not_before + record.not_after) // 2

    def is_of_another_authority(self) -> bool:
        """Whether another root issues now, or for another cluster."""
        present, now = self._issued.record, self._authority
        return (present.generation, present.cluster_id) != (now.record.generation, now.cluster_id)

    def current(self) -> TlsMaterial:
        """The newest generation."""
        return self._material

    def _build(self) -> None:
        self._generation += 1
        roots = [write_bundle([*self._authority.accepted.values()]), *(root.pem for root in self._swarm_roots)]
        self._material = TlsMaterial(
            certificate_chain_pem=self._authority.chain_pem(self._issued.record),
            key_pem=self._issued.key,
            client_roots_pem=b"".join(roots),
            generation=self._generation,
        )
