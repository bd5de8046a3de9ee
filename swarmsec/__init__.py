"""swarmsec: the security control plane for Docker Swarm.

The leaves ``ca``, ``notary`` and ``policies`` decide; this package gives them state, keys, a log, a server and a
command line. See docs/architecture.md for how a request travels through it.
"""

from swarmsec._version import __version__

__all__ = ["__version__"]
