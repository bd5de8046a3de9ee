"""The node's side of coming back with an expired certificate: a token in its place, and the key that it had.

The key file is only read: for a node of a Swarm it holds more than a key, and Docker takes the new certificate for the
key that it knows.
"""

from __future__ import annotations

from pathlib import Path

from ca.tokens import JoinToken
from swarmsec.errors import Denied
from swarmsec.wiring.answers import Issued, verify_answer
from swarmsec.wiring.authorityclient import ask, fetch_bundle, parse_server, signing_request
from swarmsec.wiring.nodefiles import alone, open_node_files, write_certificate, write_roots, writing
from swarmsec.wiring.renewing import Now, utc_now, verify_same_node


def recover(server: str, token_text: str, directory: Path, *, now: Now = utc_now) -> Issued:
    """Get a new certificate for a node's present key.

    Args:
        server: ``https://HOST:PORT`` of the authority.
        token_text: of role recover, for this node.
        directory: of the node's files.
        now: the wall clock.

    Raises:
        NotFound: the directory holds no node's files.
        UsageProblem: the address, or files that are not a node's.
        ca.errors.InvalidToken: not a token.
        Denied: the certificate has not expired, the authority is not the token's, or it refuses.
        Unavailable: it cannot be reached, a file cannot be written, or another process is at work.
    """
    token = JoinToken.parse(token_text)
    base = parse_server(server)
    with alone(directory):
        files = open_node_files(directory)
        ends = files.pair.certificate.not_valid_after_utc
        if now() < ends:
            raise Denied(
                f"the certificate of {files.identity.node_id} counts until {ends:%Y-%m-%dT%H:%M:%SZ}",
                hint="renew it with: swarmsec node renew",
            )
        bundle = fetch_bundle(base, token)
        members = {"token": token.format(), "csr": signing_request(files.pair.key)}
        answer = ask(base, "/api/v1/node/recover", members, roots=bundle)
        issued = verify_answer(answer, files.pair.key, trusted=bundle, now=now())
        verify_same_node(files, issued)
        with writing(directory):
            if issued.bundle != files.roots:
                write_roots(directory, issued.bundle)
            write_certificate(directory, issued.chain)
    return issued
