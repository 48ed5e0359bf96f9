"""A run's report: one HTML page that needs no network and no scripts, with figures as data URIs."""

from blur_jax.evaluate.report.page import write_report
from blur_jax.evaluate.report.tables import summary_lines

__all__ = ["summary_lines", "write_report"]
