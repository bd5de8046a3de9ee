"""Making a home. Interrupted anywhere, the same command makes it whole or says that it is.

Order: directory and settings, schema, seal key file and recovery file, then one transaction that makes the store a
home. Until that transaction is durable nothing refers to the files; from then on everything needed is on disk.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef, parse_entry
from swarmsec.clock import Clock, SystemClock, rfc3339, unix_seconds
from swarmsec.config import FILE_NAME, Config, Pkcs11Settings, initial_text, load_config
from swarmsec.errors import AlreadyExists, NotFound, Unavailable, UsageProblem
from swarmsec.keys.keyring import KeyRing
from swarmsec.keys.recovery import MAX_FILE_BYTES, RecoveryKey, new_recovery_key, parse_recovery_key
from swarmsec.keys.sealfile import create_seal_file, read_seal_file
from swarmsec.keys.seals import FILE, MIN_PASSPHRASE, PASSPHRASE, new_params, seal_context, seal_key, wrap_root
from swarmsec.keys.signers import SealedKeys
from swarmsec.openedfile import open_to_read
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import KEY_BYTES
from swarmsec.services.log.sign_log import create_log_key
from swarmsec.services.ports import Transaction
from swarmsec.services.records import SealRow
from swarmsec.services.requester import Requester
from swarmsec.storage.store import Store
from swarmsec.wiring.homes.home import Ask, Home, is_initialised, open_home, open_store, seal_path, tokens_of

BACKUP_MAC_KEY: Final = "core/backup-mac-key"
RECOVERY_RECIPIENT: Final = "recovery_recipient"
DEFAULT_URL: Final = "sqlite:///state.db"
_MAKING: Final = frozenset(
    {
        Action.HOME_CREATE,
        Action.HOME_MIGRATE,
        Action.HOME_ANCHOR_MISSING,
        Action.SEAL_CREATE,
        Action.KEY_CREATE,
        Action.KEY_RECOVERY,
        Action.AUDIT_KEY_CREATE,
    }
)
"""What the log of a home says that was made and never used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHome:
    """How to make a home."""

    path: Path
    database_url: str = DEFAULT_URL
    seal: str = FILE
    recovery_out: Path | None = None
    pkcs11: Pkcs11Settings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new home, its keys open; ``recovery`` is to be shown if it was written to no file."""

    home: Home
    recovery: RecoveryKey


def home_exists(path: Path) -> bool:
    """Whether there is a finished home.

    Raises:
        Unavailable: the directory cannot be looked into.
    """
    try:
        config = load_config(path)
    except NotFound:
        return False
    store = open_store(path, config, SystemClock())
    try:
        return is_initialised(path, config, store)
    finally:
        store.close()


def create_home(wanted: NewHome, ask: Ask, requester: Requester) -> Created:
    """Make a home where there is none, or finish one whose making was interrupted.

    Raises:
        AlreadyExists: there is one, or the recovery file exists.
        Unavailable: a directory or file cannot be written.
        UsageProblem: the settings or the passphrase cannot be meant.
    """
    try:
        return _create(wanted, ask, requester)
    except OSError as error:
        raise Unavailable(
            f"{error.filename or wanted.path} could not be written: {error.strerror}",
            hint="check owner, mode and free space of the home and state directories",
        ) from None


def _create(wanted: NewHome, ask: Ask, requester: Requester) -> Created:
    clock = SystemClock()
    begun = (wanted.path / FILE_NAME).exists()
    if not begun:
        _lay_out(wanted)
    # From here on this run and one that was interrupted, or one that runs at the same time, do the same.
    config = load_config(wanted.path)
    store = open_store(wanted.path, config, clock)
    try:
        if is_initialised(wanted.path, config, store):
            raise _home_exists(wanted.path)
        recovery = _recovery_key(wanted.recovery_out, resumes=begun)
        store.migrate()
        keys = _fill(store, config, wanted, recovery, ask, requester, clock)
    finally:
        store.close()
    home = open_home(wanted.path, requester=requester, clock=clock)
    home.findings.clear()
    home.adopt_keys(keys)
    return Created(home=home, recovery=recovery)


def _home_exists(path: Path) -> AlreadyExists:
    return AlreadyExists(f"there is a home at {path} already", hint="use another --home")


def _lay_out(wanted: NewHome) -> None:
    make_private_directory(wanted.path)
    if any(wanted.path.iterdir()):
        raise UsageProblem(f"expected an empty directory at {wanted.path}", hint="name another --home")
    wanted.path.chmod(0o700)
    text = initial_text(wanted.database_url, wanted.pkcs11).encode()
    with suppress(FileExistsError):
        write_atomically(wanted.path / FILE_NAME, text, mode=0o600, exclusive=True)


def _recovery_key(path: Path | None, *, resumes: bool) -> RecoveryKey:
    """A new recovery key, in its file before anything depends on it; an interrupted run's is taken up again."""
    if path is not None and path.exists() and resumes:
        return _read_recovery_file(path)
    return _fresh_recovery_key(path)


def recovery_to_finish(home: Home, path: Path | None) -> RecoveryKey | None:
    """The recovery key for a home whose making was interrupted before it could be shown.

    Args:
        home: the home, whose keys are there and whose authority may not be.
        path: ``--recovery-out``.

    Returns:
        a new one, which the caller keeps with ``keep_recovery_key``; None where there is nothing to finish or the
        file has the home's own.

    Raises:
        AlreadyExists: the file holds another.
    """
    if home.store.read(_is_in_use):
        return None
    if path is None or not path.exists():
        return _fresh_recovery_key(path)
    known = home.store.read(lambda transaction: transaction.settings.get(RECOVERY_RECIPIENT))
    if _read_recovery_file(path).recipient != known:
        raise _recovery_file_exists(path)
    return None


def _is_in_use(transaction: Transaction) -> bool:
    """Whether anything followed the making of the home: then its recovery key was shown."""
    entries = transaction.log_entries.since(0)
    # An entry whose content was pruned is older than any making that is still to be finished.
    return any(not stored.data or parse_entry(stored.data)["action"] not in _MAKING for stored in entries)


def _fresh_recovery_key(path: Path | None) -> RecoveryKey:
    recovery = new_recovery_key()
    if path is not None:
        write_recovery_file(path, recovery)
    return recovery


def _read_recovery_file(path: Path) -> RecoveryKey:
    with open_to_read(path) as file:
        return parse_recovery_key(file.read(MAX_FILE_BYTES + 1))


def _recovery_file_exists(path: Path) -> AlreadyExists:
    return AlreadyExists(f"the file {path} exists", hint="name a new file with --recovery-out")


def write_recovery_file(path: Path, recovery: RecoveryKey) -> None:
    """Write a recovery key to a new file that its owner alone can read.

    Raises:
        AlreadyExists: the file exists.
    """
    text = (
        b"# swarmsec recovery key: opens every backup of its home. Keep it away from the home and its backups.\n"
        + f"# public key: {recovery.recipient}\n".encode()
        + recovery.identity.reveal()
        + b"\n"
    )
    try:
        write_atomically(path, text, mode=0o600, exclusive=True)
    except FileExistsError:
        raise _recovery_file_exists(path) from None


def _fill(
    store: Store,
    config: Config,
    wanted: NewHome,
    recovery: RecoveryKey,
    ask: Ask,
    requester: Requester,
    clock: Clock,
) -> SealedKeys:
    store_id = str(uuid.UUID(bytes=clock.random(16), version=4))
    keys = SealedKeys(KeyRing(store_id, SecretBytes(clock.random(KEY_BYTES))), tokens_of(config))
    seal = new_seal(config, store_id, keys.ring.root, wanted.seal, ask, clock)

    def fill(transaction: Transaction) -> None:
        if transaction.settings.get("store_id") is not None:
            raise _home_exists(wanted.path)
        transaction.settings.put("store_id", store_id)
        transaction.settings.put("created", rfc3339(clock.unix_ms()))
        transaction.log(requester.event(Action.HOME_CREATE, ObjectRef(type="home", id=store_id)))
        add_seal(transaction, seal, requester)
        term = keys.ring.add_term(transaction)
        transaction.log(requester.event(Action.KEY_CREATE, ObjectRef(type="key-term", version=term)))
        keep_recovery_key(transaction, keys, recovery, requester)
        create_log_key(transaction, keys, requester)

    store.write(fill)
    return keys


def new_seal(config: Config, store_id: str, root: SecretBytes, kind: str, ask: Ask, clock: Clock) -> SealRow:
    """Wrap a root key under a new seal; a key file is on disk when this returns."""
    seal_id = clock.random(8).hex()
    params = new_params(kind, clock.random)
    given = _key_in_file(config, store_id, seal_id, clock) if kind == FILE else _new_passphrase(kind, ask)
    context = seal_context(store_id, seal_id, kind, params)
    wrapped = wrap_root(seal_key(kind, params, given), root, context, clock.random)
    return SealRow(seal_id=seal_id, kind=kind, params=params, wrapped_root=wrapped, created=unix_seconds(clock))


def _key_in_file(config: Config, store_id: str, seal_id: str, clock: Clock) -> SecretBytes:
    """A new key in its file; the file that ``[seal] path`` names is used as it is where it exists."""
    path = seal_path(config, store_id, seal_id)
    key = SecretBytes(clock.random(KEY_BYTES))
    try:
        create_seal_file(path, key)
    except FileExistsError:
        return read_seal_file(path)
    return key


def add_seal(transaction: Transaction, seal: SealRow, requester: Requester) -> None:
    """Keep a seal."""
    transaction.seals.add(seal)
    target = ObjectRef(type="seal", id=seal.seal_id, name=seal.kind)
    transaction.log(requester.event(Action.SEAL_CREATE, target))


def keep_recovery_key(transaction: Transaction, keys: SealedKeys, recovery: RecoveryKey, requester: Requester) -> None:
    """Keep what backups need of a recovery key: its public part, and the MAC key."""
    keys.put(transaction, BACKUP_MAC_KEY, recovery.backup_mac_key)
    transaction.settings.put(RECOVERY_RECIPIENT, recovery.recipient)
    target = ObjectRef(type="recovery-key", id=recovery.recipient)
    transaction.log(requester.event(Action.KEY_RECOVERY, target))


def _new_passphrase(kind: str, ask: Ask) -> SecretBytes:
    if kind != PASSPHRASE:
        raise UsageProblem(f"expected a seal of kind {FILE} or {PASSPHRASE}, got {kind!r}")
    passphrase = ask("new passphrase for this home")
    if len(passphrase) < MIN_PASSPHRASE:
        raise UsageProblem(f"expected a passphrase of at least {MIN_PASSPHRASE} bytes, got {len(passphrase)}")
    return passphrase
