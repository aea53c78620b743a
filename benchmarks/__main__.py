"""Measures Tongban beside its own limits on this machine and prints one table; a goal that is missed is printed as such and fails nothing.

    python -m benchmarks inbound --database sqlite --seconds 5 --rounds 3      the way in, beside a hand-tuned server
    python -m benchmarks inbound --database postgresql --old 1000000           the same with a million old pushes
    python -m benchmarks outbound --database sqlite --rounds 3                 the way out, beside a bare loop of the HTTP client
    python -m benchmarks expansion --audiences 500 10000                       one message to many, beside one INSERT … SELECT

Each round runs ours and the limit right after each other; figures are medians (smallest-largest) and ratios of medians.
"""

import argparse
import sys

from benchmarks import expansion, inbound, outbound, report
from benchmarks.grounds import POSTGRES, SQLITE, grounds
from benchmarks.processes import Yard
from benchmarks.report import Figure


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _inbound(database: str, plan: inbound.Plan) -> list[Figure]:
    with Yard() as yard, grounds(database, yard.folder) as ground:
        contest = inbound.Contest(yard, ground, plan, _say)
        try:
            return contest.run()
        finally:
            yard.stop_all()


def _outbound(database: str, rounds: int) -> list[Figure]:
    with Yard() as yard, grounds(database, yard.folder) as ground:
        try:
            return outbound.Contest(yard, ground, rounds, _say).run()
        finally:
            yard.stop_all()


def _expansion(database: str, sizes: list[int], rounds: int) -> list[Figure]:
    with Yard() as yard, grounds(database, yard.folder) as ground:
        return expansion.Contest(ground, sizes, rounds, _say).run()


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    way_in = commands.add_parser("inbound", help="the way in, beside a hand-tuned server")
    way_in.add_argument("--old", type=int, nargs="*", default=[], help="old pushes beside none")
    way_out = commands.add_parser("outbound", help="the way out, beside a bare loop of the HTTP client")
    audiences = commands.add_parser("expansion", help="one message to many, beside one INSERT … SELECT")
    audiences.add_argument("--audiences", type=int, nargs="*", default=[500, 10_000])
    for command in (way_in, way_out, audiences):
        command.add_argument("--database", choices=(SQLITE, POSTGRES, "both"), default="both")
        command.add_argument("--seconds", type=float, default=5.0, help="of one round")
        command.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    databases = (SQLITE, POSTGRES) if asked.database == "both" else (asked.database,)
    figures: list[Figure] = []
    for database in databases:
        if asked.what == "inbound":
            figures += _inbound(database, inbound.Plan(asked.seconds, asked.rounds, (0, *asked.old)))
        elif asked.what == "outbound":
            figures += _outbound(database, asked.rounds)
        else:
            figures += _expansion(database, asked.audiences, asked.rounds)
    print(report.table(figures))
    print(f"\nAs JSON: {report.save(figures)}")


if __name__ == "__main__":
    main()
