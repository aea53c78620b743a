"""Writes what years leave behind, in sets: old pushes, deliveries, attempts, audit rows, and people who have gone silent."""

from benchmarks.town import Town


def write(url: str, town: Town, pushes: int) -> None:
    """So many old pushes, and with them half as many deliveries and attempts."""
    raise NotImplementedError(url, town, pushes)
