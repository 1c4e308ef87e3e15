"""`python -m backports.makefile`: what it prints, and that it can fail."""
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

import backports.makefile

# Runs the self-check in its own process after a sabotage, on the two `rwb` shapes only to be quick.
SABOTAGED = """
import os, socket, sys, threading
from backports import makefile
from backports.makefile import __main__ as check
check.KINDS = check.KINDS[16:24]
check.MAIN_WORK = []
check.PATIENCE_S = 0.5
check.LOOK_AGAIN_S = 0.3
check.MESSAGES = 2
{sabotage}
sys.exit(check.main(sys.argv[1:]))
"""

# Every send of the side under check loses its last byte and claims it.
LOSE_A_BYTE = """
original = check.FakeSocket.send
check.FakeSocket.send = lambda self, data: original(self, bytes(bytearray(data))[:-1]) + 1
"""
CHANGE_A_BYTE = """
def recv_into(self, buf):
    got = self.sock.recv_into(buf)
    if got > 4000:
        buf[2000:2001] = b"?"
    return got
check.FakeSocket.recv_into = recv_into
"""
RAISE = """
def recv_into(self, buf):
    raise RuntimeError("sabotaged")
check.FakeSocket.recv_into = recv_into
"""
SAY_NOTHING_CAME = """
check.FakeSocket.recv_into = lambda self, buf: None
"""
NEVER_RETURN = """
check.LIMIT_S = 1
check.FakeSocket.recv_into = lambda self, buf: threading.Event().wait(60)
"""
LEAK_A_SOCKET = """
original = socket.create_connection
def create_connection(*args):
    sock = original(*args)
    os.dup(sock.fileno())
    return sock
socket.create_connection = create_connection
"""
KEEP_THE_REFERENCE = """
check.FakeSocket._decref_socketios = lambda self: None
"""
DENY_THE_IMPLEMENTATION = """
makefile.implementation = {"c": "python", "python": "c"}[makefile.implementation]
"""
GIVE_ANOTHER_STREAM = """
import io
makefile.backport_makefile = lambda sock, mode, buffering=None, **text: io.BytesIO()
"""


def run(implementation, *args):
    """(exit status, standard output) of the interpreter, which is killed after a minute."""
    package = os.path.dirname(os.path.abspath(backports.makefile.__file__))
    paths = [os.path.dirname(os.path.dirname(package)), os.environ.get("PYTHONPATH")]
    environ = dict(os.environ, BACKPORTS_MAKEFILE_IMPLEMENTATION=implementation,
                   PYTHONPATH=os.pathsep.join(path for path in paths if path))
    process = subprocess.Popen(
        [sys.executable] + list(args), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    killer = threading.Timer(60, process.kill)
    killer.start()
    out, err = process.communicate()
    killer.cancel()
    killer.join()  # ASan's allocator hangs in a child that is forked while another thread allocates
    assert b"Traceback" not in err, err.decode("utf-8", "replace")
    return process.returncode, out.decode("ascii")


def test_selfcheck_healthy_prints_table_and_exits_0(impl):
    status, out = run(impl.name, "-m", "backports.makefile")
    assert status == 0, out
    lines = out.splitlines()
    folder = os.path.dirname(os.path.realpath(backports.makefile.__file__))
    assert (
        "implementation %s" % impl.name in lines[0] and "%d.%d" % sys.version_info[:2] in lines[0]
    )
    assert "from %s, " % folder in lines[0]
    assert "1.20x means 1.2 times as fast as " in out
    shapes = ["rb", "rb unbuffered", "wb", "wb unbuffered", "rwb", "rwb unbuffered", "r", "w", "rw"]
    table = [line for line in lines if line[:16].strip() in shapes]
    assert [line[:16].strip() for line in table] == shapes
    assert all(
        line.count(" ok ") == 4 and line.count("x ") == 4 for line in (line + " " for line in table)
    )
    assert "NOT OK" not in out and "WRONG" not in out
    assert lines[-1].startswith(
        "All 36 kinds of stream carried every byte and left no socket open, in "
    )


def test_selfcheck_json_tells_every_stream_and_the_main_ratios(impl):
    status, out = run(impl.name, "-m", "backports.makefile", "--json")
    assert status == 0, out
    report = json.loads(out)
    assert report["ok"] is True and report["faults"] == []
    assert (
        report["implementation"] == impl.name
        and report["version"] == backports.makefile.__version__
    )
    kinds = set(
        (row["mode"], row["buffering"], row["fake"], bool(row["timeout"]))
        for row in report["streams"]
    )
    wanted = set(
        (mode, buffering, fake, timeout)
        for mode in ("rb", "wb", "rwb", "r", "w", "rw")
        for buffering in (None, 0)
        if buffering is None or "b" in mode
        for fake in (False, True)
        for timeout in (False, True)
    )
    assert kinds == wanted and len(report["streams"]) == len(wanted)
    for row in report["streams"] + report["work"]:
        assert row["ours_s"] > 0 and row["own_s"] > 0
        assert row["ratio"] == pytest.approx(row["own_s"] / row["ours_s"])
    assert [row["what"].split()[0] for row in report["work"]] == [
        "raw", 'makefile("rb")', "readline", "read",
    ]
    assert all(row["ok"] for row in report["streams"])
    assert report["seconds"] < 60  # a gross hang only: machines differ


ANOTHER_FILE = """
original = socket.create_connection
def create_connection(*args):
    files.append(open(os.devnull))
    return original(*args)
files = []
socket.create_connection = create_connection
"""
CLOSE_LATER = """
original = check.FakeSocket.close
def close(self):
    if not self.closed:
        sock = self.sock
        threading.Timer(0.1, lambda: sock.close()).start()
    self.closed = True
check.FakeSocket.close = close
"""
SLOW = """
import time
check.PATIENCE_S = 0.05
original = check.exchange_http
def exchange_http(ends, sock):
    time.sleep(0.2)
    return original(ends, sock)
check.exchange_http = exchange_http
check.EXCHANGES = [("HTTP", (check.HTTPPeer, exchange_http, "latin-1", ""))]
"""


@pytest.mark.parametrize(
    "change", [ANOTHER_FILE, CLOSE_LATER, SLOW], ids=["another_file", "close_later", "slow"]
)
def test_selfcheck_healthy_on_a_machine_of_its_own_kind_exits_0(impl, change):
    """Other files may be opened, a socket may be closed a little later, and all may be slow."""
    status, out = run(impl.name, "-c", SABOTAGED.replace("{sabotage}", change))
    assert status == 0, out


def test_selfcheck_without_c_says_why(impl):
    if impl.name == "c":
        pytest.skip("only the twin has a reason")
    reason = "makefile._reason = 'because of a test'"
    status, out = run("python", "-c", SABOTAGED.replace("{sabotage}", reason))
    assert status == 0 and "implementation python (because of a test), from " in out.splitlines()[0]


def test_selfcheck_that_hides_another_copy_names_it(tmp_path):
    hidden = tmp_path / "backports" / "makefile"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(u"")
    status, out = run(
        "python", "-c", SABOTAGED.replace("{sabotage}", "sys.path.append(%r)" % str(tmp_path))
    )
    assert status == 0, out
    assert out.splitlines()[1].startswith(
        "This hides the package in %s: " % os.path.realpath(str(hidden))
    )


def test_selfcheck_help_says_what_the_ratio_is_over():
    out = subprocess.check_output([sys.executable, "-m", "backports.makefile", "--help"]).decode(
        "ascii"
    )
    own = "socket._fileobject" if sys.version_info[0] == 2 else "the interpreter's own makefile"
    assert "1.20x means" in out and own in " ".join(out.split())


def test_selfcheck_unknown_option_exits_2_with_usage():
    process = subprocess.Popen([sys.executable, "-m", "backports.makefile", "--nonsense"],
                               cwd=os.getcwd(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    err = process.communicate()[1]
    assert process.returncode == 2 and b"usage: python -m backports.makefile" in err


@pytest.mark.parametrize(
    "sabotage, sentence",
    [
        (LOSE_A_BYTE, "fake socket"),
        (CHANGE_A_BYTE, "and they differ from byte "),
        (RAISE, "RuntimeError: sabotaged"),
        (SAY_NOTHING_CAME, "None"),
        (NEVER_RETURN, "no end after "),
        (LEAK_A_SOCKET, "1 socket is left open"),
        (KEEP_THE_REFERENCE, "left open"),
        (DENY_THE_IMPLEMENTATION, "implementation: "),
        (GIVE_ANOTHER_STREAM, "makefile gave a BytesIO"),
    ],
    ids=["lose_a_byte", "change_a_byte", "raise", "say_nothing_came", "never_return",
         "leak_a_socket", "keep_the_reference", "deny_the_implementation", "give_another_stream"],
)
def test_selfcheck_sabotaged_exits_1_with_a_sentence(impl, sabotage, sentence):
    script = SABOTAGED.replace("{sabotage}", sabotage)
    status, out = run(impl.name, "-c", script)
    assert status == 1, out
    wrong = [line for line in out.splitlines() if line.startswith("WRONG: ")]
    assert any(sentence in line for line in wrong), out
    assert "kinds of stream carried every byte" not in out


def test_selfcheck_json_sabotaged_exits_1_with_the_faults(impl):
    status, out = run(impl.name, "-c", SABOTAGED.replace("{sabotage}", RAISE), "--json")
    report = json.loads(out)
    assert status == 1 and report["ok"] is False
    assert (
        all("RuntimeError: sabotaged" in fault for fault in report["faults"]) and report["faults"]
    )
    assert [row["ok"] for row in report["streams"]] == [
        True, True, False, False, None, None, None, None,
    ]


@pytest.mark.skipif(
    not hasattr(socket, "SocketIO"), reason="2.7 counts no file objects on a socket"
)
def test_selfcheck_reference_never_given_back_to_a_real_socket_exits_1(impl):
    keep = """
class Keeper(socket.socket):
    __slots__ = []
    def _decref_socketios(self):
        pass
original = socket.create_connection
def create_connection(*args):
    sock = original(*args)
    sock.__class__ = Keeper
    return sock
socket.create_connection = create_connection
"""
    status, out = run(impl.name, "-c", SABOTAGED.replace("{sabotage}", keep))
    assert status == 1 and "1 socket is left open" in out


def test_selfcheck_twin_that_drops_a_byte_exits_1():
    drop = """
from backports.makefile import _fallback
original = _fallback.SocketIO.write
_fallback.SocketIO.write = lambda self, data: original(self, bytes(bytearray(data))[1:]) + 1
"""
    status, out = run("python", "-c", SABOTAGED.replace("{sabotage}", drop))
    assert status == 1 and "WRONG: rwb, socket, no timeout, HTTP: " in out


def test_selfcheck_installed_for_the_whole_process_still_measures_the_own(impl):
    install = (
        "makefile.install(); "
        "check.MAIN_WORK = [('own', lambda listener: check.expect_own(listener))]\n"
        "check.expect_own = lambda listener: (1.0, 2.0) "
        "if socket.socket.makefile is not makefile.backport_makefile else 0"
    )
    status, out = run(impl.name, "-c", SABOTAGED.replace("{sabotage}", install))
    assert status == 0 and "2.00x" in out
