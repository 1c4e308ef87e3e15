"""Tables and the chart, from what run.py measured; as a program, of Python 3, it puts several
interpreters' results side by side.

    python report.py results/*.json --details RESULTS.md --svg speed.svg --into ../README.md

--into, which can be repeated, writes between the markers that the file has:

    <!-- begin speed --> ... <!-- end speed -->      five rows in words
    <!-- begin claims --> ... <!-- end claims -->    the table of the claims
"""

from __future__ import division, print_function

import argparse
import io
import json
import math
import re

MARKS = {"yes": " \u2713", "no": " \u2717", "within noise": " \u2248", "": "", "not measured": ""}
LEGEND = """\
An x is how many times as fast ours is as the interpreter's own makefile (2.7: as
`socket._fileobject`, or the pure twin where that is said); other figures are ours over the
interpreter's, or carry their unit. Ratios of medians of interleaved samples; \u2713 target met,
\u2717 missed, \u2248 missed, but the 95 % interval reaches it."""
IN_README = 5  # rows


# -- numbers


def digits(number):
    if number >= 100:
        return "%d" % round(number)
    return "%.*f" % (2 if number < 10 else 1, number)


def people(number):
    """Three digits at most, with commas."""
    if number >= 100:
        step = 10 ** (len(str(int(number))) - 2)
        return "{:,}".format(int(round(number / step)) * step)
    return "%.2g" % number if number < 10 else "%.0f" % number


def measured(row):
    """The value with its unit, in three digits."""
    if row["value"] is None:
        return "-"
    unit = row["unit"] if row["unit"] in ("", "x") else " " + row["unit"]
    return "%s%s" % (digits(row["value"]), unit)


# -- for a terminal


def text(rows):
    """One interpreter's rows."""
    lines = []
    for row in rows:
        interval = (
            ""
            if row["low"] == row["high"]
            else "(%s-%s)" % (digits(row["low"]), digits(row["high"]))
        )
        cells = (row["claim"], row["what"], measured(row), interval, row["target"], row["met"])
        lines.append(("%3s  %-78s %10s %13s  %8s  %s" % cells).rstrip())
        for note in filter(None, [row["note"], absolute(row)]):
            lines.append("     " + note)
    return "\n".join(lines)


def absolute(row):
    """What the ratio is made of."""
    found = row.get("absolute")
    if not found or row["unit"] not in ("", "x"):
        return ""
    unit = " " + found["unit"] if found["unit"][:1].isalpha() else found["unit"]
    return (
        "ours %s%s, own %s%s" % (people(found["ours"]), unit, people(found["own"]), unit)
        if "own" in found
        else ""
    )


def surroundings(environment):
    found = "%(machine)s, %(system)s, %(date)s, with %(implementation)s" % environment
    return found + (", " + environment["note"] if environment["note"] else "")


def heading(environment):
    return "%s on %s" % (environment["python"], surroundings(environment))


def summary(result):
    """How many targets were met, in all the rows, and which were not."""
    met = [row["met"] for row in result["rows"]]
    found = "targets: %d met, %d within noise, %d missed" % tuple(
        map(met.count, ("yes", "within noise", "no"))
    )
    missed = [row for row in result["rows"] if row["met"] in ("no", "within noise")]
    lines = [
        "  missed: %d  %s: %s of %s" % (row["claim"], row["what"], measured(row), row["target"])
        for row in missed
    ]
    return "\n".join([found] + lines)


# -- the table of the claims


def short_name(what):
    """In a table of ratios it need not be said that they are the interpreter's time over ours."""
    return what.replace(": interpreter / ours", "").replace(": ours / interpreter", "")


def lined_up(results, wanted):
    """[((claim, name), [row of each result, or None])] for the rows that are wanted, in the order
    of the claims.
    """
    table, keys = {}, []
    for number, result in enumerate(results):
        for row in filter(wanted, result["rows"]):
            key = (row["claim"], short_name(row["what"]))
            if key not in table:
                table[key] = [None] * len(results)
                keys.append(key)
            table[key][number] = row
    keys.sort(
        key=lambda key: key[0]
    )  # a stable sort: a row that only one interpreter has stays with its claim
    return [(key, table[key]) for key in keys]


def markdown(results, details=False):
    pythons = [result["environment"]["python"] for result in results]
    lines = [
        "| # | work | " + " | ".join(pythons) + " |",
        "| --- | --- |" + " --- |" * len(pythons),
    ]
    for (claim, name), rows in lined_up(results, lambda row: details or not row["detail"]):
        lines.append(
            "| %d | %s | %s |" % (claim, name, " | ".join(cell(row, details) for row in rows))
        )
    lines += ["", LEGEND, ""]
    for result in results:
        lines.append("- %s: %s" % (result["environment"]["python"], summary(result).split("\n")[0]))
    measured_on = sorted({surroundings(result["environment"]) for result in results})
    lines += ["", "Measured on " + ";\n".join(measured_on) + "."]
    return "\n".join(lines) + "\n"


def cell(row, details=False):
    if row is None:
        return ""
    target = (
        " (%s)" % row["target"].replace(">=", "\u2265").replace("<=", "\u2264")
        if row["target"]
        else ""
    )
    found = measured(row) + target + MARKS[row["met"]]
    return found + ("<br>" + absolute(row) if details and absolute(row) else "")


# -- rows in words


def words(results):
    """The first rows that a claim tells in words, with their figures: what the README shows."""
    results = [result for result in results if any(row.get("words") for row in result["rows"])]
    heads = [result["environment"]["python"].replace("CPython ", "") for result in results]
    lines = [
        "| what a program does | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    for _, rows in lined_up(results, lambda row: row.get("words") and row.get("readme"))[
        :IN_README
    ]:
        said = next(row["words"] for row in rows if row)
        lines.append("| %s | %s |" % (said, " | ".join(in_words(row) for row in rows)))
    return "\n".join(lines) + "\n"


def speed(row):
    """How many times as fast ours is."""
    return row["value"] if row["unit"] == "x" else row["absolute"]["own"] / row["absolute"]["ours"]


def in_words(row):
    if row is None or row["value"] is None:
        return ""
    times = speed(row)
    said = "as fast" if 0.95 <= times <= 1.05 else "%s times as fast" % people(times)
    if times > 1.05:
        said = "**%s**" % said
    figures = row.get("absolute")
    if figures:
        unit = " \u00b5s" if figures["unit"] == "us" else figures["unit"].replace("/s", " a second")
        if not unit.startswith(" "):
            unit = " " + unit
        said += ": %s%s, own %s" % (people(figures["ours"]), unit, people(figures["own"]))
    return said


# -- the chart

TITLE = "Times as fast as the interpreter's own makefile"
SUBTITLE = "Right of the line at 1x ours is faster; the axis is logarithmic."
COLOURS = ["#8c510a", "#d8a13a", "#5ab4ac", "#01665e", "#2c4fa3", "#a0408f"]
# Pixels: the widths of both, the height of a row, and where the first begins.
LABELS, PLOT, ROW, TOP = 450, 460, 30, 96
TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]


def chart(results):
    """An SVG: how many times as fast each kind of work is, a dot for each interpreter, on one
    axis that holds them all.
    """
    results = [result for result in results if any(row.get("words") for row in result["rows"])]
    rows = [
        (found, next(row["words"] for row in found if row))
        for _, found in lined_up(results, lambda row: row.get("words"))
    ]
    speeds = [speed(row) for found, _ in rows for row in found if row and row["value"]]
    ticks = [tick for tick in TICKS if min(speeds + [1]) / 2 <= tick <= 2 * max(speeds + [2])]
    low, high = math.log(min(speeds + [ticks[0]])) - 0.1, math.log(max(speeds + [ticks[-1]])) + 0.1

    def x(times):
        return LABELS + 20 + PLOT * (math.log(times) - low) / (high - low)

    bottom = TOP + ROW * len(rows)
    width, height = LABELS + PLOT + 50, bottom + 50
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"'
        % (width, height, width, height),
        ' font-family="DejaVu Sans, Verdana, Helvetica, sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="20" y="30" font-size="17" font-weight="bold">%s</text>' % TITLE,
        '<text x="20" y="50" fill="#555">%s</text>' % SUBTITLE,
    ]
    for number, result in enumerate(results):
        left = 26 + 130 * number
        lines.append(
            '<circle cx="%d" cy="70" r="5" fill="%s"/>' % (left, COLOURS[number % len(COLOURS)])
        )
        lines.append('<text x="%d" y="74">%s</text>' % (left + 10, result["environment"]["python"]))
    for number, (found, said) in enumerate(rows):
        y = TOP + ROW * number
        if number % 2 == 0:
            lines.append(
                '<rect x="10" y="%d" width="%d" height="%d" fill="#f4f4f4"/>' % (y, width - 20, ROW)
            )
        lines.append(
            '<text x="%d" y="%d" text-anchor="end">%s</text>'
            % (LABELS, y + ROW / 2 + 4, escape(said))
        )
    for tick in ticks:
        style = 'stroke="#444" stroke-width="1.5"' if tick == 1 else 'stroke="#ccc"'
        lines.append(
            '<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" %s/>'
            % (x(tick), x(tick), TOP, bottom, style)
        )
        lines.append(
            '<text x="%.1f" y="%d" text-anchor="middle">%gx</text>' % (x(tick), bottom + 18, tick)
        )
    for number, (found, _) in enumerate(rows):
        for which, row in enumerate(found):
            if row and row["value"]:
                y = TOP + ROW * (number + (which + 1) / (len(found) + 1))
                dot = (x(speed(row)), y, COLOURS[which % len(COLOURS)])
                lines.append('<circle cx="%.1f" cy="%.1f" r="4" fill="%s" stroke="white"/>' % dot)
    return "\n".join(lines + ["</svg>", ""])


def escape(said):
    return said.replace("&", "&amp;").replace("<", "&lt;")


# -- files


def put_between_markers(path, blocks):
    with io.open(path, encoding="utf-8") as source:
        whole = source.read()
    for name, block in blocks.items():
        begin, end = "<!-- begin %s -->\n" % name, "<!-- end %s -->" % name
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        whole = re.sub(pattern, lambda _: begin + block + end, whole, flags=re.DOTALL)
    save(path, whole)


def save(path, whole):
    with io.open(path, "w", encoding="utf-8") as output:
        output.write(whole)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="+", metavar="FILE", help="what run.py wrote with --json")
    parser.add_argument("--markdown", metavar="FILE", help="write the table of the claims")
    parser.add_argument("--details", metavar="FILE", help="write the long table: every figure")
    parser.add_argument("--svg", metavar="FILE", help="write the chart")
    parser.add_argument(
        "--into",
        metavar="FILE",
        action="append",
        default=[],
        help="write between the markers of this file",
    )
    options = parser.parse_args()
    results = []
    for each in options.results:
        with io.open(each, encoding="utf-8") as source:
            results.append(json.load(source))
    if options.markdown:
        save(options.markdown, markdown(results))
    if options.details:
        save(
            options.details,
            "# Every figure\n\nMade by report.py from results/, which run.py wrote.\n\n"
            + markdown(results, True),
        )
    if options.svg:
        save(options.svg, chart(results))
    for path in options.into:
        put_between_markers(path, {"speed": words(results), "claims": markdown(results)})


if __name__ == "__main__":
    main()
