"""Practice between the classes: check-ins, hours, what goes out by itself, what leaders see (a module each)."""
