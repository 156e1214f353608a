"""Progress bars of this process alone.

By default tqdm makes a lock that several processes could share: a semaphore, which is left behind where a process is
killed, and another process that watches over it.
"""

import threading

from tqdm import tqdm


class Bar(tqdm):  # type: ignore[type-arg]
    """See `tqdm.tqdm`."""


Bar.set_lock(threading.RLock())
