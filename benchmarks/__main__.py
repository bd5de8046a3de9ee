"""Run the benchmarks and print their figures."""

from __future__ import annotations

import importlib
import sys

from benchmarks.measure import Figure

SUITES = (
    "engine",
    "signing",
    "storm",
    "durable_write",
    "images",
    "trust_publish",
    "trust_verify",
    "startup",
    "swarm",
    "reports",
    "secrets",
    "audit_log",
)


def main(names: list[str]) -> int:
    """Run the named suites, or all; 1 if a figure misses its aim, 2 for an unknown name."""
    unknown = sorted(set(names) - set(SUITES))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or SUITES:
        print(f"measuring {name} ...", file=sys.stderr)
        figures += importlib.import_module(f"benchmarks.{name}").run()
    print("| figure | ours | peer | ratio (min to max) | aim | holds |")
    print("|---|---|---|---|---|---|")
    for figure in figures:
        print(_row(figure))
    return 0 if all(figure.holds for figure in figures) else 1


def _row(figure: Figure) -> str:
    low, high = figure.spread
    sign = "≥" if figure.at_least else "≤"
    return (
        f"| {figure.name} | {figure.ours:,.0f} {figure.unit} | {figure.theirs:,.0f}, {figure.peer} "
        f"| {figure.ratio:.2f} ({low:.2f} to {high:.2f}) | {sign} {figure.aim} | {'yes' if figure.holds else 'no'} |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
