"""The same method in PyTorch, for speed comparisons: `python -m benchmarks.peers.train_step`."""

import os

# JAX and PyTorch take turns, and spinning PyTorch threads would take cores away from JAX.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
