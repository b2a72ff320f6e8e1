"""What mutation testing found: how many changes of the rules a test notices, and which none does.

Reads the `mutants` folder that `make mutants` leaves. `--survivors` lists the changes that no test noticed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

KILLED = (1, 3, 36, 24, -24, 152, 255)  # a test failed, broke, or ran out of time
SURVIVED, NO_TEST = (0,), (5, 33)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="mutants", type=Path)
    parser.add_argument("--survivors", action="store_true", help="list the changes that no test noticed")
    arguments = parser.parse_args()
    rows = [(path.name.removesuffix(".meta"), _codes(path)) for path in sorted(_meta_files(arguments.folder))]
    print(f"{'module':<22}{'changes':>8}{'run':>7}{'killed':>8}{'share':>8}")
    for name, codes in rows:
        if codes:
            print(_row(name, codes))
    print(_row("all", {key: code for _, codes in rows for key, code in codes.items()}))
    if arguments.survivors:
        for _, codes in rows:
            print(*(key for key, code in codes.items() if _kind(code) == "survived"), sep="\n")


def _meta_files(folder: Path) -> list[Path]:
    return list((folder / "cds_service" / "trd").glob("*.meta"))


def _codes(path: Path) -> dict[str, int | None]:
    codes: dict[str, int | None] = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
    return codes


def _kind(code: int | None) -> str:
    if code is None:
        return "not run"
    if code in KILLED or code < 0:
        return "killed"
    return "survived" if code in (*SURVIVED, *NO_TEST) else "other"


def _row(name: str, codes: dict[str, int | None]) -> str:
    kinds = Counter(map(_kind, codes.values()))
    run = len(codes) - kinds["not run"]
    share = f"{100 * kinds['killed'] / run:.1f} %" if run else "-"
    return f"{name:<22}{len(codes):>8}{run:>7}{kinds['killed']:>8}{share:>8}"


if __name__ == "__main__":
    main()
