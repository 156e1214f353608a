"""The last that a fork server imports: what is the same for every job, done once for all of them."""

import gc

from hourglass.pipeline.recorder import code_version
from hourglass.system import leash

code_version()
# What has been imported lives as long as the process. Frozen, it is not searched for garbage by every job: half a
# second each time, and a copy of each page that the search writes to.
gc.freeze()
leash.loosen()
