"""`python -m hourglass` is the command `hourglass`."""

from hourglass.cli import main

raise SystemExit(main())
