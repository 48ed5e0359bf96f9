"""The same method in PyTorch, to compare speed with: `python -m benchmarks.peers.train_step`."""

import os

# Threads of PyTorch that spin while they wait take the cores from JAX, whose turn it is, and from other programs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
