"""Every target: one for each function that reads what comes from outside the process.

``test_coverage`` holds this table against the packages: a new parser needs a target here, or a reason there.
"""

from __future__ import annotations

from tests.fuzz import (
    targets_authority,
    targets_backups,
    targets_ca,
    targets_deliveries,
    targets_docker,
    targets_hosts,
    targets_images,
    targets_log,
    targets_node,
    targets_policies,
    targets_secrets,
    targets_server,
    targets_store,
    targets_tokens,
    targets_trust,
)
from tests.fuzz.engine import Target

TARGETS: tuple[Target, ...] = (
    *targets_ca.TARGETS,
    *targets_authority.TARGETS,
    *targets_policies.TARGETS,
    *targets_store.TARGETS,
    *targets_log.TARGETS,
    *targets_backups.TARGETS,
    *targets_server.TARGETS,
    *targets_node.TARGETS,
    *targets_images.TARGETS,
    *targets_trust.TARGETS,
    *targets_docker.TARGETS,
    *targets_deliveries.TARGETS,
    *targets_hosts.TARGETS,
    *targets_secrets.TARGETS,
    *targets_tokens.TARGETS,
)
BY_NAME = {target.name: target for target in TARGETS}
