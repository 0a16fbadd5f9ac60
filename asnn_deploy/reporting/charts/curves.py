"""Lines: accuracy and cost over the steps, early exit, and the logits of one sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from asnn_deploy.energy.baselines import BREAK_EVEN_PROFILE
from asnn_deploy.engine.early_exit import running_logits
from asnn_deploy.reporting.canvas import Canvas, text_width
from asnn_deploy.reporting.charts.layout import WIDE, Plane, legend, ticks
from asnn_deploy.reporting.example import Example
from asnn_deploy.reporting.figures import EarlyExit, ExitPoint, Report, StepRow
from asnn_deploy.reporting.numbers import interval, joules, share

HEIGHT, TOP, BOTTOM = 250.0, 40.0, 44.0
LONGEST_NAME = 16
"""Characters of a class's name at the end of its line."""
NAMED_CLASSES = 12
"""With more classes only the label, the answer and the largest logits are lines, the others a band."""


def over_steps(report: Report, width: float) -> str:
    """What an answer after each step would have been worth, and what it would have cost."""
    steps = report.by_step
    xs = [float(t + 1) for t in range(len(steps))]
    known = _accuracies(report)
    panels = _panels(width, 2 if known else 1)
    canvas = Canvas(width, panels[-1][1] + HEIGHT)
    if known:
        _accuracy_panel(canvas, panels[0], xs, known, report.samples)
    _cost_panel(canvas, panels[-1], xs, report)
    said = f"Accuracy and cost of an answer after each of {len(steps)} time steps"
    if known:
        said += f", accuracy from {share(known[0])} after the first step to {share(known[-1])} after the last"
    return canvas.svg(f"{said}. The table below holds every value.")


def _accuracies(report: Report) -> list[float]:
    """The accuracy of an answer after each step; empty without labels."""
    known = [step.accuracy for step in report.by_step if step.accuracy is not None]
    return known if len(known) == len(report.by_step) else []


def _panels(width: float, count: int) -> list[tuple[float, float, float]]:
    """Left edge, top and width of panels side by side, or one below the other on a narrow page."""
    if width < WIDE:
        return [(0, i * (HEIGHT + 18), width) for i in range(count)]
    each = (width - 36 * (count - 1)) / count
    return [(i * (each + 36), 0, each) for i in range(count)]


def _plane(
    canvas: Canvas, panel: tuple[float, float, float], x_range: tuple[float, float], y_range: tuple[float, float]
) -> Plane:
    left, top, width = panel
    area = left + 48, top + TOP, left + width - 12, top + HEIGHT - BOTTOM
    return Plane(canvas, *area, x_range, y_range)


def _accuracy_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = max(0.01, 0.08 * (high - low))
    return max(0.0, low - margin), min(1.0, high + margin)


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"


def _accuracy_panel(
    canvas: Canvas, panel: tuple[float, float, float], xs: list[float], values: list[float], samples: int
) -> None:
    bands = [interval(value, samples) for value in values]
    span = _accuracy_range([edge for band in bands for edge in band])
    plane = _plane(canvas, panel, (xs[0], xs[-1]), span)
    plane.axes(xs, ticks(*span, 5), lambda x: f"{x:g}", _percent, "steps run", "accuracy, band: 95 % interval")
    pixels = [plane.x(x) for x in xs]
    canvas.area(pixels, [plane.y(low) for low, _ in bands], [plane.y(high) for _, high in bands], "accent")
    plane.line(xs, values, "accent", dots=len(xs) <= 40)


def _cost_panel(canvas: Canvas, panel: tuple[float, float, float], xs: list[float], report: Report) -> None:
    steps, total = report.by_step, report.by_step[-1].sops
    plane = _plane(canvas, panel, (xs[0], xs[-1]), (0.0, 1.0))
    plane.axes(xs, ticks(0, 1, 4), lambda x: f"{x:g}", _percent, "steps run", "spent, share of all steps")
    shares = _energy_shares(steps)
    pixels = [plane.x(x) for x in xs]
    if shares:
        lows, highs = ([plane.y(pick(row)) for row in shares] for pick in (min, max))
        canvas.area(pixels, lows, highs, "warm")
        canvas.line(pixels, lows, "warm", 1)
        canvas.line(pixels, highs, "warm", 1)
    if total:
        plane.line(xs, [step.sops / total for step in steps], "accent", dots=len(xs) <= 40)
    keys = [("accent", "operations"), *([("warm", "energy, all profiles")] if shares else [])]
    legend(canvas, plane.left + 6, plane.top + 4, keys, plane.left + 20)


def _energy_shares(steps: Sequence[StepRow]) -> list[list[float]]:
    """For each step the share of the whole energy spent by then, a number a profile."""
    last = steps[-1].energy_joules
    names = [name for name, value in last.items() if value]
    return [[step.energy_joules[name] / last[name] for name in names] for step in steps] if names else []


def early_exit(report: Report, exits: EarlyExit, width: float) -> str:
    """Accuracy against the mean number of steps and against energy, for every margin of the curve."""
    curve = sorted(exits.curve, key=lambda point: point.mean_steps)
    chosen = exits.chosen_point
    panels = _panels(width, 2 if report.profiles else 1)
    canvas = Canvas(width, panels[-1][1] + HEIGHT)
    span = _accuracy_range([*(point.accuracy for point in curve), *_accuracies(report)])
    _exit_steps(_plane(canvas, panels[0], (1.0, float(max(report.time_steps, 2))), span), curve, report, chosen)
    name = _exit_profile(exits)
    if name is not None and report.profiles:
        energies = [point.energy_joules[name] for point in curve]
        whole = [report.profiles[name].energy_joules.mid] if name in report.profiles else []
        plane = _plane(canvas, panels[1], (0.0, max([*energies, *whole]) or 1.0), span)
        _exit_energy(plane, curve, energies, name, chosen)
    ends = f"{share(curve[0].accuracy)} at {curve[0].mean_steps:.2f} steps to "
    ends += f"{share(curve[-1].accuracy)} at {curve[-1].mean_steps:.2f} steps"
    return canvas.svg(f"Accuracy against mean steps and energy with early exit, from {ends}. A table follows.")


def _exit_profile(exits: EarlyExit) -> str | None:
    """The profile on the energy axis: that of the break-even rate, or else the first that the curve has."""
    names = list(exits.curve[0].energy_joules)
    return BREAK_EVEN_PROFILE if BREAK_EVEN_PROFILE in names else next(iter(names), None)


def _exit_steps(plane: Plane, curve: Sequence[ExitPoint], report: Report, chosen: ExitPoint | None) -> None:
    steps, fixed, canvas = [float(t + 1) for t in range(report.time_steps)], _accuracies(report), plane.canvas
    plane.axes(steps, ticks(*plane.y_range, 5), lambda x: f"{x:g}", _percent, "mean steps", "accuracy")
    if fixed:
        canvas.line([plane.x(x) for x in steps], [plane.y(y) for y in fixed], "muted", 1.2, dashed=True)
    plane.line([point.mean_steps for point in curve], [point.accuracy for point in curve], "accent")
    _mark_chosen(plane, curve, [point.mean_steps for point in curve], chosen)
    keys = [("accent", "exit at a margin"), *([("muted", "all stop after a step")] if fixed else [])]
    legend(canvas, plane.right - 190, plane.bottom - 38, keys, plane.right - 180)


def _exit_energy(
    plane: Plane, curve: Sequence[ExitPoint], energies: Sequence[float], name: str, chosen: ExitPoint | None
) -> None:
    text = lambda value: joules(value).replace(".00 ", " ")  # noqa: E731
    xs = ticks(*plane.x_range, 4) if any(energies) else [0.0]
    plane.axes(xs, ticks(*plane.y_range, 5), text, _percent, f"energy, {name} (mid)", "accuracy")
    plane.line(energies, [point.accuracy for point in curve], "accent")
    _mark_chosen(plane, curve, energies, chosen)


def _mark_chosen(plane: Plane, curve: Sequence[ExitPoint], xs: Sequence[float], chosen: ExitPoint | None) -> None:
    for point, x in zip(curve, xs):
        if point is chosen:
            plane.canvas.dot(plane.x(x), plane.y(point.accuracy), 6, "warm", hollow=True)
            plane.canvas.dot(plane.x(x), plane.y(point.accuracy), 2.6, "warm")


def logits(example: Example, width: float, named: Callable[[int], str] = str) -> str:
    """The class scores of one sample, summed up to each step; the label's and the answer's stand out.

    named: what a class is called.
    """
    sums = running_logits(example.step_logits)
    steps, classes = sums.shape
    ends = sums[-1]
    canvas = Canvas(width, HEIGHT)
    low, high = float(min(sums.min(), 0)), float(max(sums.max(), 0))
    names = {c: _class_name(example, c, named(c)) for c in range(classes)}
    reach = text_width(max(*names.values(), f"{classes} label", key=len)) + 14
    plane = Plane(canvas, 48, TOP, width - reach, HEIGHT - BOTTOM, (1.0, float(max(steps, 2))), (low, high))
    xs = [float(t + 1) for t in range(steps)]
    plane.axes(xs, ticks(low, high, 5), lambda x: f"{x:g}", lambda y: f"{y:.4g}", "steps run", "logit, summed so far")
    special = {example.prediction: "accent"} | ({} if example.label is None else {example.label: "accent"})
    if example.label is not None and example.label != example.prediction:
        special[example.prediction] = "warm"
    order = sorted(range(classes), key=lambda c: (c in special, ends[c]))
    if classes > NAMED_CLASSES:
        others, order = order[: -len(special)], order[-len(special) - 4 :]
        pixels = [plane.x(x) for x in xs]
        lows, highs = ([plane.y(float(v)) for v in edge] for edge in (sums[:, others].min(1), sums[:, others].max(1)))
        canvas.area(pixels, lows, highs, "muted")
    for c in order:
        role, line = (special[c], 2.2) if c in special else ("faint", 1.2)
        plane.line(xs, [float(v) for v in sums[:, c]], role, line, dots=c in special and steps <= 40)
    _names(plane, [(float(ends[c]), names[c], special.get(c, "muted")) for c in order])
    return canvas.svg(
        f"Logits of {classes} classes over {steps} steps. Answer: class {named(example.prediction)}"
        + (f", label: class {named(example.label)}." if example.label is not None else ", no label.")
        + " The table below holds every value."
    )


def _class_name(example: Example, c: int, name: str) -> str:
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return f"{short} label" if c == example.label else f"{short} answer" if c == example.prediction else short


def _names(plane: Plane, entries: list[tuple[float, str, str]]) -> None:
    """Names at the ends of lines, highest first, pushed apart where they would overlap."""
    ordered = sorted(entries, key=lambda entry: -entry[0])
    heights = _apart([plane.y(value) for value, *_ in ordered], 12.0, plane.bottom + 4)
    for y, (_, text, role) in zip(heights, ordered):
        plane.canvas.text(plane.right + 8, y, text, role, 11, weight=400 if role == "muted" else 600)


def _apart(heights: list[float], spacing: float, lowest: float) -> list[float]:
    """Ascending pixels moved until they lie `spacing` apart and, as far as that goes, above `lowest`."""
    down: list[float] = []
    for height in heights:
        down.append(max(height, down[-1] + spacing) if down else height)
    up: list[float] = []
    for height in reversed(down):
        up.append(min(height, up[-1] - spacing if up else lowest))
    return up[::-1]
