"""Hides how a long text becomes pages that each fit into one message: at line ends where possible."""

from bots.clipping import clip, size


def pages(text: str, most: int) -> tuple[str, ...]:
    """The text in pages of at most `most` bytes each; nothing is left out but the blanks around a cut."""
    found: list[str] = []
    page = ""
    for line in text.strip().split("\n"):
        for piece in _pieces(line, most):
            longer = f"{page}\n{piece}" if page else piece
            if size(longer) > most:
                found.append(page.strip())
                longer = piece
            page = longer
    return tuple(each for each in (*found, page.strip()) if each) or ("",)


def _pieces(line: str, most: int) -> list[str]:
    pieces: list[str] = []
    while size(line) > most:
        head = clip(line, most).removesuffix("…") or line[:1]
        pieces.append(head)
        line = line[len(head) :].lstrip()
    return [*pieces, line]
