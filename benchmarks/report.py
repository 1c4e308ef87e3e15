"""Tables and the chart, from what run.py measured; as a program it puts several interpreters' results side by side."""
from __future__ import division, print_function

import argparse
import io
import json

MARKS = {"yes": u" \u2713", "no": u" \u2717", "within noise": u" \u2248", "": u""}
LEGEND = u"""\
An x is how many times faster ours is than the interpreter's own makefile (2.7: than `socket._fileobject`, or the pure twin
where that is said); other figures are fractions of what is named, or carry their unit. Ratios of medians of interleaved
samples; \u2713 target met, \u2717 missed, \u2248 missed, but the 95 % interval reaches it."""


def measured(row):
    """The value with its unit, in three digits."""
    if row["value"] is None:
        return "-"
    unit = row["unit"] if row["unit"] in ("", "x") else " " + row["unit"]
    return "%s%s" % (digits(row["value"]), unit)


def digits(number):
    if number >= 100:
        return "%d" % round(number)
    return "%.*f" % (2 if number < 10 else 1, number)


def text(rows):
    """One interpreter's rows, for a terminal."""
    lines = []
    for row in rows:
        interval = "" if row["low"] == row["high"] else "(%s-%s)" % (digits(row["low"]), digits(row["high"]))
        cells = (row["claim"], row["what"], measured(row), interval, row["target"], row["met"])
        lines.append(("%3s  %-62s %10s %13s  %8s  %s" % cells).rstrip())
        if row["note"]:
            lines.append("     " + row["note"])
    return "\n".join(lines)


def surroundings(environment):
    found = "%(machine)s, %(system)s, %(date)s, with %(implementation)s" % environment
    return found + (", " + environment["note"] if environment["note"] else "")


def heading(environment):
    return "%s on %s" % (environment["python"], surroundings(environment))


def short_name(what):
    """In a table of ratios it goes without saying that they are the interpreter's time over ours."""
    return what.replace(": interpreter / ours", "")


def summary(result):
    """How many targets were met, in all the rows, and which were not."""
    met = [row["met"] for row in result["rows"]]
    found = "targets: %d met, %d within noise, %d missed" % tuple(map(met.count, ("yes", "within noise", "no")))
    missed = [row for row in result["rows"] if row["met"] in ("no", "within noise")]
    lines = ["  missed: %d  %s: %s of %s" % (row["claim"], row["what"], measured(row), row["target"]) for row in missed]
    return "\n".join([found] + lines)


def markdown(results, details=False):
    """The rows of one or several interpreters, side by side."""
    keys, table = [], {}
    for result in results:
        for row in result["rows"]:
            if row["detail"] and not details:
                continue
            key = (row["claim"], row["what"])
            table.setdefault(key, {})[result["environment"]["python"]] = row
            if key not in keys:
                keys.append(key)
    keys.sort(key=lambda key: key[0])  # a stable sort: a row that only one interpreter has stays with its claim
    pythons = [result["environment"]["python"] for result in results]
    lines = [u"| # | work | " + u" | ".join(pythons) + u" |", u"| --- | --- |" + u" --- |" * len(pythons)]
    for key in keys:
        cells = [cell(table[key].get(python)) for python in pythons]
        lines.append(u"| %d | %s | %s |" % (key[0], short_name(key[1]), u" | ".join(cells)))
    lines += [u"", LEGEND, u""]
    for result in results:
        lines.append(u"- %s: %s" % (result["environment"]["python"], summary(result).split("\n")[0]))
    measured_on = sorted({surroundings(result["environment"]) for result in results})
    lines += [u"", u"Measured on " + u";\n".join(measured_on) + u"."]
    return u"\n".join(lines) + u"\n"


def cell(row):
    if row is None:
        return u""
    target = u" (%s)" % row["target"].replace(">=", u"\u2265").replace("<=", u"\u2264") if row["target"] else u""
    return measured(row) + target + MARKS.get(row["met"], u"")


def chart(results, path):
    """How many times faster each kind of work is, as an SVG: a dot per interpreter, a tick where its target is."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9})
    from matplotlib import pyplot

    labels, dots = [], []
    for number, result in enumerate(results):
        for row in result["rows"]:
            if row["unit"] == "x" and not row["detail"]:
                label = "%d  %s" % (row["claim"], short_name(row["what"]))
                if label not in labels:
                    labels.append(label)
                dots.append((label, number, row))
    labels.sort(key=lambda label: int(label.split()[0]))
    labels.reverse()  # the axis goes upwards
    figure, axes = pyplot.subplots(figsize=(9, 0.27 * len(labels) + 1.2))
    colours = pyplot.get_cmap("viridis")
    for number, result in enumerate(results):
        colour = colours(number / max(1, len(results) - 0.5))
        shift = 0.12 * ((len(results) - 1) / 2 - number)
        own = [(labels.index(label) + shift, row) for label, dot_number, row in dots if dot_number == number]
        name = result["environment"]["python"]
        axes.plot([row["value"] for _, row in own], [y for y, _ in own], "o", color=colour, ms=5, label=name)
        targets = [(float(row["target"].split()[1]), y) for y, row in own if row["target"]]
        axes.plot([x for x, _ in targets], [y for _, y in targets], "|", color=colour, ms=8)
    axes.axvline(1.0, color="0.4", lw=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: "%gx" % x))
    axes.set_yticks(range(len(labels)))
    axes.set_yticklabels(labels)
    axes.set_ylim(-0.7, len(labels) - 0.3)
    axes.grid(axis="y", color="0.9")
    axes.set_xlabel("times faster than the interpreter's own makefile; a tick marks the target")
    axes.legend(loc="lower right")
    figure.savefig(path, format="svg", bbox_inches="tight", metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"]))


def write(results, markdown_path=None, svg_path=None, details=False):
    if markdown_path:
        with io.open(markdown_path, "w", encoding="utf-8") as output:
            if details:
                output.write(u"# Every figure\n\nMade by report.py --details from results/, which run.py --json wrote.\n\n")
            output.write(markdown(results, details))
    if svg_path:
        chart(results, svg_path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", metavar="FILE", help="what run.py wrote with --json")
    parser.add_argument("--markdown", metavar="FILE", help="write the table")
    parser.add_argument("--details", action="store_true", help="the long table: every count and every share")
    parser.add_argument("--svg", metavar="FILE", help="write the chart (needs matplotlib)")
    options = parser.parse_args()
    loaded = []
    for each in options.results:
        with io.open(each, encoding="utf-8") as source:
            loaded.append(json.load(source))
    write(loaded, options.markdown, options.svg, options.details)
