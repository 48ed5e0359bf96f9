"""Configs of experiments: frozen, so that results can be reproduced after the best recipe in configs/ has changed."""
