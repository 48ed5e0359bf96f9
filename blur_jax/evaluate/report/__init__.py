"""One HTML page of a run. It needs no network and no scripts: its figures are data URIs."""

from blur_jax.evaluate.report.page import write_report
from blur_jax.evaluate.report.tables import summary_lines

__all__ = ["summary_lines", "write_report"]
