"""The one error of the peers: a program did not start, answer or end as it should."""

from __future__ import annotations


class PeerProblem(Exception):
    """Says which peer, what was expected and what was found, with the tail of its log where there is one."""
