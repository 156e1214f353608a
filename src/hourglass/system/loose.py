"""What a fork server imports last, when everything else is imported; nothing else imports it.

See `leash` for why a module's body does it.
"""

import gc

from hourglass.system import leash

# What has been imported lives as long as the process. Frozen, it is not searched for garbage by every child: half a
# second each time, and a copy of each page that the search writes to.
gc.freeze()
gc.enable()
leash.loosen()
