"""Refusals with a sentence.

    AppError (status, code, sentence)
    ├── NotFound      404  what is foreign looks the same as what is missing
    ├── Forbidden     403  this role may not do this
    ├── Conflict      409  somebody was faster
    ├── Invalid       422  the input does not fit; the sentence says the remedy
    └── Unavailable   503  the database is away; the platform shall try again

What the platform refuses is a `SendError` (app/channels/__init__.py). Anything else is a bug, caught in two places only:
handling an event and delivering a message.
"""


class AppError(Exception):
    """A business refusal: a status for the web, a code for programs, one sentence with the remedy for people."""

    status = 500

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class NotFound(AppError):
    """There is no such thing, or it is not yours to see."""

    status = 404


class Forbidden(AppError):
    """The actor's role does not allow this."""

    status = 403


class Conflict(AppError):
    """The thing has changed meanwhile."""

    status = 409


class Invalid(AppError):
    """The input does not fit."""

    status = 422


class Unavailable(AppError):
    """The database did not answer in time."""

    status = 503


def database_away() -> Unavailable:
    """What is raised for whoever waited for the database in vain."""
    return Unavailable("database", "The database does not answer just now; please try again in a minute.")
