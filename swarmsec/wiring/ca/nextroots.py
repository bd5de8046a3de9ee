"""Making ready for the root that a rotation goes to: what lies outside the database comes before the transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from swarmsec.config import Pkcs11Settings
from swarmsec.keys.signers import SealedKeys
from swarmsec.keys.tokenuri import TokenKeyUri, is_token_key, parse_token_uri
from swarmsec.services.ca.init_authority import ImportedRoot
from swarmsec.services.ca.token_roots import TokenRoot
from swarmsec.services.records import AuthorityRecord, KeyKind
from swarmsec.services.requester import Requester
from swarmsec.services.rotation.next_roots import KeptRoot, NextRoot, kind_of_root
from swarmsec.services.rotation.rotation_roots import running_rotation
from swarmsec.services.swarm.swarm_rotation_records import RootChoice
from swarmsec.wiring.ca.tokenroots import find_or_make, make_beside
from swarmsec.wiring.homes.home import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRoot:
    """What somebody asked for; nothing for a root like the present one, its key where the present one is.

    Args:
        key_kind: of a key that is made here.
        imported: the root itself, made elsewhere.
        uri: where its key is or shall be, in a token that was seen to be there.
        sealed: the key in the home, wherever the present one is.
        settings: how the token of ``uri`` is come by, as the home is to have it.
        kept: an imported root whose key was sealed before.
    """

    key_kind: KeyKind | None = None
    imported: ImportedRoot | None = None
    uri: TokenKeyUri | None = None
    sealed: bool = False
    settings: Pkcs11Settings | None = None
    kept: KeptRoot | None = None

    @property
    def choice(self) -> RootChoice:
        """What was asked for, as it is kept for whoever goes on."""
        return RootChoice(
            key_type=self.key_kind.value if self.key_kind else "",
            token_key=self.uri.key_name if self.uri else "",
            sealed=self.sealed,
            certificate=self.imported.certificate if self.imported else b"",
            certificate_key=self.imported.key_type if self.imported else "",
        )


LIKE_THE_PRESENT: Final = WantedRoot()


def wanted_of(choice: RootChoice) -> WantedRoot:
    """What was asked for when a rotation was begun."""
    kept = None
    if choice.certificate:
        kept = KeptRoot(certificate=choice.certificate, key_name=choice.key_name, key_type=choice.certificate_key)
    uri = parse_token_uri(choice.token_key) if choice.token_key else None
    return WantedRoot(key_kind=choice.key_kind, uri=uri, sealed=choice.sealed, kept=kept)


def make_ready(home: Home, keys: SealedKeys, requester: Requester, wanted: WantedRoot) -> NextRoot:
    """Find or make the key in a token, where the root's is to be in one; nothing is made for a rotation that runs.

    Raises:
        UsageProblem, KeyUnavailable, WrongUnlock: as ``tokenroots`` says.
    """
    plain = NextRoot(key_kind=wanted.key_kind, imported=wanted.imported, kept=wanted.kept, leaves_token=wanted.sealed)
    active = home.store.read(lambda transaction: transaction.authorities.active())
    is_sealed = wanted.imported or wanted.kept or wanted.sealed
    if active is None or is_sealed or home.store.read(running_rotation) is not None:
        return plain
    in_token = _in_token(home, keys, requester, wanted, active)
    return plain if in_token is None else replace(plain, in_token=in_token)


def _in_token(
    home: Home, keys: SealedKeys, requester: Requester, wanted: WantedRoot, active: AuthorityRecord
) -> TokenRoot | None:
    if wanted.uri is not None:
        return find_or_make(home, keys, wanted.uri, wanted.key_kind, requester)
    if not is_token_key(active.key_name):
        return None
    present = parse_token_uri(active.key_name)
    return make_beside(home, keys, present, wanted.key_kind or kind_of_root(active), requester)
