"""Docker's own secrets that hold versions of ours, and their end.

In native mode a version is a Docker secret of its own, in raft and on every manager for as long as it is there. A
rotation removes those of the versions that it ends. Versions end otherwise, too: withdrawn, destroyed, or beyond the
number to keep; and when the last service has let go of the secret, Docker needs none of its versions. Theirs go here,
unless a service uses them or a rotation is under way, which may lead back to them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from swarmsec.audit.actions import Action
from swarmsec.errors import AlreadyExists
from swarmsec.secretstore.names import SecretName
from swarmsec.services.ports import Transaction
from swarmsec.services.secrets.attach_intents import unfinished_attempts
from swarmsec.services.secrets.attach_secret import NATIVE_MODE, native_secret_name
from swarmsec.services.secrets.delivery_ports import SecretCarrier
from swarmsec.services.secrets.kept_secrets import find_secret
from swarmsec.services.secrets.service_records import NAME_LABEL, DockerSecret
from swarmsec.wiring.secrets.secretturns import SecretStore, rotation_turn


def ended_natively(transaction: Transaction) -> Mapping[SecretName, Sequence[int]]:
    """The versions that nobody gets any more, of secrets that are attached natively and are not being rotated."""
    names = {item.name for item in transaction.attachments.all() if item.mode == NATIVE_MODE}
    rotated = {rotation.name for rotation in transaction.secret_rotations.all()}
    found = {name: find_secret(transaction, name).history.ended for name in map(SecretName.parse, names - rotated)}
    return {name: ended for name, ended in found.items() if ended}


def _let_go_natively(
    transaction: Transaction, name: SecretName, service_id: str, request_id: str
) -> Sequence[int] | None:
    """All versions of a secret that this one service had last; None while another one has it or is about to."""
    is_had = any(
        item.mode == NATIVE_MODE and item.service_id != service_id
        for item in transaction.attachments.of_secret(name.text)
    )
    is_wanted = any(
        attempt.action is Action.SECRET_ATTACH
        and attempt.attachment.name == name.text
        and attempt.request_id != request_id
        for attempt in unfinished_attempts(transaction)
    )
    if is_had or is_wanted or transaction.secret_rotations.get(name.text) is not None:
        return None
    return [version.version for version in find_secret(transaction, name).versions]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSecrets:
    """The Docker secrets that hold versions of one secret.

    Args:
        name: of the secret.
        carrier: the manager's engine.
        report: takes a line for the operator.
    """

    name: SecretName
    carrier: SecretCarrier
    report: Callable[[str], None]

    def remove_unused(self, versions: Collection[int]) -> bool:
        """Remove those of these versions, unless a service uses them.

        Returns:
            whether none is left.

        Raises:
            UsageProblem: a service has come to use one meanwhile.
            Unavailable: Docker does not answer.
        """
        unused, used = self._sorted(versions)
        for secret in used:
            self.report(f"the Docker secret {secret.name} stays, for a service uses it")
        for secret in unused:
            self.carrier.remove_secret(secret.id)
        return not used

    def remove_ended(self, store: SecretStore) -> bool:
        """Remove those of the versions that ended.

        Returns:
            whether it is certain that none is left: not where a service uses one, a rotation is under way, or nothing
            ended natively.

        Raises:
            as ``remove_unused``.
        """
        return self._remove(store, lambda transaction: ended_natively(transaction).get(self.name))

    def remove_let_go(self, store: SecretStore, service_id: str, request_id: str) -> bool:
        """Remove those of all versions, where a service that has let go of the secret was the last to have it.

        Args:
            store: of the home.
            service_id: of the service.
            request_id: of the attempt by which it let go, or in which it never came to have it.

        Returns:
            as ``remove_ended``.

        Raises:
            as ``remove_unused``.
        """
        return self._remove(store, lambda transaction: _let_go_natively(transaction, self.name, service_id, request_id))

    def _remove(self, store: SecretStore, needless: Callable[[Transaction], Sequence[int] | None]) -> bool:
        versions = store.read(needless)
        if versions is None:
            return False
        unused, _ = self._sorted(versions)
        if not unused:
            return self.remove_unused(versions)
        try:
            with rotation_turn(store, self.name.text) as turn:
                # Looked up again: now no rotation begins any more, and none is half done.
                still = turn.read(needless)
                return still is not None and self.remove_unused(still)
        except AlreadyExists:
            return False

    def _sorted(self, versions: Collection[int]) -> tuple[Sequence[DockerSecret], Sequence[DockerSecret]]:
        """Those that no service uses, and the others."""
        names = {native_secret_name(self.name, version) for version in versions}
        found = [secret for secret in self.carrier.secrets() if secret.name in names and self._is_ours(secret)]
        if not found:
            return (), ()
        used = {reference.secret_id for service in self.carrier.services() for reference in service.secrets}
        return [each for each in found if each.id not in used], [each for each in found if each.id in used]

    def _is_ours(self, secret: DockerSecret) -> bool:
        return not secret.driver and secret.labels.get(NAME_LABEL) == self.name.text
