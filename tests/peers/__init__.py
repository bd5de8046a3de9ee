"""Real peers for the tests: Docker Engines, PostgreSQL and cfssl, started and stopped by the tests themselves.

Import from the modules (``from tests.peers.engines import Engine``); the fixtures are in ``tests/swarm/conftest.py``
and ``tests/integration/conftest.py``. Debian's packages that hold the programs: ``scripts/install-test-deps``.
"""
