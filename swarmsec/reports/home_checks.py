"""Checks of our own home: certificates, tokens, roots, trust, secrets, log, anchor, backup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from swarmsec.reports.checks import checks, failed, for_a_person, judged, passed
from swarmsec.reports.facts import Facts, HomeFacts, Unknown
from swarmsec.reports.model import Finding, Resource, State

DAY: Final = 86_400
TOKEN_DAYS: Final = 90
ROOT_DAYS: Final = 365
TRUST_DAYS: Final = 30
SECRET_DAYS: Final = 90
ROTATION_HOURS: Final = 24
BACKUP_HOURS: Final = 26
UNLOCK_KEY_DAYS: Final = 90
_VALID: Final = "valid"
_SUPERSEDED: Final = "superseded"


def _home(home: HomeFacts) -> Resource:
    return Resource(type="home", id=home.store_id)


def _node(subject: str) -> Resource:
    return Resource(type="node", id=subject)


def _authority(facts: Facts) -> HomeFacts:
    if not facts.home.has_authority:
        raise Unknown(State.NOT_APPLICABLE, "this home is no certificate authority")
    return facts.home


def _days(seconds: int) -> str:
    days = abs(seconds) // DAY
    return f"{days} day{'s' if days != 1 else ''}"


@checks("OWN-1")
def certificates_are_renewed(facts: Facts) -> Iterable[Finding]:
    """Nobody's newest certificate is past the time by which it renews itself."""
    home = _authority(facts)
    expected = "renewed before 80 % of its life"
    for fact in home.certificates:
        if fact.is_newest and fact.status == _VALID:
            left = fact.not_after - home.now
            observed = f"{fact.role} certificate {fact.serial[:16]} ends in {_days(left)}"
            yield judged(not fact.is_overdue, _node(fact.subject_id), observed, expected, "it is overdue for renewal")


@checks("OWN-2")
def no_obsolete_manager_certificate(facts: Facts) -> Iterable[Finding]:
    """No manager certificate counts of a node that is no manager any more."""
    home = _authority(facts)
    newest = {fact.subject_id: fact for fact in home.certificates if fact.is_newest}
    expected = "no manager certificate of a node that is a worker now"
    for fact in home.certificates:
        if "manager" not in fact.role or fact.not_after <= home.now or fact.status == "revoked":
            continue
        present = newest.get(fact.subject_id)
        is_obsolete = present is not None and "manager" not in present.role
        observed = f"manager certificate {fact.serial[:16]}, {fact.status}, for {_days(fact.not_after - home.now)}"
        reason = "Docker believes it until it ends; only a rotation of the root takes it away"
        yield judged(not is_obsolete, _node(fact.subject_id), observed, expected, reason)


@checks("OWN-3")
def standing_tokens_are_young(facts: Facts) -> Iterable[Finding]:
    """Standing join tokens are replaced now and then."""
    home = _authority(facts)
    for role, created in sorted(home.standing_tokens.items()):
        age = home.now - created
        resource = Resource(type="join-token", id=role)
        yield judged(age <= TOKEN_DAYS * DAY, resource, f"{_days(age)} old", f"at most {TOKEN_DAYS} days old")


@checks("OWN-4")
def root_lasts(facts: Facts) -> Iterable[Finding]:
    """The root has more than a year left, which is what Docker asks of a root that it rotates to."""
    home = _authority(facts)
    left = home.root_not_after - home.now
    resource = Resource(type="root", id=home.cluster_id)
    observed = f"ends in {_days(left)}" if left > 0 else "has ended"
    yield judged(left > ROOT_DAYS * DAY, resource, observed, f"ends in more than {ROOT_DAYS} days")


@checks("OWN-5")
def short_lifetimes_are_meant(facts: Facts) -> Iterable[Finding]:
    """Certificates of minutes are not permitted without need."""
    home = _authority(facts)
    observed = "permitted" if home.short_lifetimes else "not permitted"
    yield judged(not home.short_lifetimes, _home(home), observed, "[ca] allow_short_lifetimes is not set")


@checks("OWN-6")
def revocation_list_is_fresh(facts: Facts) -> Iterable[Finding]:
    """Who reads the revocation list reads one that still counts."""
    home = _authority(facts)
    expected = "a list that has not run out"
    if not home.crl_next_update:
        yield for_a_person(_home(home), "none was made yet", expected, "one is made when somebody asks for it")
        return
    left = home.crl_next_update - home.now
    observed = f"counts for {_days(left)} more" if left > 0 else f"ran out {_days(left)} ago"
    yield judged(left > 0, _home(home), observed, expected)


@checks("OWN-7")
def trust_roles_last(facts: Facts) -> Iterable[Finding]:
    """No role of the trust repository is about to end; what the service signs again by itself counts once it ended."""
    home = facts.home
    if home.trust_roles is None:
        raise Unknown(State.NOT_APPLICABLE, "this home has no trust repository")
    for fact in home.trust_roles:
        left = fact.expires - home.now
        needed = 0 if fact.role in {"timestamp", "snapshot"} else TRUST_DAYS * DAY
        observed = f"ends in {_days(left)}" if left > 0 else f"ended {_days(left)} ago"
        expected = f"ends in more than {TRUST_DAYS} days" if needed else "has not ended"
        yield judged(left > needed, Resource(type="trust-role", id=fact.role), observed, expected)


@checks("OWN-8")
def thresholds_are_above_one(facts: Facts) -> Iterable[Finding]:
    """No single key, and no single machine, decides what is trusted."""
    home = facts.home
    if home.trust_roles is None:
        raise Unknown(State.NOT_APPLICABLE, "this home has no trust repository")
    for fact in home.trust_roles:
        if fact.role not in {"root", "targets"}:
            continue
        observed = f"{fact.threshold} of {fact.keys} keys, {fact.custody}"
        is_good = fact.threshold > 1 and fact.custody != "embedded"
        expected = "at least two keys, not all of them in this home"
        yield judged(is_good, Resource(type="trust-role", id=fact.role), observed, expected)


@checks("OWN-9")
def log_is_whole(facts: Facts) -> Iterable[Finding]:
    """Every entry, its tree, and every row of the store agree."""
    home = facts.home
    observed = home.log_problem or f"{home.log_size} entries, each as it was written"
    yield judged(not home.log_problem, _home(home), observed, "log and store agree")


@checks("OWN-10")
def anchor_is_apart(facts: Facts) -> Iterable[Finding]:
    """The anchor against old copies exists, and lies where whoever has the home's disk does not have it."""
    home = facts.home
    expected = "an anchor on another file system than the home"
    if not home.anchor_present:
        yield failed(_home(home), "there is none", expected)
        return
    observed = "on another file system" if home.anchor_apart else "on the same file system as the home"
    yield judged(home.anchor_apart, _home(home), observed, expected)


@checks("OWN-11")
def log_is_witnessed(facts: Facts) -> Iterable[Finding]:
    """Somebody else co-signs the log, so that not even root on this machine can rewrite it unseen."""
    home = facts.home
    observed = f"{home.witnesses} witness{'es' if home.witnesses != 1 else ''} co-signed the newest checkpoint"
    yield judged(home.witnesses > 0, _home(home), observed, "at least one witness")


@checks("OWN-12")
def secrets_are_rotated(facts: Facts) -> Iterable[Finding]:
    """No secret keeps its value for ever."""
    home = facts.home
    for fact in home.secrets:
        age = home.now - fact.changed
        resource = Resource(type="secret", id=fact.name)
        observed = f"its value is {_days(age)} old"
        if fact.rule:
            yield judged(home.now < fact.overdue, resource, observed, f"rotated as {fact.rule} asks")
        else:
            yield judged(age <= SECRET_DAYS * DAY, resource, observed, f"at most {SECRET_DAYS} days old")


@checks("OWN-13")
def root_key_is_in_a_token(facts: Facts) -> Iterable[Finding]:
    """The root's key cannot be copied."""
    home = _authority(facts)
    observed = "in a PKCS#11 token" if home.root_in_token else "in the sealed key store"
    yield judged(home.root_in_token, Resource(type="root", id=home.cluster_id), observed, "in a PKCS#11 token")


@checks("OWN-16")
def rotation_of_the_root_ends(facts: Facts) -> Iterable[Finding]:
    """A rotation of the root is over within a day."""
    home = _authority(facts)
    resource, expected = Resource(type="root", id=home.cluster_id), f"over within {ROTATION_HOURS} hours"
    rotation = home.rotation
    if rotation is None:
        yield passed(resource, "no rotation is under way", expected)
        return
    if not rotation.started:
        yield for_a_person(resource, "a rotation is under way", expected, "a former version did not note its beginning")
        return
    hours = (home.now - rotation.started) // 3600
    waited_for = "" if rotation.waiting is None else f", {rotation.waiting} nodes are waited for"
    observed = f"a rotation is under way for {hours} hours{waited_for}"
    yield judged(hours < ROTATION_HOURS, resource, observed, expected, "until it ends, the former root counts as well")


@checks("SWS-12")
def backups_are_made(facts: Facts) -> Iterable[Finding]:
    """The newest backup is of yesterday or later."""
    home = facts.home
    expected = f"a backup of the last {BACKUP_HOURS} hours"
    if not home.last_backup:
        yield failed(_home(home), "none was ever made", expected)
        return
    age = home.now - home.last_backup
    yield judged(age <= BACKUP_HOURS * 3600, _home(home), f"the newest is {age // 3600} hours old", expected)


@checks("CIS-7.6")
def unlock_key_is_rotated(facts: Facts) -> Iterable[Finding]:
    """The key that locks managers is replaced now and then; Docker does not say when it was."""
    home = facts.home
    resource = Resource(type="swarm", id=home.cluster_id)
    expected = f"rotated in the last {UNLOCK_KEY_DAYS} days"
    if not home.unlock_key_rotated:
        reason = "no rotation is on our record, and Docker keeps none"
        yield for_a_person(resource, "unknown", expected, reason)
        return
    age = home.now - home.unlock_key_rotated
    finding = passed if age <= UNLOCK_KEY_DAYS * DAY else failed
    yield finding(resource, f"rotated {_days(age)} ago", expected)
