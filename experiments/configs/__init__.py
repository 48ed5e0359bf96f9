"""Configs of experiments: frozen, so that a result can be made again after the best recipe in configs/ has changed."""
