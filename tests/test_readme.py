"""What the documents show is so: every block of code runs, and every link leads somewhere."""

import io
import os
import re
import subprocess
import sys

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
NAMES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] + [
    "docs/" + name
    for name in sorted(os.listdir(os.path.join(ROOT, "docs")))
    if name.endswith(".md")
]
PYTHON = sys.version_info[:2]
# The first line of a block says which Python it is for.
PYTHONS = {
    "# Python 2.7": PYTHON < (3,),
    "# Python 3": PYTHON > (3,),
    "# Python 3.8 or newer": PYTHON >= (3, 8),
}
LIBRARIES = [
    "urllib3.contrib.pyopenssl",
    "urllib3.util.ssltransport",
    "pip._vendor.urllib3.contrib.pyopenssl",
    "gevent",
    "eventlet",
]


def read(name):
    with io.open(os.path.join(ROOT, name), encoding="utf-8") as stream:
        return stream.read()


def find_blocks(language):
    """(document, number, text) of each block of code in the language."""
    pattern = re.compile(r"^( *)```%s\n(.*?)^\1```$" % language, re.M | re.S)
    for name in NAMES:
        for number, (_, text) in enumerate(pattern.findall(read(name)), 1):
            yield name, number, text


def get_id(block):
    return "%s-%d" % block[:2]


def run(command, **options):
    """(exit status, what it says)."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    output = process.communicate()[0]
    return process.returncode, output.decode("utf-8", "replace")


@pytest.mark.parametrize("block", list(find_blocks("python")), ids=get_id)
def test_python_in_a_document_runs_without_an_error(block):
    text = block[2]
    if not PYTHONS.get(text.splitlines()[0], True):
        pytest.skip("the block is for another Python")
    for library in LIBRARIES:
        if re.search(r"^(from|import) %s\b" % re.escape(library), text, re.M):
            status, output = run([sys.executable, "-c", "import " + library])
            if status:
                pytest.skip("%s is not to be had: %s" % (library, output.splitlines()[-1]))
    # not where the sources would be found; nothing of a Python without the extension is to be said
    # here
    environment = dict(os.environ, BACKPORTS_MAKEFILE_WARN="0")
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    status, output = run([sys.executable, "-c", text], cwd=TESTS, env=environment)
    assert status == 0, output


@pytest.mark.parametrize("block", list(find_blocks("sh")), ids=get_id)
def test_shell_in_a_document_can_be_read_by_a_shell(block):
    assert run(["sh", "-n", "-c", block[2]]) == (0, "")


def test_blocks_are_of_the_two_languages_alone():
    for name in NAMES:
        assert set(re.findall(r"^ *```(\w+)", read(name), re.M)) <= {"python", "sh"}, name
    assert len(list(find_blocks("python"))) >= 10


def test_libraries_of_the_recipes_are_those_that_the_tests_are_run_with():
    installed = set()
    for _, _, text in find_blocks("sh"):
        for line in re.findall(r"^pip install (.*)$", text, re.M):
            installed.update(re.findall(r"[A-Za-z][\w.-]*", line.partition("#")[0]))
    tested = read("tests/recipes.txt")
    installed.discard("backports.makefile")
    assert installed
    for name in installed:
        assert re.search(r"^%s\b" % name, tested, re.M), name


def test_environments_of_tox_in_the_documents_exist():
    sections = read("tox.ini")
    for name in NAMES:
        for environment in re.findall(r"tox run -e ([\w-]+)", read(name)):
            is_python = re.match(r"py\d+(-asan)?$", environment) is not None
            # [testenv:wheels-{i686,sid}] is of two environments
            name, _, part = environment.rpartition("-")
            pattern = r"^\[testenv:(%s|%s-\{.*\b%s\b.*\})\]" % (environment, name, part)
            assert is_python or re.search(pattern, sections, re.M), environment


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_document_lead_to_files_and_headings_that_exist(name):
    folder = os.path.dirname(os.path.join(ROOT, name))
    text = re.sub(r"^( *)```.*?^\1```$", "", read(name), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        path = os.path.join(folder, path) if path else os.path.join(ROOT, name)
        assert os.path.isfile(path), target
        if heading:
            with io.open(path, encoding="utf-8") as stream:
                titles = re.findall(r"^#+ (.*)$", stream.read(), re.M)
            anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
            assert heading in anchors, target


def test_readme_is_short_and_has_its_two_commands():
    lines = read("README.md").splitlines()
    assert len(lines) < 150
    assert len([line for line in lines if line.startswith("python3 -m venv")]) == 2


def test_lines_of_the_documents_are_of_100_columns_at_most():
    for name in set(NAMES) - {"CONTRIBUTING.md"}:
        text = re.sub(r"<!-- begin claims.*?end claims -->", "", read(name), flags=re.S)
        # A row of a table cannot be broken.
        lines = [line for line in text.splitlines() if not line.startswith("|")]
        assert [line for line in lines if len(line) > 100] == [], name


def test_differences_are_numbered_without_a_gap():
    section = read("docs/differences.md").partition("## Differences")[2].partition("## Limits")[0]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", section, re.M)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 16
