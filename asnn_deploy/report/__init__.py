"""The report: numbers come in, pages go out.

report = build(graph, counts, load_profiles(), data="digits", network="digits-lenet")
write(report, Path("out"))          # report.html, report.json, report.md
"""

from asnn_deploy.report.document import build
from asnn_deploy.report.page import html, markdown, write

__all__ = ["build", "html", "markdown", "write"]
