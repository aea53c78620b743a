"""The study: what a research team may take away, under participant numbers and never with a name (docs/states.md has the words)."""
