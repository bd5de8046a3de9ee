"""Images in registries and layouts, put together with this machine's logins and certificates."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from swarmsec.registry.credentials import Login
    from swarmsec.registry.resolving import Resolver

DEFAULT_SECONDS: Final = 30.0


@contextmanager
def open_images(*, insecure: Collection[str] = (), seconds: float = DEFAULT_SECONDS) -> Iterator[Resolver]:
    """Open a resolver of references; its connections end with the block.

    Args:
        insecure: hosts, or ``host:port``, that may be spoken to in plain HTTP beside loopback.
        seconds: time that one exchange may take.
    """
    from swarmsec.registry.client import RegistryClient
    from swarmsec.registry.dockercerts import registry_context
    from swarmsec.registry.resolving import Resolver
    from swarmsec.registry.transport import Transport

    transport = Transport(seconds=seconds, contexts=registry_context)
    try:
        yield Resolver(RegistryClient(transport, login_of=_login_of, insecure=insecure))
    finally:
        transport.close()


def _login_of(domain: str) -> Login | None:
    from swarmsec.registry.credentials import DockerLogins, default_config_path

    return DockerLogins(default_config_path()).of(domain)
