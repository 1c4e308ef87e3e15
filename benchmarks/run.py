"""Measure every claim about speed, side by side with this interpreter's own makefile, and say
which targets are met.

    python benchmarks/run.py                        the table, in some minutes
    python benchmarks/run.py --fast --only 1        one claim, roughly

Claims 1 to 5 are about threads that wait for each other and for other processes: measure them
where nothing else runs.  Needs pyperf; a compiler for claim 8, strace for 9, and valgrind for
15.  report.py makes tables and the chart of what --json wrote.
"""

from __future__ import print_function

import argparse
import datetime
import glob
import json
import os
import platform
import subprocess
import sys

import pyperf

import common
import report
from backports import makefile
from cases import NO_GIL


def find_claims():
    """{number: module name}"""
    names = sorted(
        os.path.basename(path)[:-3] for path in glob.glob(os.path.join(common.HERE, "claim_*.py"))
    )
    return {int(name.split("_")[1]): name for name in names}


def describe_environment(note):
    found = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    return {
        "python": "%s %s%s"
        % (
            platform.python_implementation(),
            platform.python_version(),
            " without a GIL" if NO_GIL else "",
        ),
        "implementation": "backports.makefile %s (%s)"
        % (makefile.__version__, makefile.implementation),
        "machine": "%s, %s cores"
        % (found.get("cpu_model_name", platform.machine()), found.get("cpu_count", "?")),
        "system": "%s %s" % (platform.system(), platform.release().split("-")[0]),
        "date": datetime.date.today().isoformat(),
        "note": note,
        "load": round(os.getloadavg()[0], 2),
    }


def keep_other_claims(result, path):
    """Adds the rows that an earlier run of this interpreter left in the file, for the claims that
    were not measured now.
    """
    if os.path.exists(path):
        with open(path) as source:
            earlier = json.load(source)
        if earlier["environment"]["python"] == result["environment"]["python"]:
            measured = {row["claim"] for row in result["rows"]}
            result["rows"] += [row for row in earlier["rows"] if row["claim"] not in measured]
            result["rows"].sort(key=lambda row: row["claim"])


def main():
    claims = find_claims()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        type=int,
        action="append",
        choices=sorted(claims),
        help="this claim; can be repeated",
    )
    parser.add_argument(
        "--fast", action="store_true", help="fewer rounds, one process: minutes become seconds"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the rows; those of claims not measured now are kept"
    )
    parser.add_argument(
        "--note",
        default="",
        help="how it was measured, for the heading: the machine's other load, priorities",
    )
    parser.add_argument(
        "--samples", metavar="FOLDER", help="write every value, a pyperf suite per claim"
    )
    options = parser.parse_args()
    result = {"environment": describe_environment(options.note), "rows": []}
    print(report.heading(result["environment"]))
    failed = []
    for number in sorted(options.only or claims):
        samples = options.samples and os.path.join(options.samples, claims[number] + ".json")
        try:
            rows = common.run(claims[number], options.fast, samples)
        except (
            subprocess.CalledProcessError
        ):  # its traceback was printed; the others can still be measured
            failed.append(claims[number])
            continue
        result["rows"] += rows
        print(report.text(rows))
        sys.stdout.flush()
    if options.json:
        keep_other_claims(result, options.json)
        with open(options.json, "w") as output:
            json.dump(result, output, indent=1, sort_keys=True)
    print(report.summary(result))
    if failed:
        sys.exit("could not be measured: " + ", ".join(failed))


if __name__ == "__main__":
    main()
