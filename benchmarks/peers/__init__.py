"""The same method in PyTorch, to compare speed with: `python -m benchmarks.peers.train_step`."""

import os

# PyTorch threads that spin while waiting would take the cores from JAX, which runs in turn with PyTorch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
