"""`python -m app` is `tongban`."""

from app.cli import main

if __name__ == "__main__":
    main()
