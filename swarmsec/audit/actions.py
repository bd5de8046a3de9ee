"""What the log can say happened: ``subject.verb``.

Every action that changes state, reveals a secret or refuses somebody has a member here, so that an entry with an
action nobody declared cannot be written. docs/audit.md lists what each one means.
"""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """The actions of the log."""

    HOME_CREATE = "home.create"
    HOME_MIGRATE = "home.migrate"
    HOME_ROLLBACK_ACCEPT = "home.rollback-accept"
    HOME_ANCHOR_MISSING = "home.anchor-missing"
    SEAL_CREATE = "seal.create"
    SEAL_OPEN = "seal.open"
    SEAL_REMOVE = "seal.remove"
    KEY_CREATE = "key.create"
    KEY_ROTATE = "key.rotate"
    KEY_REWRAP = "key.rewrap"
    KEY_DESTROY = "key.destroy"
    KEY_RECOVERY = "key.recovery"
    BACKUP_CREATE = "backup.create"
    BACKUP_RESTORE = "backup.restore"
    BACKUP_ACCEPT = "backup.accept"
    AUDIT_KEY_CREATE = "audit.key-create"
    AUDIT_EXPORT = "audit.export"
    AUDIT_VERIFY = "audit.verify"
    AUDIT_PRUNE = "audit.prune"
    AUDIT_HASH_KEY_CREATE = "audit.hash-key-create"
    AUDIT_HASH_KEY_ERASE = "audit.hash-key-erase"
    AUDIT_MATCH = "audit.match"
    AUDIT_WITNESS_ADD = "audit.witness-add"
    AUDIT_WITNESS_REMOVE = "audit.witness-remove"
    AUDIT_WITNESS_REFUSE = "audit.witness-refuse"
    CLOCK_STEP = "clock.step"
    SERVE_START = "serve.start"
    SERVE_STOP = "serve.stop"
    SERVE_RECOVER = "serve.recover"
    REQUEST_REFUSE = "request.refuse"
    CA_INIT = "ca.init"
    CA_ISSUE = "ca.issue"
    CA_REVOKE = "ca.revoke"
    CA_CRL = "ca.crl"
    CA_ROOT_CREATE = "ca.root-create"
    CA_ROOT_RETIRE = "ca.root-retire"
    CA_ROTATE = "ca.rotate"
    CA_ROTATE_NODE = "ca.rotate-node"
    CA_CROSS_SIGN = "ca.cross-sign"
    CA_CROSS_SIGN_OPEN = "ca.cross-sign-open"
    CA_CROSS_SIGN_CLOSE = "ca.cross-sign-close"
    CA_TOKEN_CREATE = "ca.token-create"  # noqa: S105  # the name of an action
    CA_TOKEN_ROTATE = "ca.token-rotate"  # noqa: S105  # the name of an action
    CA_TOKEN_REVEAL = "ca.token-reveal"  # noqa: S105  # the name of an action
    CA_TOKEN_REVOKE = "ca.token-revoke"  # noqa: S105  # the name of an action
    CA_TOKEN_REDEEM = "ca.token-redeem"  # noqa: S105  # the name of an action
    NODE_REQUEST = "node.request"
    NODE_APPROVE = "node.approve"
    NODE_DENY = "node.deny"
    NODE_RECOVER = "node.recover"
    SWARM_TRUST = "swarm.trust"
    SWARM_DISTRUST = "swarm.distrust"
    SWARM_ADOPT = "swarm.adopt"
    SWARM_ROTATE = "swarm.rotate"
    SWARM_RELEASE = "swarm.release"
    SWARM_EVICT = "swarm.evict"
    SWARM_LOCK = "swarm.lock"
    SWARM_UNLOCK = "swarm.unlock"
    SWARM_UNLOCK_KEY_REVEAL = "swarm.unlock-key-reveal"
    ACCESS_ADD = "access.add"
    ACCESS_REVOKE = "access.revoke"
    POLICY_APPLY = "policy.apply"
    SECRET_CREATE = "secret.create"  # noqa: S105  # the name of an action
    SECRET_PUT = "secret.put"  # noqa: S105  # the name of an action
    SECRET_DELETE = "secret.delete"  # noqa: S105  # the name of an action
    SECRET_UNDELETE = "secret.undelete"  # noqa: S105  # the name of an action
    SECRET_DESTROY = "secret.destroy"  # noqa: S105  # the name of an action
    SECRET_REVEAL = "secret.reveal"  # noqa: S105  # the name of an action
    SECRET_ATTACH = "secret.attach"  # noqa: S105  # the name of an action
    SECRET_DETACH = "secret.detach"  # noqa: S105  # the name of an action
    SECRET_ROTATE = "secret.rotate"  # noqa: S105  # the name of an action
    SECRET_DELIVER = "secret.deliver"  # noqa: S105  # the name of an action
    TRUST_INIT = "trust.init"
    TRUST_PROPOSE = "trust.propose"
    TRUST_PUBLISH = "trust.publish"
    TRUST_REFRESH = "trust.refresh"
    TRUST_SIGN = "trust.sign"
    TRUST_DROP = "trust.drop"
    TRUST_TOKEN_CREATE = "trust.token-create"  # noqa: S105  # the name of an action
    TRUST_TOKEN_SPEND = "trust.token-spend"  # noqa: S105  # the name of an action
    TRUST_EXPORT = "trust.export"
    AUDIT_REPORT = "audit.report"
    AGENT_REPORT = "agent.report"


class Outcome(StrEnum):
    """How it went. An intent is followed by one of the others under the same request id."""

    INTENT = "intent"
    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"
