"""Certificates from ``ca issue`` are good for other programs' TLS, and open nothing on our own server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.integration.serve_clients import Bearer
from tests.integration.serve_world import ServedHome
from tests.integration.test_serve_roles import ROUTE_NAMES


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("issued")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create().serve()


@pytest.fixture(scope="module")
def deployer(served: ServedHome) -> Bearer:
    out = served.directory / "deployer"
    done = served.run("ca", "issue", "--profile", "client", "--san", "deployer", "--out", str(out))
    assert done.returncode == 0, done.stderr
    key = load_pem_private_key((out / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return served.bearer(key, (out / "cert.pem").read_bytes())


@pytest.mark.parametrize("route", sorted(ROUTE_NAMES))
def test_a_certificate_without_a_role_opens_no_route(
    route: tuple[str, str], served: ServedHome, deployer: Bearer
) -> None:
    method, path = route
    answer = served.ask(method, path, deployer, b"{}" if method == "POST" else None)
    assert answer.status == 401, answer
    assert answer.message == "the client certificate is not one that this authority issued"
