"""`python -m worldmodel` is the console script `worldmodel`."""

from __future__ import annotations

import sys

from worldmodel.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
