"""Settings for every test."""

import os

# Each of pytest's workers has one core: a second thread would only wait for it. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
