"""Certificates of servers and clients, and of people, drivers and agents, whose role stands in the table alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca.profiles import Profile
from swarmsec.audit.actions import Action
from swarmsec.http import Role
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issued_certificates import reference_of, short_life
from swarmsec.services.ca.leaves import keep_leaf
from swarmsec.services.ca.orders import Order, sign_orders
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Field, Requester


def issue_for_host(
    transaction: Transaction,
    authority: Authority,
    profile: Profile,
    *,
    name: str,
    role: Role | None,
    spki_der: bytes,
    hosts: Sequence[str],
    requester: Requester,
    via: str = "",
) -> CertificateRecord:
    """Issue a server's or client's certificate.

    Args:
        role: what its bearer may do on our own API, if anything.
        via: how its bearer was let in, for the log, where no operator decided it.
    """
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, authority.cluster_id),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    (signed,) = sign_orders(transaction.clock, authority, [Order(profile, subject, spki_der, hosts)])
    record = keep_leaf(transaction, authority, signed, name=name, role=role)
    fields: Mapping[str, Field] = {
        "profile": record.profile,
        "role": record.role,
        "hosts": list(hosts),
        **({"via": via} if via else {}),
        **short_life(record),
    }
    transaction.log(requester.event(Action.CA_ISSUE, reference_of(record), fields=fields))
    return record
