"""`python -m hourglass` is the command `hourglass`."""

from hourglass.commands.main import command

command()
