"""What `make dist` makes: the same bytes from the same source, nothing missing and nothing too much."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.repository.test_locks import pins
from tests.unit.repository.tree import PACKAGES, ROOT, files, texts


def unpack(directory: Path) -> Path:
    """Copy the tracked files to ``directory``, as an unpacked release has them: without git."""
    for path in files():
        copy = directory / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return directory


def run_build(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the tree's own scripts/build-dist into ``products``, from elsewhere."""
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    command = [sys.executable, str(tree / "scripts" / "build-dist"), str(tree / "products")]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)


def build(tree: Path) -> dict[str, Path]:
    """Build and return the products by name."""
    ran = run_build(tree)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return {path.name: path for path in (tree / "products").iterdir()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked release."""
    return unpack(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def products(tree: Path) -> dict[str, Path]:
    """What is built from it."""
    return build(tree)


def only(products: dict[str, Path], suffix: str) -> Path:
    """The one product whose name ends so."""
    (path,) = [path for name, path in products.items() if name.endswith(suffix)]
    return path


def wheel_names(products: dict[str, Path]) -> list[str]:
    """The paths inside the wheel."""
    with zipfile.ZipFile(only(products, ".whl")) as wheel:
        return wheel.namelist()


def test_another_directory_and_time_give_the_same_bytes(
    products: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = unpack(tmp_path_factory.mktemp("second") / "with a longer name")
    for path in again.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(path.stat().st_mode & ~(stat.S_IRWXG | stat.S_IRWXO))
    repeated = build(again)
    assert {name: path.read_bytes() for name, path in repeated.items()} == {
        name: path.read_bytes() for name, path in products.items()
    }


def test_a_changed_source_gives_other_bytes(products: dict[str, Path], tmp_path: Path) -> None:
    changed = unpack(tmp_path)
    with (changed / "ca" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    assert build(changed)["SHA256SUMS"].read_bytes() != products["SHA256SUMS"].read_bytes()


def test_inside_git_the_commit_is_built_and_not_the_working_tree(tmp_path: Path) -> None:
    repository = unpack(tmp_path)
    identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "--all", "--force"], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    clean = build(repository)
    sums = clean["SHA256SUMS"].read_bytes()
    (repository / "ca" / "not_committed.py").write_text('"""Left over."""\n')
    assert build(repository)["SHA256SUMS"].read_bytes() == sums


def test_a_repository_that_git_cannot_read_is_not_built(tmp_path: Path) -> None:
    broken = unpack(tmp_path)
    (broken / ".git").mkdir()
    ran = run_build(broken)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert list((broken / "products").glob("*.whl")) == []


def test_the_wheel_holds_the_four_packages_and_nothing_else(products: dict[str, Path]) -> None:
    top = {PurePosixPath(name).parts[0] for name in wheel_names(products)}
    (info,) = [name for name in top if name.endswith(".dist-info")]
    assert top == {*PACKAGES, info}


def test_the_wheel_holds_every_file_of_the_packages(products: dict[str, Path]) -> None:
    tracked = {path.relative_to(ROOT).as_posix() for path in files()}
    ours = {name for name in tracked if name.split("/")[0] in PACKAGES}
    packed = {name for name in wheel_names(products) if ".dist-info/" not in name}
    assert packed == ours


@pytest.mark.parametrize(
    ("folder", "suffix"),
    [
        *((package, "py.typed") for package in PACKAGES),
        ("policies/bundled", ".yaml"),
        ("policies/schemas", ".json"),
        ("swarmsec/storage/migrations", ".py"),
    ],
)
def test_data_files_travel_in_the_wheel(products: dict[str, Path], folder: str, suffix: str) -> None:
    assert [n for n in wheel_names(products) if n.startswith(f"{folder}/") and n.endswith(suffix)]


def test_no_test_travels_in_the_wheel(products: dict[str, Path]) -> None:
    parts = [part for name in wheel_names(products) for part in PurePosixPath(name).parts]
    assert [p for p in parts if p in {"tests", "conftest.py"} or p.startswith("test_")] == []


def test_the_sdist_is_enough_to_test_and_to_build(products: dict[str, Path]) -> None:
    with tarfile.open(only(products, ".tar.gz")) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"Makefile", ".ci/run", "LICENSE", "SECURITY.md", "pyproject.toml", "requirements/dev.txt"} <= names
    assert {name for name in texts() if name.startswith(("tests/", "scripts/"))} <= names


def test_the_checksums_hold(products: dict[str, Path]) -> None:
    sums = products["SHA256SUMS"]
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", sums], cwd=sums.parent, check=True)
    listed = {line.split()[1] for line in sums.read_text().splitlines()}
    assert listed == set(products) - {"SHA256SUMS"}
    assert {"SHA256SUMS", "sbom.cdx.json"} <= set(products)


def test_the_sbom_lists_what_a_user_installs(products: dict[str, Path]) -> None:
    sbom = json.loads(products["sbom.cdx.json"].read_text())
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    components = {component["name"]: component for component in sbom["components"]}
    assert {name: component["version"] for name, component in components.items()} == pins("runtime")
    for name, component in components.items():
        assert component["purl"] == f"pkg:pypi/{name}@{component['version']}"
        assert {entry["alg"] for entry in component["hashes"]} == {"SHA-256"}


def test_the_sbom_names_this_wheel_and_a_whole_graph(products: dict[str, Path]) -> None:
    sbom = json.loads(products["sbom.cdx.json"].read_text())
    subject = sbom["metadata"]["component"]
    wheel = hashlib.sha256(only(products, ".whl").read_bytes()).hexdigest()
    assert subject["hashes"] == [{"alg": "SHA-256", "content": wheel}]
    graph = {entry["ref"]: entry["dependsOn"] for entry in sbom["dependencies"]}
    references = {component["purl"] for component in sbom["components"]}
    assert graph.keys() == references | {subject["bom-ref"]}
    reached, queue = set(), [subject["bom-ref"]]
    while queue:
        reference = queue.pop()
        if reference not in reached:
            reached.add(reference)
            queue += graph[reference]
    assert reached - {subject["bom-ref"]} == references
