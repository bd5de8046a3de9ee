"""Show a secret's value to an administrator: policy first, the entry second, the value last."""

from __future__ import annotations

from policies.decisions import Denied
from policies.revealing import decide_reveal
from swarmsec.audit.actions import Action, Outcome
from swarmsec.errors import Denied as DeniedError
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.access.apply_policy import active_documents
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.kept_secrets import find_secret, open_version, reference_of


def reveal_secret(
    transaction: Transaction,
    keys: Keys,
    name: SecretName,
    requester: Requester,
    *,
    version: int | None = None,
    reason: str = "",
) -> SecretBytes:
    """Open a version's value for a person; the current one where none is named.

    The caller shows it only after the transaction is durable.

    Raises:
        NotFound: there is no such secret, or the version is not live.
        Refusal: a policy forbids it; the refusal is on record.
        RecordUnreadable: the value does not open.
    """
    kept = find_secret(transaction, name)
    number = kept.record.current if version is None else version
    target = reference_of(kept, number)
    decision = decide_reveal(active_documents(transaction), name.text)
    if isinstance(decision, Denied):
        why = f"{decision.reason}: {decision.basis}"
        raise Refusal(
            DeniedError(f"{name} may not be revealed: {why}", hint="see: swarmsec policy list"),
            requester.event(Action.SECRET_REVEAL, target, outcome=Outcome.DENIED, reason=why),
        )
    value = open_version(transaction, keys, kept, number)
    transaction.log(requester.event(Action.SECRET_REVEAL, target, reason=reason))
    return value
