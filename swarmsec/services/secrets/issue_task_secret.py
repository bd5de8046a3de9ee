"""Secrets under ``pki/``: a key and a certificate that are made for one task when it asks, and kept nowhere.

The certificate is a server's (serverAuth of RFC 5280, section 4.2.1.12) and names the service and the task as Docker's
own DNS does. It gets no clientAuth: a Docker daemon on TCP takes any client certificate of the root for an operator's.
The file that the task gets is PEM: the private key (PKCS#8), its certificate, the cross-certificate while a root is
rotated, and the roots.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from ca.errors import CaError
from ca.profiles import Profile
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_certificate import SERVER_NAME, issue_certificate, parse_certificate_request
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateStatus
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest

_SLOT: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_OWN_LOOKED_AT: Final = 16
"""Certificates of our own server whose names are looked at, the newest ones; each start of a server makes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKey:
    """A new private key, PEM, and its public half, DER."""

    private_pem: SecretBytes
    spki_der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskIssuing:
    """What issuing to tasks works with.

    Args:
        authority_at: the authority as a transaction sees it.
        new_key: makes a key.
        hours: how long a certificate lives.
    """

    authority_at: Callable[[Transaction], Authority]
    new_key: Callable[[], TaskKey]
    hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSecret:
    """The file for a task, and the serial of the certificate in it."""

    value: SecretBytes
    serial: str


def issue_task_secret(
    transaction: Transaction, issuing: TaskIssuing, request: SecretRequest, task: CheckedTask, requester: Requester
) -> IssuedSecret:
    """Make a key and a certificate for a task; that it may have them is decided before.

    The certificate stands in the issuance table under the task's id, and its entry in the log, when this returns; the
    caller answers when they are durable.

    Raises:
        NotFound: this home is no authority.
        UsageProblem: the service's name cannot stand in a certificate, or the task's is not what Docker makes of it.
        Denied: the name belongs to our own server.
    """
    authority = issuing.authority_at(transaction)
    hosts = task_hosts(request, task)
    _verify_not_ours(transaction, hosts)
    key = issuing.new_key()
    try:
        wanted = parse_certificate_request(Profile.SERVER, name=task.task_id, hosts=hosts, hours=issuing.hours)
        record = issue_certificate(transaction, authority, wanted, key.spki_der, requester)
    except CaError as error:
        raise UsageProblem(f"no certificate can name service {task.service_name}: {error}") from None
    chain = authority.chain_pem(record) + authority.trusted_pem
    value = SecretBytes(key.private_pem.reveal() + chain)
    key.private_pem.wipe()
    return IssuedSecret(value=value, serial=record.serial)


def task_hosts(request: SecretRequest, task: CheckedTask) -> tuple[str, ...]:
    """The names of a task in Docker's DNS: its service, all tasks of it, and this one.

    Raises:
        UsageProblem: the request gives the task a name that Docker does not give it.
    """
    service = task.service_name
    head, tail = f"{service}.", f".{task.task_id}"
    middle = request.task_name.removeprefix(head).removesuffix(tail)
    is_one = request.task_name == f"{head}{middle}{tail}" and (middle == task.node_id or _SLOT.fullmatch(middle))
    if not is_one:
        raise UsageProblem(f"expected the task's name as {service}.SLOT.{task.task_id}, got {request.task_name!r:.160}")
    return tuple(name.lower() for name in (service, f"tasks.{service}", request.task_name))


def _verify_not_ours(transaction: Transaction, hosts: tuple[str, ...]) -> None:
    now = unix_seconds(transaction.clock)
    own = transaction.certificates.by_subject(SERVER_NAME)
    for record in [r for r in own if r.status is CertificateStatus.VALID and r.not_after > now][-_OWN_LOOKED_AT:]:
        certificate = x509.load_der_x509_certificate(record.der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        taken = sorted(set(names.get_values_for_type(x509.DNSName)) & set(hosts))
        if taken:
            raise Denied(f"the name {taken[0]} belongs to swarmsec's own server")
