"""The same method in PyTorch, for comparing speed: `python -m benchmarks.peers.train_step`."""

import os

# Spinning PyTorch threads would take cores away from JAX, because the two take turns.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
