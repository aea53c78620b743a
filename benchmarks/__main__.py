"""Measures Tongban beside its own limits on this machine and prints one table; a goal that is missed is printed as such and fails nothing.

    python -m benchmarks inbound --database sqlite --seconds 5 --rounds 3      the way in, beside a hand-tuned server
    python -m benchmarks inbound --database postgresql --old 1000000           the same with a million old pushes as well
    python -m benchmarks outbound --database sqlite --rounds 3                 the way out, beside a bare loop of the HTTP client
    python -m benchmarks expansion --audiences 500 10000                       one message to many, beside one INSERT … SELECT
    python -m benchmarks together --seconds 8                                  the way in during a broadcast and with the API hanging
    python -m benchmarks answering                                             answers to questionnaires, beside the plain way in
    python -m benchmarks rehearsing --rounds 1                                 a rehearsal of ten weeks with 253 people
    python -m benchmarks paging                                                the console's pages, with 500 people and with 50,000
    python -m benchmarks all                                                   everything; `make bench` and `make bench-long` run this

Each round runs ours and the limit right after each other; figures are medians (smallest-largest) and ratios of medians. Everything runs on
throwaway databases under the folder for temporary files, on loopback, and nothing of it is left. The figures also go to
benchmarks/results/latest.json (`--json` names another file). Close other programs: two cores that do something else measure something else.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import answering, expansion, inbound, outbound, paging, rehearsing, report, together
from benchmarks.grounds import POSTGRES, SQLITE, Grounds, grounds
from benchmarks.processes import Yard
from benchmarks.report import Figure

Part = Callable[[Yard, Grounds, argparse.Namespace], list[Figure]]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _inbound(yard: Yard, ground: Grounds, asked: argparse.Namespace) -> list[Figure]:
    plan = inbound.Plan(asked.seconds, asked.rounds, (0, *asked.old))
    return inbound.Contest(yard, ground, plan, _say).run()


def _outbound(yard: Yard, ground: Grounds, asked: argparse.Namespace) -> list[Figure]:
    return outbound.Contest(yard, ground, asked.rounds, _say).run()


def _expansion(_yard: Yard, ground: Grounds, asked: argparse.Namespace) -> list[Figure]:
    return expansion.Contest(ground, asked.audiences, asked.rounds, _say).run()


def _together(yard: Yard, ground: Grounds, asked: argparse.Namespace) -> list[Figure]:
    return together.Contest(yard, ground, asked.seconds, asked.rounds, _say).run()


def _answering(yard: Yard, ground: Grounds, _asked: argparse.Namespace) -> list[Figure]:
    return answering.Contest(yard, ground, _say).run()


def _rehearsing(_yard: Yard, ground: Grounds, asked: argparse.Namespace) -> list[Figure]:
    return rehearsing.Contest(ground, asked.rounds, _say).run()


def _paging(_yard: Yard, ground: Grounds, asked: argparse.Namespace) -> list[Figure]:
    return paging.Contest(ground, asked.rounds, _say).run()


_PARTS: dict[str, Part] = {
    "inbound": _inbound,
    "outbound": _outbound,
    "expansion": _expansion,
    "together": _together,
    "answering": _answering,
    "rehearsing": _rehearsing,
    "paging": _paging,
}
#: They take minutes and stand beside no limit of the machine's: they are not part of "all".
_BY_NAME_ONLY = frozenset({"rehearsing", "paging"})


def _measure(asked: argparse.Namespace) -> tuple[list[Figure], list[str]]:
    """The figures of the parts that were asked for, and which parts broke."""
    figures: list[Figure] = []
    broken: list[str] = []
    for database in (SQLITE, POSTGRES) if asked.database == "both" else (asked.database,):
        with Yard() as whole, grounds(database, whole.folder) as ground:
            for name, part in _PARTS.items():
                if asked.what != name and (asked.what != "all" or name in _BY_NAME_ONLY):
                    continue
                began, yard = time.monotonic(), Yard()
                try:
                    figures += part(yard, ground, asked)
                except Exception as error:  # noqa: BLE001 - one part that breaks must not cost the others' figures
                    broken.append(f"{name} on {database}: {type(error).__name__}: {error}")
                    _say(broken[-1])
                finally:
                    yard.close()
                _say(f"{database}, {name}: {time.monotonic() - began:.0f} s")
    return figures, broken


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*_PARTS, "all"))
    parser.add_argument("--database", choices=(SQLITE, POSTGRES, "both"), default="both")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one round (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement (default 3)")
    parser.add_argument("--old", type=int, nargs="*", default=[], help="inbound: numbers of old pushes, beside none")
    parser.add_argument("--audiences", type=int, nargs="*", default=[500, 10_000], help="expansion: sizes")
    parser.add_argument("--json", type=Path, default=report.RESULTS / "latest.json", help="where the figures go")
    asked = parser.parse_args()
    began = time.monotonic()
    figures, broken = _measure(asked)
    missed = [figure.name for figure in figures if figure.holds is False]
    print(report.table(figures))
    print(f"\n{len(missed)} of {sum(figure.holds is not None for figure in figures)} goals missed, in {time.monotonic() - began:.0f} s.")
    print(f"As JSON: {report.save(figures, asked.json)}")
    for line in broken:
        print(f"Not measured: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
