"""The same method in PyTorch, to compare its speed: `python -m benchmarks.peers.train_step`."""

import os

# Spinning PyTorch threads would take the cores from JAX, which runs in turn with PyTorch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
