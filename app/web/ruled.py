"""Hides how an application is looked through for routes that say nothing of who may come there; with one of these it does not start."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts


def refuse_without_rule(app: FastAPI, under: str, rule: type, known: int, sentence: str, *, but: str = "") -> None:
    """Raise `LookupError` where a route under this path carries no `rule`: of it the `sentence` says what to do.

    Or where there are fewer than the `known` ones: then they are hidden from this look, and it says nothing. `but`: a path of files.
    """
    ruled = 0
    for context in iter_route_contexts(app.routes):
        path = context.path or ""
        if (but and path == but) or not f"{path}/".casefold().startswith(f"{under}/"):
            continue
        if not isinstance(getattr(context.endpoint, "rule", None), rule):
            raise LookupError(f"The route {path} {sentence}")  # noqa: TRY004 - what is missing is the rule, not a type
        ruled += 1
    if ruled < known:
        raise LookupError(f"Of {known} routes under {under} only {ruled} are found; look how the framework lists them now.")
