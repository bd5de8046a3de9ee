"""Opening a home: its settings, its store, whether it is the newest it has ever been, and its keys."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Event, ObjectRef
from swarmsec.clock import Clock, SystemClock
from swarmsec.config import Config, Pkcs11Settings, load_config
from swarmsec.errors import IntegrityFailure, NotFound, UsageProblem
from swarmsec.keys.errors import KeysLocked, WrongUnlock
from swarmsec.keys.keyring import KeyRing
from swarmsec.keys.sealfile import read_seal_file
from swarmsec.keys.seals import FILE, PASSPHRASE, seal_context, seal_key, unwrap_root
from swarmsec.keys.signers import SealedKeys
from swarmsec.keys.tokenaccess import TokenAccess
from swarmsec.keys.tokens import Tokens
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.restored_state import RESTORED
from swarmsec.services.log.sign_log import begin_generation
from swarmsec.services.records import SealRow
from swarmsec.services.requester import SERVICE, Requester
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.database import open_engine, parse_url, sqlite_path, verify_private
from swarmsec.storage.errors import StoreRolledBack, translated
from swarmsec.storage.log import LogHead, head_at
from swarmsec.storage.schema import HEADS, read_revisions, verify_known, verify_unwritten
from swarmsec.storage.store import Store
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.homes.places import state_directory
from swarmsec.wiring.log.checkpointing import SigningAnchor

RESTORE_ACCEPT: Final = "restored homes serve nothing until: swarmsec restore --accept"

Ask = Callable[[str], SecretBytes]
"""How to get a secret from a person: the prompt in, the answer out."""
RootSource = Callable[[], SecretBytes | None]
"""Where an unlocked process may give the root key: None where none answers."""


def tokens_of(config: Config, path: Path | None = None) -> Tokens:
    """The tokens that the settings name; nothing is loaded before a key in one is used.

    Args:
        path: of the home, whose settings are read again where they named no module.
    """
    return Tokens(_access(config.pkcs11), reread=None if path is None else lambda: _access(load_config(path).pkcs11))


def _access(settings: Pkcs11Settings) -> TokenAccess:
    return TokenAccess(module=settings.module, pin_file=settings.pin_file)


def refuse_to_ask(prompt: str) -> SecretBytes:
    """For processes without a person in front of them.

    Raises:
        KeysLocked: always.
    """
    raise KeysLocked(f"locked: expected an answer to {prompt!r}", hint="unlock with: swarmsec unlock")


class Home:
    """One open home.

    Args:
        path: the directory.
        config: its settings.
        store: its open store.
        store_id: the store's id.
        clock: time and randomness.
    """

    def __init__(self, path: Path, config: Config, store: Store, store_id: str, clock: Clock) -> None:
        self.path = path
        self.config = config
        self.store = store
        self.store_id = store_id
        self.clock = clock
        self.findings: list[str] = []
        self._keys: SealedKeys | None = None
        self._is_tried = False

    @property
    def anchor_path(self) -> Path:
        """Where the rollback anchor lies."""
        return anchor_path(self.config, self.store_id)

    def keys(self, ask: Ask = refuse_to_ask, from_process: RootSource = lambda: None) -> SealedKeys:
        """Open the key store; a second call gives the same.

        Raises:
            KeysLocked: nothing at hand opens a seal.
            WrongUnlock: what was given does not fit.
        """
        if self._keys is None:
            self._is_tried = True
            seals = self.store.read(lambda transaction: transaction.seals.all())
            root = self._root_from(list(seals), ask, from_process)
            self._keys = SealedKeys(KeyRing(self.store_id, root), tokens_of(self.config, self.path))
        return self._keys

    def unlock(self, passphrase: SecretBytes) -> SealedKeys:
        """Open the key store with a passphrase, which is held against the seal even where the keys are open already.

        Raises:
            WrongUnlock: it does not fit; the attempt is logged.
        """
        seals = self.store.read(lambda transaction: transaction.seals.all())
        root = self._root_from(list(seals), lambda _: passphrase, lambda: None)
        if self._keys is None:
            self._keys = SealedKeys(KeyRing(self.store_id, root), tokens_of(self.config, self.path))
        return self._keys

    def adopt_keys(self, keys: SealedKeys) -> None:
        """Use keys that are open already."""
        self._keys = keys

    def keys_at_hand(self) -> SealedKeys | None:
        """The keys, if they are open or a key file opens them; nobody is asked."""
        # Once: what does not fit leaves an entry, and each entry would move the anchor and try again.
        if self._keys is None and not self._is_tried and not self.needs_passphrase():
            with suppress(KeysLocked, WrongUnlock):
                self.keys()
        return self._keys

    def signing_anchor(self) -> SigningAnchor:
        """The anchor that takes signed checkpoints along."""
        return SigningAnchor(self.store, AnchorFile(self.anchor_path, self.store_id), self.keys_at_hand)

    def needs_passphrase(self) -> bool:
        """Whether no key file opens this home."""
        seals = self.store.read(lambda transaction: transaction.seals.all())
        return all(seal.kind != FILE for seal in seals)

    def close(self) -> None:
        """Write the anchor and let go of the store and of tokens."""
        try:
            self.store.close()
        finally:
            if self._keys is not None:
                self._keys.tokens.close()

    def _root_from(self, seals: list[SealRow], ask: Ask, from_process: RootSource) -> SecretBytes:
        missing: KeysLocked | None = None
        for seal in seals:
            if seal.kind == FILE:
                try:
                    given = read_seal_file(seal_path(self.config, self.store_id, seal.seal_id))
                except KeysLocked as error:
                    missing = missing or error
                else:
                    return self.open_seal(seal, given)
        root = from_process()
        if root is not None:
            return root
        for seal in seals:
            if seal.kind == PASSPHRASE:
                return self.open_seal(seal, ask("passphrase of this home"))
        raise missing or IntegrityFailure("expected a seal in this home, got none that this version knows")

    def open_seal(self, seal: SealRow, given: SecretBytes) -> SecretBytes:
        """Open one seal with what belongs to it.

        Raises:
            WrongUnlock: it does not fit; the attempt is logged.
        """
        context = seal_context(self.store_id, seal.seal_id, seal.kind, seal.params)
        try:
            return unwrap_root(seal_key(seal.kind, seal.params, given), seal.wrapped_root, context)
        except WrongUnlock as error:
            target = ObjectRef(type="seal", id=seal.seal_id, name=seal.kind)
            event = SERVICE.event(Action.SEAL_OPEN, target, outcome=Outcome.DENIED, reason=str(error))
            self.store.write(lambda transaction: transaction.log(event))
            raise


def open_home(
    path: Path,
    *,
    requester: Requester = SERVICE,
    accept_rollback: str | None = None,
    allow_restored: bool = False,
    clock: Clock | None = None,
) -> Home:
    """Open an existing home.

    Args:
        path: the directory.
        requester: who opens it, for entries about the anchor.
        accept_rollback: the operator's reason to go on with a store older than its anchor.
        allow_restored: whether a restored home may be opened before it is accepted.
        clock: the machine's own without it.

    Raises:
        NotFound: no home there, or one whose making was interrupted.
        IntegrityFailure: unknown schema, damaged store, or older than its anchor.
        UsageProblem: settings or file modes that cannot be meant.
    """
    config = load_config(path)
    store = open_store(path, config, clock or SystemClock())
    try:
        home = _open(path, config, store, clock or SystemClock())
        restored = store.read(lambda transaction: transaction.settings.get(RESTORED))
        if restored and not allow_restored:
            raise UsageProblem("this home was restored from a backup and is not accepted yet", hint=RESTORE_ACCEPT)
        if not restored:
            # A restored home is older than its anchor; that is what accepting it is about.
            _verify_anchor(home, requester, accept_rollback)
    except BaseException:
        store.anchor = None
        store.close()
        raise
    return home


def open_store(path: Path, config: Config, clock: Clock) -> Store:
    """Open the store of a home, whatever state it is in."""
    url = parse_url(config.storage.url, path)
    file = sqlite_path(url)
    with translated():
        engine = open_engine(url)
    return Store(engine, clock, file.with_name(file.name + ".writer") if file else None)


def is_initialised(path: Path, config: Config, store: Store) -> bool:
    """Whether a store has its schema and its id.

    Raises:
        IntegrityFailure: it has not, but it once had; or its schema is not one that this version knows.
    """
    file = sqlite_path(parse_url(config.storage.url, path))
    if file is not None and not file.exists():
        return False
    # One state for all of it: another process may be making the same home.
    with store.snapshot() as connection:
        revisions = read_revisions(connection)
        verify_known(revisions)
        if revisions and Transaction(connection, None, store.clock).settings.get("store_id") is not None:
            return True
        verify_unwritten(connection, revisions)
        return False


def anchor_path(config: Config, store_id: str) -> Path:
    """Where a store's anchor lies."""
    return Path(config.anchor.path) if config.anchor.path else state_directory(store_id) / "anchor"


def seal_path(config: Config, store_id: str, seal_id: str) -> Path:
    """Where a file seal's key lies."""
    return Path(config.seal.path) if config.seal.path else state_directory(store_id) / f"seal-{seal_id}.key"


def _open(path: Path, config: Config, store: Store, clock: Clock) -> Home:
    file = sqlite_path(parse_url(config.storage.url, path))
    if file is not None and file.exists():
        verify_private(file)
    if not is_initialised(path, config, store):
        raise NotFound(f"the home at {path} was never finished", hint=f"repeat: swarmsec --home {path} ca init")
    if store.revisions() != HEADS:
        store.migrate(SERVICE.event(Action.HOME_MIGRATE, ObjectRef(type="home"), fields={"to": sorted(HEADS)}))
    store.read(lambda transaction: transaction.settings.verify_found())
    store_id = store.read(lambda transaction: transaction.settings.get("store_id")) or ""
    return Home(path, config, store, store_id, clock)


def _verify_anchor(home: Home, requester: Requester, accept_rollback: str | None) -> None:
    """Hold the store against its anchor, then let the store keep the anchor moving."""
    anchor = AnchorFile(home.anchor_path, home.store_id)
    target = ObjectRef(type="home", id=home.store_id)
    try:
        _verify_not_older(home.store, anchor)
    except IntegrityFailure as error:
        if accept_rollback is None:
            raise
        event = requester.event(
            Action.HOME_ROLLBACK_ACCEPT, target, reason=accept_rollback, fields={"found": str(error)}
        )
        home.store.write(partial(_accept_rollback, event=event))
        anchor.replace(home.store.head())
    if anchor.read() is None:
        home.findings.append(f"there was no rollback anchor at {anchor.path}; a new one begins here")
        event = requester.event(Action.HOME_ANCHOR_MISSING, target, fields={"path": str(anchor.path)})
        home.store.write(lambda transaction: transaction.log(event))
        anchor.advance(home.store.head())
    home.store.anchor = home.signing_anchor()
    known = anchor.read()
    if known is not None and known.size < home.store.head().size:
        home.store.require_anchor()


def _accept_rollback(transaction: Transaction, event: Event) -> None:
    # What was forgotten may have been signed: the log goes on under another name.
    begin_generation(transaction)
    transaction.log(event)


def _verify_not_older(store: Store, anchor: AnchorFile) -> None:
    known: LogHead | None = anchor.read()
    if known is None or known.size == 0:
        return
    with store.reading() as transaction:
        present = head_at(transaction.connection, known.size)
    if present is None or present.last_hash != known.last_hash:
        what = "is older than" if present is None else "differs from"
        raise StoreRolledBack(
            f"this home {what} what it was: its anchor {anchor.path} knows {known.size} log entries",
            hint="bring the newest state back; if you know why, repeat with --accept-rollback REASON",
        )
