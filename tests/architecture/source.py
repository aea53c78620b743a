"""Reads the program's own source: hides the syntax trees behind imports, calls and lines."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What must keep to the rules; tests follow fewer of them.
PROGRAM = ("app", "bots")
EVERYTHING = (*PROGRAM, "migrations", "tests", "benchmarks")


@dataclass(frozen=True)
class Call:
    """A call as it is written: `receiver` is what stands before the last dot, empty for a plain name."""

    receiver: str
    name: str
    line: int


@dataclass(frozen=True)
class Source:
    """One Python file. `path` is seen from the top of the repository."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """The dotted name; of a package, the package's."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.module if self.path.endswith("/__init__.py") else self.module.rpartition(".")[0]

    @cached_property
    def imports(self) -> dict[str, int]:
        """Every imported module with its line; `from a import b` counts as `a` and as `a.b`, wherever in the file it stands."""
        found: dict[str, int] = {}
        for node in ast.walk(self.tree):
            for name in self._imported(node):
                found.setdefault(name, getattr(node, "lineno", 0))
        return found

    def _imported(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = self.package.split(".")
            start = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, (start, node.module)))
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)

    @cached_property
    def names(self) -> dict[str, str]:
        """What a name of this file stands for: `from datetime import datetime as dt` gives dt → datetime.datetime."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or _first(alias.name)] = alias.name if alias.asname else _first(alias.name)
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name: f"{node.module or self.package}.{alias.name}" for alias in node.names}
        return found

    @cached_property
    def calls(self) -> list[Call]:
        """Every call, also where a function is only mentioned (`default_factory=time.time`)."""
        used = [node for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)]
        plain = [node for node in ast.walk(self.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
        return [
            *(Call(ast.unparse(node.value), node.attr, node.lineno) for node in used),
            *(Call("", node.id, node.lineno) for node in plain),
        ]

    def meaning(self, call: Call) -> str:
        """A call with its imported names spelled out: `dt.now` gives `datetime.datetime.now`."""
        first, dot, rest = (f"{call.receiver}.{call.name}" if call.receiver else call.name).partition(".")
        return f"{self.names.get(first, first)}{dot}{rest}"


def _first(dotted: str) -> str:
    return dotted.partition(".")[0]


def sources(*folders: str) -> list[Source]:
    """Every Python file under these folders."""
    return [source for folder in sorted(folders) for source in _under(folder)]


@cache
def _under(folder: str) -> list[Source]:
    """Read and parsed once for all tests."""
    paths = sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def within(module: str, *packages: str) -> bool:
    """Whether a module is one of these, or inside one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
