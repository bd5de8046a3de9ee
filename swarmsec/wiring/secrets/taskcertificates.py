"""What issuing certificates to tasks works with: the authority as it is, a new key each time, and their life."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from swarmsec.config import Config
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.issue_task_secret import TaskIssuing, TaskKey
from swarmsec.wiring.ca.authority import AuthorityCache, lifetime_of


def new_task_key() -> TaskKey:
    """A P-256 key that nobody but its task is going to have."""
    key = ec.generate_private_key(ec.SECP256R1())
    return TaskKey(
        private_pem=SecretBytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        spki_der=key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def task_issuing(config: Config, keys: SealedKeys) -> TaskIssuing:
    """Issuing as the settings of a home say; whether it has an authority is found out when a task asks."""
    cache = AuthorityCache(keys, lifetime_of(config))
    hours = min(config.ca.task_certificate_hours, config.ca.certificate_hours)
    return TaskIssuing(authority_at=cache.at, new_key=new_task_key, hours=hours)
