"""Which way an operation of the C extension takes, by counters that a build for tests has.

They are there if the extension was built with MAKEFILE_COUNT_PATHS defined, as .ci/mutants.py does:
CFLAGS=-DMAKEFILE_COUNT_PATHS python setup.py build_ext --inplace --force
"""

import contextlib
import ctypes
import importlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

import harness
from fakes import ScriptedSocket
from running import HANGING, Worker, run_script

try:
    path_counts = importlib.import_module("backports.makefile._makefile").path_counts
except (ImportError, AttributeError):
    path_counts = None

PY2 = harness.PY2
PR_SET_TIMERSLACK = 29  # of prctl(2)
WITHOUT_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()

pytestmark = [
    pytest.mark.skipif(path_counts is None, reason="the extension counts no paths"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no direct path"),
]
with_gil = pytest.mark.skipif(WITHOUT_GIL, reason="there is no GIL to keep")


@contextlib.contextmanager
def counting():
    """A dict that has, once the block is done, what was counted in it."""
    counted = {}
    before = path_counts()
    yield counted
    after = path_counts()
    counted.update((name, after[name] - before[name]) for name in after)


@pytest.fixture
def pair(closing):
    """Two connected sockets of socket.socket, (ours, peer)."""
    ours, peer = harness.unix_pair()
    return closing(ours), closing(peer)


@pytest.fixture
def waiting(c_impl, closing):
    """A function that has another thread wait in a receive, and returns one that ends that."""
    started = []

    def start():
        ours, peer = map(closing, harness.unix_pair())
        reader = Worker(c_impl.SocketIO(ours, "r").read, 10)
        reader.wait_until_blocked()

        def end():
            if reader.is_alive():
                peer.sendall(b"end")
            assert reader.get() == b"end"

        started.append(end)
        return end

    yield start
    for end in started:
        end()


# --- Direct, or the sock's own method -------------------------------------------------------------


def test_operations_on_a_socket_are_direct(c_impl, pair):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "rw")
    peer.sendall(b"data" * 3)
    with counting() as counted:
        assert raw.read(4) == b"data"
        assert raw.readinto(bytearray(4)) == 4
        assert raw.write(b"data") == 4
    assert (counted["direct"], counted["method"]) == (3, 0)


def test_operations_on_a_fake_are_by_its_methods(c_impl):
    raw = c_impl.SocketIO(ScriptedSocket(b"datadata"), "rw")
    with counting() as counted:
        assert raw.read(4) == b"data"
        assert raw.readinto(bytearray(4)) == 4
        assert raw.write(b"data") == 4
    assert (counted["direct"], counted["method"]) == (0, 3)


def test_operations_on_a_fake_with_the_methods_of_a_socket_are_direct(c_impl, pair):
    ours, peer = pair

    class Fake(object):
        recv_into, send = ours.recv_into, ours.send

    raw = c_impl.SocketIO(Fake(), "rw")
    peer.sendall(b"data")
    with counting() as counted:
        assert raw.read(4) == b"data"
        assert raw.write(b"data") == 4
    assert (counted["direct"], counted["method"]) == (2, 0)


@pytest.mark.skipif(sys.version_info < (3, 9) or WITHOUT_GIL, reason="a TLS socket's are called")
def test_operations_on_a_tls_socket_are_done_by_its_object_in_c(c_impl, pair):
    raw = c_impl.SocketIO(harness.make_tls_socket(pair[0]), "rw")
    with counting() as counted:
        assert raw.read(4) == b"xxxx"
        assert raw.readinto(bytearray(5)) == raw.readinto(memoryview(bytearray(5))) == 5
        assert raw.write(b"data") == 4
    assert (counted["tls"], counted["method"], counted["direct"]) == (4, 0, 0)
    assert counted["check"] == 3  # as a read may have waited
    with counting() as counted:
        raw.readinto(memoryview(bytearray(4)).cast("H"))
        assert raw._sock._sslobj is not None
        raw._sock._checkClosed = lambda: None
        assert raw.write(b"data") == 4
    assert (counted["tls"], counted["method"], counted["direct"]) == (0, 2, 0)


def test_readall_of_what_is_there_takes_more_each_time(c_impl, pair):
    ours, peer = pair
    data = b"x" * (20 * 8192)
    chunk = importlib.import_module("_io").DEFAULT_BUFFER_SIZE
    writer = Worker(lambda: (peer.sendall(data), peer.shutdown(socket.SHUT_WR)))
    writer.get()
    with counting() as counted:
        assert c_impl.SocketIO(ours, "r").readall() == data
    assert counted["direct"] <= (10 if chunk == 8192 else 3)


# --- What is remembered of a class ----------------------------------------------------------------


@pytest.mark.skipif(PY2 or WITHOUT_GIL, reason="no class has a version that nobody else changes")
def test_class_of_a_socket_is_remembered(c_impl, pair):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "rw")
    peer.sendall(b"x" * 11)
    raw.read(1)
    with counting() as counted:
        for _ in range(10):
            raw.read(1)
            raw.write(b"x")
    assert (counted["class_remembered"], counted["class_searched"]) == (20, 0)


@pytest.mark.skipif(PY2 or WITHOUT_GIL, reason="no class has a version that nobody else changes")
def test_class_that_has_changed_is_searched_again(c_impl, pair):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "r")
    peer.sendall(b"xxx")
    raw.read(1)
    socket.socket.attribute_of_a_test = 1
    try:
        with counting() as counted:
            raw.read(1)
            raw.read(1)
    finally:
        del socket.socket.attribute_of_a_test
    assert (counted["class_remembered"], counted["class_searched"]) == (1, 1)


# --- Who has the GIL ------------------------------------------------------------------------------


@with_gil
@pytest.mark.parametrize("timeout", [None, 0, HANGING])
def test_ready_receive_of_any_size_keeps_the_gil(c_impl, pair, timeout):
    ours, peer = pair
    ours.settimeout(timeout)
    raw = c_impl.SocketIO(ours, "r")
    for size in 1, 4096, 1 << 20:
        peer.sendall(b"x" * min(size, 100000))
        with counting() as counted:
            assert raw.readinto(bytearray(size)) == min(size, 100000)
        assert (counted["gil_kept"], counted["gil_given_up"]) == (1, 0)


@pytest.mark.skipif(not PY2, reason="there who wants the GIL can ask for it")
def test_ready_receive_in_a_loop_in_c_gives_the_gil_up(c_impl, pair):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "r")
    peer.sendall(b"x" * 20)
    with counting() as counted:
        assert map(raw.read, [1] * 20) == [b"x"] * 20
    assert counted["gil_given_up"] >= 19


@with_gil
@pytest.mark.parametrize("timeout", [0, HANGING])
def test_send_that_the_kernel_takes_keeps_the_gil(c_impl, pair, timeout):
    ours, peer = pair
    ours.settimeout(timeout)
    raw = c_impl.SocketIO(ours, "w")
    with counting() as counted:
        assert raw.write(b"x" * 100000) == 100000
    assert (counted["gil_kept"], counted["gil_given_up"]) == (1, 0)


@with_gil
@pytest.mark.parametrize("nbytes, kept", [(1, 1), (16384, 1), (16385, 0), (100000, 0)])
def test_send_without_a_timeout_waits_in_the_call_from_16_kib_on(c_impl, pair, nbytes, kept):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "w")
    with counting() as counted:
        assert raw.write(b"x" * nbytes) == nbytes
    assert (counted["gil_kept"], counted["gil_given_up"]) == (kept, 1 - kept)


@with_gil
def test_receive_keeps_the_gil_while_another_transfer_is_under_way(c_impl, pair, waiting):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "r")
    peer.sendall(b"data")
    waiting()
    with counting() as counted:
        assert raw.read(4) == b"data"
    assert (counted["gil_kept"], counted["gil_given_up"]) == (1, 0)


@with_gil
def test_send_gives_the_gil_up_while_another_transfer_is_under_way(c_impl, pair, waiting):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "w")
    waiting()
    with counting() as counted:
        assert raw.write(b"data") == 4
    assert (counted["gil_kept"], counted["gil_given_up"]) == (0, 1)


@with_gil
def test_send_keeps_the_gil_once_the_other_transfer_is_over(c_impl, pair, waiting):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "w")
    waiting()()
    with counting() as counted:
        assert raw.write(b"data") == 4
    assert (counted["gil_kept"], counted["gil_given_up"]) == (1, 0)


COUNTING = """
counts = module.path_counts
def count(call, *args):
    before = counts()
    call(*args)
    after = counts()
    differences = tuple(after[name] - before[name] for name in ("gil_kept", "gil_given_up"))
    return "%d kept, %d given up" % differences
ours, peer = socket.socketpair()
peer.sendall(b"x" * 1000)
raw = makefile(ours, "rwb", 0)
"""


@with_gil
def test_first_operation_of_a_process_keeps_the_gil(c_impl):
    script = COUNTING + "print(count(raw.read, 1))"
    assert run_script(script, c_impl) == "1 kept, 0 given up\n"


@with_gil
def test_send_keeps_the_gil_in_the_child_of_a_process_with_a_transfer_under_way(c_impl):
    script = COUNTING + """
import threading, time
left, right = socket.socketpair()
reader = threading.Thread(target=makefile(left, "rb", 0).read, args=(10,))
reader.start()
while count(raw.write, b"x") != "0 kept, 1 given up":
    time.sleep(0.001)
child = os.fork()
if child == 0:
    os.write(1, count(raw.write, b"x").encode())
    os._exit(0)
os.waitpid(child, 0)
right.sendall(b"end")
reader.join()
"""
    assert run_script(script, c_impl, options=["-W", "ignore"]) == "1 kept, 0 given up"


# --- Waits that begin with the GIL ----------------------------------------------------------------


def wait_in_vain(implementation, sock, times):
    """Reads that find nothing, and whose time is up at once."""
    sock.settimeout(1e-9)
    for _ in range(times):
        with pytest.raises(socket.timeout):
            implementation.SocketIO(sock, "r").read(1)  # a stream is of no use after a timeout


@with_gil
def test_waits_that_bring_nothing_seldom_begin_with_the_gil(c_impl, pair):
    with counting() as counted:
        wait_in_vain(c_impl, pair[0], 6000)
    assert 20 <= counted["moment"] <= 60


@with_gil
def test_wait_while_another_transfer_is_under_way_gives_the_gil_up_at_once(c_impl, pair, waiting):
    waiting()
    with counting() as counted:
        wait_in_vain(c_impl, pair[0], 600)
    assert counted["moment"] == 0


def test_without_a_wait_there_is_no_moment(c_impl, pair):
    ours, peer = pair
    ours.setblocking(False)
    with counting() as counted:
        for _ in range(600):
            assert c_impl.SocketIO(ours, "r").read(1) is None
    assert counted["moment"] == 0


@pytest.fixture
def ask(c_impl, closing):
    """A function that asks another process, which computes for some seconds and answers.

    It returns whether the answer came with the GIL: in a moment, before it would be given up.
    """
    processes = []

    def start(delay):
        ours, theirs = map(closing, harness.unix_pair())
        script = (
            "import os, time\n"
            "while True:\n"
            "    data = os.read(0, 100)\n"
            "    if not data: break\n"
            "    end = time.time() + %r\n"
            "    while time.time() < end: pass\n"
            "    os.write(0, data)\n" % delay
        )
        processes.append(subprocess.Popen([sys.executable, "-c", script], stdin=theirs))
        theirs.close()
        ours.settimeout(HANGING)
        raw = c_impl.SocketIO(ours, "rw")

        def ask():
            with counting() as counted:
                raw.write(b"question")
                assert raw.read(100) == b"question"
            return counted["moment"] > 0 and counted["gil_given_up"] == 0

        return ask

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def exact_timers():
    """For this thread: else the kernel adds up to 50 microseconds to each."""
    prctl = ctypes.CDLL(None).prctl
    assert prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1)) == 0
    yield
    prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(0))


@with_gil
def test_answer_of_another_process_comes_with_the_gil(c_impl, pair, ask, exact_timers):
    question = ask(0.00003)
    wait_in_vain(c_impl, pair[0], 600)  # so that moments are seldom
    answers = 0
    end = time.time() + HANGING
    # On a busy machine an answer may take longer; where moments bring something they come back.
    while answers < 3 and time.time() < end:
        answers = sum(question() for _ in range(10))
    assert answers >= 3


@with_gil
def test_answer_that_takes_longer_comes_without_the_gil(ask):
    question = ask(0.0005)
    assert sum(question() for _ in range(40)) <= 10


@with_gil
@pytest.mark.skipif(not (3, 8) <= sys.version_info < (3, 13), reason="needs _xxsubinterpreters")
def test_gil_that_interpreters_share_is_given_up(c_impl):
    script = COUNTING + """
import _xxsubinterpreters as interpreters
print(count(raw.read, 1))
other = interpreters.create()
for _ in range(32):
    raw.read(1)
print(count(raw.read, 1))
interpreters.destroy(other)
for _ in range(32):
    raw.read(1)
print(count(raw.read, 1))
"""
    kept, given_up = "1 kept, 0 given up\n", "0 kept, 1 given up\n"
    assert run_script(script, c_impl) == kept + given_up + kept


def test_every_32nd_operation_is_a_check(c_impl, pair):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "rw")
    peer.sendall(b"x" * 64)
    checks = []
    for _ in range(64):
        with counting() as counted:
            raw.read(1)
        checks.append(counted["check"])
    assert [number for number, check in enumerate(checks, 1) if check] == [32, 64]


def test_wait_of_less_than_a_millisecond_is_one_wait(c_impl, pair):
    ours, peer = pair
    ours.settimeout(0.0005)
    raw = c_impl.SocketIO(ours, "r")
    with counting() as counted:
        with pytest.raises(socket.timeout):
            raw.read(1)
    assert counted["gil_given_up"] == 1 if not WITHOUT_GIL else 2


# --- Memory, for which there is no need of counters -----------------------------------------------


@pytest.mark.skipif(PY2, reason="2.7 does not trace memory")
@pytest.mark.parametrize("nbytes, is_copied", [(1000, True), (30000, True), (150000, False)])
def test_message_is_copied_out_of_its_room_if_it_is_small(c_impl, closing, nbytes, is_copied):
    """A large block of memory that is cut to a small message would keep a mapping and a page."""
    tracemalloc = importlib.import_module("tracemalloc")
    ours, peer = map(closing, socket.socketpair())
    raw = c_impl.SocketIO(ours, "r")
    peer.sendall(b"x" * nbytes)
    room = 1 << 20
    tracemalloc.start()
    try:
        message = raw.read(room)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message == b"x" * nbytes
    assert kept < nbytes + 1000
    assert (peak > room + nbytes) == is_copied


def test_readall_that_has_a_part_of_its_room_left_takes_no_more_than_that(c_impl, monkeypatch):
    script = """
chunk = __import__("_io").DEFAULT_BUFFER_SIZE
ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
peer.sendall(b"x" * (chunk * 5 // 8))
peer.sendall(b"y" * (chunk * 3 // 2))  # there is room for 11 eighths
peer.close()
data = makefile(ours, "rb", 0).readall()
print(data.count(b"x") * 8 // chunk, data.count(b"y") * 8 // chunk, len(data) * 8 // chunk)
"""
    monkeypatch.setenv("PYTHONMALLOC", "debug")  # which sees what is written beyond the end
    expected = "(5, 11, 16)\n" if PY2 else "5 11 16\n"
    assert run_script(script, c_impl) == expected
