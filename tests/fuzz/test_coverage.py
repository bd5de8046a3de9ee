"""No parser without a target: every function that is called like one is covered, or is not for outside bytes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

from tests.fuzz.targets import TARGETS

PACKAGES = ("ca", "notary", "policies", "swarmsec")
FUNCTION = re.compile(r"(?:parse|load|read|open|decode)(?:_\w+)?|\w+_of_running_server|\w+_running_server")
METHOD = re.compile(r"parse|load|decode|from_\w+")

NOT_FROM_OUTSIDE = {
    # Parts of a parser that is covered: they read a tree that it has built.
    "policies.trees.read_bool": "part of every policy target",
    "policies.trees.read_choice": "part of every policy target",
    "policies.trees.read_fields": "part of every policy target",
    "policies.trees.read_int": "part of every policy target",
    "policies.trees.read_list": "part of every policy target",
    "policies.trees.read_mapping": "part of every policy target",
    "policies.trees.read_text": "part of every policy target",
    "swarmsec.services.access.apply_policy.read_document": "load_documents over a record",
    "swarmsec.cli.policyfiles.read_documents": "load_documents over files",
    "swarmsec.cli.policyfiles.read_cases": "load_cases over files",
    "swarmsec.cli.stackfiles.read_stack": "parse_stack over a file",
    "swarmsec.registry.layout.read_entry": "parse_manifest over a file",
    "swarmsec.wiring.trust.trustpins.load_pin": "parse_pin over a file",
    "swarmsec.wiring.trust.trustpins.read_root": "FreshMetadata's checks over a file; the target image-metadata",
    "swarmsec.wiring.trust.trustsessions.load_signed_policy": "load_documents over bytes of a digest that is signed",
    "swarmsec.wiring.trust.hometrust.open_home_trust": "rows of a home, each held to its digest",
    "swarmsec.wiring.trust.imagesources.open_images": "opens, reads nothing",
    "swarmsec.wiring.trust.trustsessions.open_trust": "opens, reads no bytes itself",
    "swarmsec.wiring.trust.trustsessions.read_authorities": "bytes of a file, given to OpenSSL",
    "swarmsec.services.ca.revocation_lists.load_list_state": "one of those of load_list_states",
    "swarmsec.services.ca.revocation_reasons.load_reasons": "parse_reason over rows",
    "swarmsec.services.ca.revocation_lists.load_list_states": "a setting of our own, held by its row's digest",
    # They bring bytes and look at none of them.
    "swarmsec.openedfile.open_to_read": "opens, reads nothing; tests/unit/swarmsec/test_openedfile.py",
    "swarmsec.cli.importedroot.read_imported_root": "parse_imported_root over files",
    "swarmsec.cli.secretinput.read_bounded": "bytes of a file, uninterpreted",
    "swarmsec.cli.secretinput.read_private_file": "bytes of a file, uninterpreted",
    "swarmsec.server.bodies.read_body": "bytes of a body, uninterpreted; tests/integration/test_server_hostile.py",
    "swarmsec.server.listener.open_sockets": "opens, reads nothing",
    # Our own words and rows.
    "swarmsec.server.routes.parse_pattern": "patterns are written in our source",
    "swarmsec.services.secrets.kept_secrets.open_version": "open_record over rows",
    "swarmsec.cli.secretvalues.read_value": "bytes of standard input or a file, uninterpreted",
    "swarmsec.services.ca.authority.load_authority": "rows of the store, each held to its digest",
    "swarmsec.services.log.read_log.read_log": "parse_entry over rows",
    "swarmsec.services.log.log_source.read_hashes": "parse_tile over files",
    "swarmsec.services.log.prune_log.parse_keep": "an argument; tests/unit/swarmsec/cli/test_audit_evidence.py",
    "swarmsec.cli.auditproofs.parse_key": "VerifierKey.parse over an argument or a file",
    "swarmsec.wiring.log.logsources.read_exported": "bytes of a file, uninterpreted",
    "swarmsec.wiring.log.logsources.read_file": "bytes of a file, uninterpreted",
    "swarmsec.wiring.log.logsources.read_key": "VerifierKey.parse over a file",
    "swarmsec.wiring.log.witnessclient.parse_witness_url": "argument; tests/unit/swarmsec/cli/test_audit_witness.py",
    "swarmsec.wiring.log.witnessdir.Witness.load": "a key file of ours; tests/unit/swarmsec/cli/test_audit_witness.py",
    "swarmsec.services.log.check_checkpoints.open_claim": "open_checkpoint",
    "swarmsec.services.log.prune_records.Pruned.parse": "a setting of our own, held by its row's digest",
    "swarmsec.services.log.sign_log.open_log_key": "a record of the sealed store",
    "swarmsec.services.rotation.rotation_steps.load_around": "rows of the store, each held to its digest",
    "swarmsec.services.rotation.rotation_steps.load_longest_unheard": "rows of the store, each held to its digest",
    "swarmsec.services.rotation.rotation_steps.load_what_holds_up": "rows of the store, each held to its digest",
    "swarmsec.services.rotation.rotation_steps.load_rotation": "rows of the store, each held to its digest",
    "swarmsec.services.secrets.secret_rotation_records.load_services": "rows of the store, each held to its digest",
    "swarmsec.wiring.secrets.validating.parse_command": "a command line of the operator's own, taken apart by shlex",
    "swarmsec.services.nodes.standing_tokens.open_standing_token": "open_record over rows, then JoinToken.parse",
    "swarmsec.services.swarm.cross_signing.open_cross_signing": "opens a permission, reads nothing",
    "swarmsec.services.log.keyed_hashes.open_concealment": "opens a key of ours, reads nothing",
    "swarmsec.services.swarm.swarm_link.load_link": "a setting of our own, held by its row's digest",
    "swarmsec.services.swarm.swarm_rotation_records.load_swarm_rotation": "a setting of ours, held by its row's digest",
    "swarmsec.wiring.swarm.opening.open_swarm": "DockerEndpoint.parse, then the engine's answers",
    "swarmsec.audit.decoding.decode_quickly": "takes nothing that parse_entry refuses; tests/unit/swarmsec/audit",
    "swarmsec.storage.log.read_entries": "rows; their bytes go to parse_entry",
    "swarmsec.storage.log.read_entries_backwards": "rows; their bytes go to parse_entry",
    "swarmsec.storage.log.read_head": "a row",
    "swarmsec.storage.prunedrows.read_pruned_rows": "rows, each held to its digest",
    "swarmsec.storage.schema.read_revisions": "rows, compared with known names",
    "swarmsec.wiring.homes.home.open_home": "parse_config, then the store",
    "swarmsec.wiring.homes.home.open_store": "parse_url, then the store",
}


def modules() -> Iterator[ModuleType]:
    """Every module of the packages but the entry point, which runs the program when it is imported."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__") and ".migrations" not in found.name:
                yield importlib.import_module(found.name)


def parsers(module: ModuleType) -> Iterator[str]:
    """Dotted names of a module's public functions and class methods that are called like a parser."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        # A parser that remembers what it read is one all the same.
        if inspect.isfunction(inspect.unwrap(value)) and FUNCTION.fullmatch(name):
            yield f"{module.__name__}.{name}"
        if inspect.isclass(value):
            methods = {method for method, member in vars(value).items() if isinstance(member, classmethod)}
            yield from (f"{module.__name__}.{name}.{method}" for method in methods if METHOD.fullmatch(method))


def all_parsers() -> set[str]:
    return {name for module in modules() for name in parsers(module)}


def covered() -> set[str]:
    return {name for target in TARGETS for name in target.covers}


def exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def test_every_parser_has_a_target_or_a_reason() -> None:
    missing = all_parsers() - covered() - NOT_FROM_OUTSIDE.keys()
    assert not missing, f"add a target to tests/fuzz, or a reason here, for: {sorted(missing)}"


def test_what_targets_cover_exists() -> None:
    assert [name for name in sorted(covered()) if not exists(name)] == []


def test_no_reason_outlives_its_function() -> None:
    assert sorted(NOT_FROM_OUTSIDE.keys() - all_parsers()) == []


def test_nothing_is_covered_and_excused() -> None:
    assert sorted(NOT_FROM_OUTSIDE.keys() & covered()) == []
