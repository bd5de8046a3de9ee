"""Checks of services, their secrets and configs, from their specifications: once for the whole Swarm.

Names, labels and values of services are a stranger's text. Where a value may be a secret, what is shown is its name.
"""

from __future__ import annotations

import base64
import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

from swarmsec.reports.checks import checks, judged
from swarmsec.reports.facts import Facts, Json, labels, listed, part, text
from swarmsec.reports.model import Finding, Resource

SERVICES: Final = "/services"
SECRETS: Final = "/secrets"
CONFIGS: Final = "/configs"
NAME_LABEL: Final = "io.swarmsec.name"
STACK_LABEL: Final = "com.docker.stack.namespace"
UNUSED_DAYS: Final = 30
MAX_SHOWN: Final = 5
_CREDENTIAL: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)(?:$|[_.-])"
)
_HARMLESS: Final = re.compile(r"(?i)_file$|_path$|_url$|_name$|_id$")
_JOIN_TOKEN: Final = re.compile(r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}|SWMKEY-1-[A-Za-z0-9+/]{43}")
_RANDOM: Final = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z]{1,16} ){0,3}PRIVATE KEY-----")
_SETTING: Final = re.compile(
    r"""^[ \t]{0,40}["']?([A-Za-z0-9_.-]{1,64})["']?[ \t]{0,9}[=:]"""
    r"""[ \t]{0,9}["']?([^\s"'$<{/][^\s"']{5,})""",
    re.MULTILINE,
)
"""A name and the value that a line gives it; what stands for a value (``$NAME``, ``{{ … }}``, a path) is none."""
MAX_CONFIG: Final = 1 << 19
_MIN_ENTROPY: Final = 4.0
_CHOOSES_NODES: Final = re.compile(r"\s*(?:node\.labels\.|engine\.labels\.|node\.id\b|node\.hostname\b)[^=!]*==")
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
_SOCKETS: Final = ("/var/run/docker.sock", "/run/docker.sock")
_WITH_SOCKET: Final = frozenset(
    str(path) for socket in map(PurePosixPath, _SOCKETS) for path in (socket, *socket.parents)
)
"""The sockets, and every directory that brings one along."""


def _service(service: Json) -> Resource:
    return Resource(type="service", id=text(service, "ID"), name=text(service, "Spec", "Name"))


def _container(service: Json) -> Json:
    found = part(service, "Spec", "TaskTemplate", "ContainerSpec")
    return found if isinstance(found, Mapping) else {}


def _with_containers(facts: Facts) -> Iterable[tuple[Json, Json, Resource]]:
    for service in facts.objects(SERVICES):
        container = _container(service)
        if container:
            yield service, container, _service(service)


def _shown(names: Iterable[str]) -> str:
    chosen = sorted(set(names))
    more = f" and {len(chosen) - MAX_SHOWN} more" if len(chosen) > MAX_SHOWN else ""
    return ", ".join(chosen[:MAX_SHOWN]) + more


def _environment(container: Json) -> Iterable[tuple[str, str]]:
    for item in listed(container, "Env"):
        if isinstance(item, str):
            name, _, value = item.partition("=")
            yield name, value


def _entropy(value: str) -> float:
    """Bits a character (Shannon)."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


def _is_named_credential(name: str) -> bool:
    return _CREDENTIAL.search(name) is not None and _HARMLESS.search(name) is None


def _is_credential(name: str, value: str) -> bool:
    if not value or _HARMLESS.search(name):
        return False
    if _CREDENTIAL.search(name):
        return True
    return _RANDOM.fullmatch(value) is not None and _entropy(value) >= _MIN_ENTROPY


@checks("CIS-7.4", SERVICES)
def credentials_are_secrets(facts: Facts) -> Iterable[Finding]:
    """What looks like a credential is a secret and no environment variable, which everybody reads who may inspect."""
    expected = "credentials as secrets, in files"
    for _, container, resource in _with_containers(facts):
        found = [name for name, value in _environment(container) if _is_credential(name, value)]
        observed = f"in the environment: {_shown(found)}" if found else "no variable looks like a credential"
        yield judged(not found, resource, observed, expected)


@checks("SWS-01", SERVICES)
def join_tokens_are_not_exposed(facts: Facts) -> Iterable[Finding]:
    """No join token or unlock key stands in a service's environment, arguments or labels."""
    for service, container, resource in _with_containers(facts):
        texts = [value for _, value in _environment(container)]
        texts += [str(item) for item in (*listed(container, "Args"), *listed(container, "Command"))]
        texts += [*labels(service, "Spec", "Labels").values(), *labels(container, "Labels").values()]
        exposed = any(_JOIN_TOKEN.search(item) for item in texts)
        observed = "a token or key of the Swarm stands in its specification" if exposed else "none"
        yield judged(not exposed, resource, observed, "no join token or unlock key in a specification")


@checks("SWS-03", SERVICES)
def docker_socket_is_not_mounted(facts: Facts) -> Iterable[Finding]:
    """No service holds Docker's socket, which is root on its node, and the whole Swarm on a manager."""
    for _, container, resource in _with_containers(facts):
        mounts = listed(container, "Mounts")
        sources = [text(mount, "Source") for mount in mounts]
        sources += [text(mount, "VolumeOptions", "DriverConfig", "Options", "device") for mount in mounts]
        mounted = any(_normal(source) in _WITH_SOCKET for source in sources if source.startswith("/"))
        observed = "docker.sock is mounted" if mounted else "not mounted"
        yield judged(not mounted, resource, observed, "Docker's socket is not mounted")


@checks("SWS-04", SERVICES)
def images_are_pinned(facts: Facts) -> Iterable[Finding]:
    """The image of a service is named by its digest, so that no registry can replace it."""
    for _, container, resource in _with_containers(facts):
        image = text(container, "Image")
        yield judged(_DIGEST.search(image) is not None, resource, f"image {image[:200]}", "an image by digest")


@checks("SWS-05", SERVICES)
def secrets_are_not_world_readable(facts: Facts) -> Iterable[Finding]:
    """Only who needs a secret reads its file; Docker's default is mode 0444."""
    expected = "no permission for others"
    for _, container, resource in _with_containers(facts):
        references = [item for item in listed(container, "Secrets") if part(item, "File") is not None]
        if not references:
            continue
        open_to_all = [text(item, "SecretName") for item in references if _mode(item) & 0o007]
        observed = f"open to everybody in the container: {_shown(open_to_all)}" if open_to_all else "closed to others"
        yield judged(not open_to_all, resource, observed, expected)


@checks("SWS-06", SECRETS, SERVICES)
def secrets_are_used(facts: Facts) -> Iterable[Finding]:
    """A secret that nothing uses is only there to be lost."""
    used = {text(item, "SecretID") for _, container, _ in _with_containers(facts) for item in _references(container)}
    now = facts.home.now
    for secret in facts.objects(SECRETS):
        resource = Resource(type="secret", id=text(secret, "ID"), name=text(secret, "Spec", "Name"))
        age = now - _unix(text(secret, "CreatedAt"), now)
        unused = resource.id not in used and age > UNUSED_DAYS * 86_400
        observed = "used" if resource.id in used else f"unused, {age // 86_400} days old"
        yield judged(not unused, resource, observed, f"used, or younger than {UNUSED_DAYS} days")


@checks("SWS-07", SECRETS, SERVICES)
def secrets_stay_in_a_stack(facts: Facts) -> Iterable[Finding]:
    """A secret serves one stack; two that share it fall together."""
    users: dict[str, set[str]] = {}
    for service, container, _ in _with_containers(facts):
        stack = labels(service, "Spec", "Labels").get(STACK_LABEL, "")
        for item in _references(container):
            users.setdefault(text(item, "SecretID"), set()).add(stack or text(service, "Spec", "Name"))
    for secret in facts.objects(SECRETS):
        resource = Resource(type="secret", id=text(secret, "ID"), name=text(secret, "Spec", "Name"))
        stacks = users.get(resource.id)
        if stacks:
            observed = f"used by {_shown(stacks)}"
            yield judged(len(stacks) == 1, resource, observed, "used by one stack")


@checks("SWS-08", SERVICES)
def secrets_go_to_labelled_nodes(facts: Facts) -> Iterable[Finding]:
    """A service with secrets says which nodes may have them; else any node may get them with its tasks."""
    expected = "a constraint on node labels, engine labels or one node"
    for service, container, resource in _with_containers(facts):
        if not any(True for _ in _references(container)):
            continue
        found = listed(service, "Spec", "TaskTemplate", "Placement", "Constraints")
        chosen = [item for item in found if isinstance(item, str) and _CHOOSES_NODES.match(item)]
        observed = f"constraint {_shown(chosen)[:200]}" if chosen else "tasks and their secrets may go to any node"
        yield judged(bool(chosen), resource, observed, expected)


@checks("SWS-10", CONFIGS)
def configs_are_no_secrets(facts: Facts) -> Iterable[Finding]:
    """What is called like a credential, or holds one, is no config, whose content every manager shows."""
    for config in facts.objects(CONFIGS):
        name = text(config, "Spec", "Name")
        resource = Resource(type="config", id=text(config, "ID"), name=name)
        found = "its name is that of a credential" if _CREDENTIAL.search(name) else _held(text(config, "Spec", "Data"))
        yield judged(not found, resource, found or "nothing suspicious in name or content", "credentials as secrets")


@checks("CIS-4.1", SERVICES)
def services_name_a_user(facts: Facts) -> Iterable[Finding]:
    """A service says that it does not run as root."""
    for _, container, resource in _with_containers(facts):
        user = text(container, "User")
        is_root = user.partition(":")[0] in {"", "0", "root"}
        observed = f"user {user[:64]}" if user else "no user; the image decides"
        yield judged(not is_root, resource, observed, "a user other than root")


@checks("CIS-4.6", SERVICES)
def services_have_health_checks(facts: Facts) -> Iterable[Finding]:
    """A service has a health check of its own; one of its image is not seen from here."""
    for _, container, resource in _with_containers(facts):
        test = [str(item) for item in listed(container, "Healthcheck", "Test")]
        is_good = bool(test) and test[0] != "NONE"
        observed = "has one" if is_good else "has none in its specification"
        yield judged(is_good, resource, observed, "a health check")


@checks("CIS-5.3", SERVICES)
def capabilities_are_not_added(facts: Facts) -> Iterable[Finding]:
    """No service gets more capabilities than Docker gives anyway."""
    for _, container, resource in _with_containers(facts):
        added = [str(item) for item in listed(container, "CapabilityAdd")]
        observed = f"added: {_shown(added)}" if added else "none added"
        yield judged(not added, resource, observed, "no capability added")


@checks("CIS-5.10", SERVICES)
def memory_is_limited(facts: Facts) -> Iterable[Finding]:
    """No service takes a whole node's memory."""
    for service, _, resource in _with_containers(facts):
        limit = part(service, "Spec", "TaskTemplate", "Resources", "Limits", "MemoryBytes")
        is_good = isinstance(limit, int) and limit > 0
        yield judged(is_good, resource, f"{limit} bytes" if is_good else "no limit", "a limit of memory")


@checks("CIS-5.12", SERVICES)
def root_file_systems_are_read_only(facts: Facts) -> Iterable[Finding]:
    """A container cannot change its own programs."""
    for _, container, resource in _with_containers(facts):
        read_only = part(container, "ReadOnly") is True
        yield judged(read_only, resource, "read-only" if read_only else "writable", "a read-only root file system")


@checks("CIS-5.25", SERVICES)
def no_new_privileges(facts: Facts) -> Iterable[Finding]:
    """No program in a container gains privileges."""
    for _, container, resource in _with_containers(facts):
        is_good = part(container, "Privileges", "NoNewPrivileges") is True
        yield judged(is_good, resource, "set" if is_good else "not set", "no-new-privileges")


def _held(data: str) -> str:
    """What a config's content holds that should be a secret, without showing it; empty for nothing."""
    try:
        content = base64.b64decode(data, validate=True)[:MAX_CONFIG].decode("utf-8", "replace")
    except ValueError:
        return ""
    if _PRIVATE_KEY.search(content):
        return "it holds a private key"
    if _JOIN_TOKEN.search(content):
        return "it holds a token or key of the Swarm"
    named = [name for name, _ in _SETTING.findall(content) if _CREDENTIAL.search(name) and not _HARMLESS.search(name)]
    return f"it sets {_shown(named)}" if named else ""


def _normal(path: str) -> str:
    """A path without what leads nowhere; two slashes at its start mean one to Linux."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _references(container: Json) -> Iterable[Json]:
    return (item for item in listed(container, "Secrets") if isinstance(item, Mapping))


def _mode(reference: object) -> int:
    mode = part(reference, "File", "Mode")
    return mode if isinstance(mode, int) and not isinstance(mode, bool) else 0o444


def _unix(moment: str, default: int) -> int:
    try:
        return int(datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", moment)).timestamp())
    except ValueError:
        return default
