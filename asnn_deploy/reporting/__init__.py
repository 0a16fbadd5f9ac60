"""The report: numbers come in, pages go out.

report = build(graph, counts, load_profiles(), data="digits", network="digits-lenet")
write(report, Path("out"))          # report.html, report.json, report.md
write(report, Path("out"), Example.of(graph, images, trace, 0, labels))   # with one sample, step by step

figures.py energies.py  what report.json holds, as models
document.py             a report from what was counted, priced, fitted and verified
example.py pictures.py  one sample through the network, and its pictures
canvas.py charts/       charts as SVG
page.py view.py templates/   the pages; what they say that is not in the report
"""

from asnn_deploy.reporting.document import build
from asnn_deploy.reporting.example import Example
from asnn_deploy.reporting.page import html, markdown, write

__all__ = ["Example", "build", "html", "markdown", "write"]
