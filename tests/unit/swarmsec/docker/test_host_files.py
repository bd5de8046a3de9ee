"""What files of a host say of its engine; the texts are as Linux 6.1 and Docker Engine 20.10 write them."""

from __future__ import annotations

import json

import pytest

from swarmsec.docker.host_files import (
    MAX_FILE_BYTES,
    daemon_of,
    parse_arguments,
    parse_daemon_config,
    parse_listeners,
    parse_swaps,
    parse_swarm_addresses,
    places_of,
)
from swarmsec.errors import UsageProblem

TCP = b"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31 1 0 100 0 0 10 0
   1: 0200FB0A:1F0A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 32 1 0 100 0 0 10 0
   2: 0200FB0A:1F0A 0300FB0A:C350 01 00000000:00000000 00:00000000 00000000     0        0 33 1 0 100 0 0 10 0
"""
TCP6 = b"""\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0949 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def arguments(*words: str) -> bytes:
    return b"".join(word.encode() + b"\0" for word in ("/usr/sbin/dockerd", *words))


def test_arguments_in_every_way_that_they_can_be_given() -> None:
    found = parse_arguments(
        arguments(
            *("-H", "fd://", "-Htcp://0.0.0.0:2375", "--host=tcp://[::]:2376", "--host", "unix:///run/x.sock"),
            *("--tlsverify", "--iptables=false", "-D", "--graph", "/srv/docker", "--label", "a=b", "-l=warn"),
        )
    )

    assert found["host"] == ["fd://", "tcp://0.0.0.0:2375", "tcp://[::]:2376", "unix:///run/x.sock"]
    assert found["tlsverify"] == ["true"]
    assert found["iptables"] == ["false"]
    assert found["debug"] == ["true"]
    assert found["data-root"] == ["/srv/docker"]
    assert found["log-level"] == ["warn"]
    assert "label" not in found


def test_a_daemon_without_settings_has_docker_s_defaults() -> None:
    flags, settings = parse_arguments(arguments()), parse_daemon_config(b"")
    daemon, places = daemon_of(flags, settings), places_of(flags, settings)

    assert (daemon.tcp_hosts, daemon.tls_verify, daemon.iptables, daemon.userland_proxy) == ([], False, True, True)
    assert (daemon.no_new_privileges, daemon.log_level) == (False, "info")
    assert (places.config_file, places.data_root) == ("/etc/docker/daemon.json", "/var/lib/docker")
    assert (places.socket, places.tls_key) == ("/run/docker.sock", "")


def test_settings_of_the_file_count_where_arguments_say_nothing() -> None:
    document = {
        "hosts": ["tcp://10.0.0.1:2376", "unix:///run/d.sock"],
        "tlsverify": True,
        "tlskey": "/etc/docker/key.pem",
        "iptables": False,
        "log-level": "warn",
        "no-new-privileges": True,
        "data-root": "/srv",
        "experimental": True,
        "default-ulimits": {"nofile": {"Hard": 1, "Name": "nofile", "Soft": 1}},
    }
    settings = parse_daemon_config(json.dumps(document).encode())
    flags = parse_arguments(arguments("--log-level", "error", "--iptables"))
    daemon, places = daemon_of(flags, settings), places_of(flags, settings)

    assert (daemon.tcp_hosts, daemon.tls_verify) == (["tcp://10.0.0.1:2376"], True)
    assert (daemon.iptables, daemon.log_level, daemon.no_new_privileges) == (True, "error", True)
    assert (places.data_root, places.socket, places.tls_key) == ("/srv", "/run/d.sock", "/etc/docker/key.pem")


def test_debugging_is_its_own_level_and_an_unknown_level_is_said_to_be_unknown() -> None:
    flags = parse_arguments(arguments())

    assert daemon_of(flags, parse_daemon_config(b'{"debug": true, "log-level": "info"}')).log_level == "debug"
    assert daemon_of(flags, parse_daemon_config(b'{"log-level": "\\u001b[2J"}')).log_level == "unknown"


@pytest.mark.parametrize(
    "data",
    [b"[]", b"{", b'{"hosts": "tcp://x"}', b'{"debug": "yes"}', b"\xff", b" " * (MAX_FILE_BYTES + 1), b"[" * 9000],
)
def test_a_file_that_is_no_daemon_json_is_refused(data: bytes) -> None:
    with pytest.raises(UsageProblem, match=r"daemon\.json"):
        parse_daemon_config(data)


def test_listening_ports_alone_are_found_in_both_families() -> None:
    found = [(item.address, item.port) for item in (*parse_listeners(TCP), *parse_listeners(TCP6))]

    assert found == [("127.0.0.1", 2375), ("10.251.0.2", 7946), ("::", 2377), ("::1", 80)]


@pytest.mark.parametrize("data", [b"", b"\xff\n\xff", b"head\n  0: zz:zz 0 0A", b"head\n0: 00000000:0000 0 0A"])
def test_lines_of_another_form_are_passed_over(data: bytes) -> None:
    assert list(parse_listeners(data)) == []


def test_addresses_of_the_swarm() -> None:
    data = b'{"LocalAddr":"10.0.0.1","ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.0.0.1:2377","DataPathAddr":""}'
    found = parse_swarm_addresses(data)

    assert (found.listen, found.advertise, found.data_path) == ("0.0.0.0:2377", "10.0.0.1:2377", "")
    with pytest.raises(UsageProblem, match=r"docker-state\.json"):
        parse_swarm_addresses(b'{"ListenAddr": 5}')


def test_swaps() -> None:
    text = b"Filename\t\t\t\tType\t\tSize\n/dev/dm-1 partition\t1\t0\t-2\n/swap\\040file file 1 0 -3\n\n"

    assert parse_swaps(text) == ["/dev/dm-1", "/swap\\040file"]
    assert parse_swaps(b"Filename Type\n") == []
