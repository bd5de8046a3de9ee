"""Tasks of a shop's service, as a manager confirms them."""

from __future__ import annotations

from swarmsec.services.secrets.delivery_records import CheckedTask, SecretRequest


def confirmed(request: SecretRequest) -> CheckedTask:
    """The task that a request names, as it says."""
    return CheckedTask(
        task_id=request.task_id,
        service_id=request.service_id,
        service_name="shop_api",
        service_labels={},
        image="busybox",
        node_id=request.node_id,
        hostname="m1",
    )
