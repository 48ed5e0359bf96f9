"""The same method in PyTorch, to compare speed with: `python -m benchmarks.peers.train_step`."""
