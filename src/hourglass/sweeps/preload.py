"""What is the same for every job, done once for all of them: the fork server imports this module after all others.

A fork server can do nothing but import modules, so the body of this one does it.
"""

from hourglass.pipeline.recorder import code_version

code_version()
