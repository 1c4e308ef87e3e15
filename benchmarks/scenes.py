"""Scenes: how streams and threads get on, with ours and with the interpreter's own makefile, in turns, in one run.

    python scenes.py                                          all of them, in some ten minutes
    python scenes.py --seconds 0.2 --rounds 3 --only requests --only "hot.*unbuffered"
    python scenes.py --list                                   their names

A line for each figure: what, ours, own, ours / own (and its range over the rounds), the goal, and whether it is met.  Needs nothing
but the package; runs on 2.7 and on 3.6 to 3.15.
"""
from __future__ import division, print_function

import argparse
import collections
import contextlib
import ctypes
import gc
import itertools
import json
import math
import os
import platform
import random
import re
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import time

import peers
import streams
from backports import makefile as package
from peers import BusyThread, clock
from streams import MESSAGE

try:
    from http.client import HTTPConnection
except ImportError:
    from httplib import HTTPConnection

OURS, OWN = "ours", "interpreter"
MEGABYTE = 1 << 20
NO_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()
options = argparse.Namespace(seconds=0.5, megabytes=500)


# -- cases: whose makefile, and how it is called


class Case(object):
    def __init__(self, buffering=-1, timeout=None, name=None):
        self.buffering, self.timeout, self.name = buffering, timeout, name

    def of(self, name):
        return Case(self.buffering, self.timeout, name)

    def open(self, sock, mode):
        sock.settimeout(self.timeout)
        return streams.MAKEFILES[self.name](sock, mode, self.buffering)

    def __str__(self):
        return "%s, %s" % ("default buffer" if self.buffering else "unbuffered", self.timeout and "timeout" or "no timeout")


UNBUFFERED = [Case(0), Case(0, 5.0)]
BUFFERED = [Case(), Case(-1, 5.0)]


# -- goals


class Goal(object):
    """A limit for ours / own (or for ours alone), which may depend on the version: {the first that has it: limit or None}."""

    def __init__(self, relation, limit, of_ours=False):
        known = limit if isinstance(limit, dict) else {(2, 7): limit}
        self.limit = known[max(version for version in known if version <= sys.version_info[:2])]
        self.relation, self.of_ours = relation, of_ours

    def __str__(self):
        return "" if self.limit is None else "%s%s %g" % ("ours " if self.of_ours else "", self.relation, self.limit)

    def met(self, ours, own):
        if self.limit is None:
            return ""
        value = ours if self.of_ours else ratio(ours, own)
        return "yes" if (value >= self.limit if self.relation == ">=" else value <= self.limit) else "NO"


def at_least(limit, since_3=None, of_ours=False):
    return Goal(">=", limit if since_3 is None else {(2, 7): limit, (3, 0): since_3}, of_ours)


def at_most(limit, since_3=None, of_ours=False):
    return Goal("<=", limit if since_3 is None else {(2, 7): limit, (3, 0): since_3}, of_ours)


NONE = Goal(">=", None)


def ratio(ours, own):
    return ours / own if own else float("nan" if not ours else "inf")


# -- scenes: a function that returns {figure: value} for one case, and what the figures are

Figure = collections.namedtuple("Figure", "what unit goal")
Scene = collections.namedtuple("Scene", "name measure cases figures")
SCENES = []


def scene(name, cases, *figures):
    def register(measure):
        SCENES.append(Scene(name, measure, cases, [Figure(*figure) for figure in figures]))
        return measure

    return register


@contextlib.contextmanager
def nothing():
    yield


# -- requests and answers, one at a time, with another process


@scene(
    "requests beside a computing thread",
    UNBUFFERED + BUFFERED,
    ("answers", "/s", at_least(0.8, 20)),
    ("the computing thread's share", "", at_least(0.7, of_ours=True)),
)
def requests(case):
    size = 63
    request = b"x" * size
    with peers.connection_to(peers.echo) as sock, BusyThread() as busy:
        alone = loops_per_second(busy)
        stream = case.open(sock, "rwb")
        write, read = stream.write, stream.read
        flush = stream.flush if case.buffering else int  # there is nothing to flush
        answers, loops, start = 0, busy.loops, clock()
        while clock() < start + options.seconds:
            write(request)
            flush()
            assert len(read(size)) == size
            answers += 1
        seconds = clock() - start
        stream.close()
        return {"answers": answers / seconds, "the computing thread's share": (busy.loops - loops) / seconds / alone}


def loops_per_second(busy, seconds=0.1):
    """What the computing thread does when it is alone."""
    loops, start = busy.loops, clock()
    time.sleep(seconds)
    return (busy.loops - loops) / (clock() - start)


# -- one ready read at a time, beside a computing thread


@scene("ready read beside a computing thread", UNBUFFERED + BUFFERED, ("a read, median", "us", at_most(3.0, of_ours=True)))
def ready(case):
    sock, peer = streams.socket_pair()
    stream = case.open(sock, "rb")
    function, args = stream.readline, ()
    if not case.buffering:
        function, args = streams.read_call(stream)[0], streams.read_call(stream)[1:]
    line = b"x" * (MESSAGE - 1) + b"\n"
    times = []
    with BusyThread():
        end = clock() + options.seconds
        while clock() < end:
            peer.sendall(line)
            spin_until = clock() + random.uniform(0, 0.005)  # so that a forced switch comes as often as it would in a program
            while clock() < spin_until:
                pass
            start = clock()
            function(*args)
            times.append(clock() - start)
    return {"a read, median": 1e6 * median(times)}


# -- readers of several kinds, beside a computing thread and each other


class Worker(object):
    """A thread; ``done`` counts what it got through."""

    pair = staticmethod(streams.tcp_pair)

    def __init__(self, case):
        self.done = 0
        self.stopping = False
        self.connection = peers.connection_to(*self.peer, pair=self.pair)
        self.stream = case.open(self.connection.__enter__(), "rb")
        self.thread = threading.Thread(target=self.run)

    def close(self):
        self.connection.__exit__(None, None, None)


class Hot(Worker):
    """Reads small messages that are always there."""

    peer = peers.flood, 1024 * (b"x" * (MESSAGE - 1) + b"\n")
    pair = staticmethod(streams.socket_pair)

    def run(self):
        function, argument = streams.read_call(self.stream)
        while not self.stopping:
            function(argument)
            self.done += 1


class Paced(Worker):
    """Reads a message each millisecond."""

    peer = (peers.pace,)

    def __init__(self, case):
        Worker.__init__(self, case)
        self.ages = []

    def run(self):
        read = self.stream.read
        while not self.stopping:
            self.ages.append(peers.age(read(MESSAGE)))
            self.done += 1


class Bulk(Worker):
    """Reads as much as another process can send, 64 KiB at a time."""

    peer = peers.flood, b"x" * MEGABYTE
    size = 65536

    def run(self):
        stream = self.stream
        if hasattr(stream, "readinto"):
            buf = bytearray(self.size)
            while not self.stopping:
                self.done += stream.readinto(buf)
        else:
            while not self.stopping:
                self.done += len(stream.read(self.size))


KINDS = {"hot": Hot, "paced": Paced, "bulk": Bulk}


def mix(kinds, case):
    """Figures of readers of these kinds and a computing thread, all at once."""
    workers = {}
    try:
        for kind in kinds:  # all processes are forked before there is a thread
            workers[kind] = KINDS[kind](case)
        with BusyThread() as busy:
            alone = loops_per_second(busy)
            for worker in workers.values():
                worker.thread.start()
            time.sleep(0.05)
            start, loops = clock(), busy.loops
            before = {kind: worker.done for kind, worker in workers.items()}
            time.sleep(options.seconds)
            seconds, loops = clock() - start, busy.loops - loops
            after = {kind: worker.done for kind, worker in workers.items()}
            for worker in workers.values():
                worker.stopping = True
        for worker in workers.values():
            worker.thread.join()
    finally:
        for worker in workers.values():
            worker.close()
    rates = {kind: (after[kind] - before[kind]) / seconds for kind in kinds}
    found = {"the computing thread's share": loops / seconds / alone}
    if "hot" in kinds:
        found["hot reads"] = rates["hot"]
    if "bulk" in kinds:
        found["bulk"] = rates["bulk"] / MEGABYTE
    if "paced" in kinds:
        ages = sorted(workers["paced"].ages[before["paced"] :]) or [float("inf")]
        found["paced messages"] = rates["paced"]
        found["paced latency, median"] = 1e3 * median(ages)
        found["paced latency, 95 of 100"] = 1e3 * ages[int(0.95 * (len(ages) - 1))]
    return found


def mix_figures(kinds):
    if kinds == ("hot",):
        share = at_least(0.4, of_ours=True)
    else:
        share = NONE if "hot" in kinds else at_least(0.8, 0.9)
    figures = []
    if "hot" in kinds:
        figures.append(("hot reads", "/s", at_least(0.8, 10)))
    if "paced" in kinds:
        figures.append(("paced messages", "/s", at_least(0.8, 0.9)))
        figures.append(("paced latency, median", "ms", at_most(1.25, 1.0)))
        figures.append(("paced latency, 95 of 100", "ms", at_most(1.25, 1.0)))
    if "bulk" in kinds:
        figures.append(("bulk", "MiB/s", at_least(0.4) if "hot" in kinds else at_least(0.8, 0.9)))
    return figures + [("the computing thread's share", "", share)]


for count in 1, 2, 3:
    for kinds in itertools.combinations(["hot", "paced", "bulk"], count):
        name = "%s reader%s beside a computing thread" % (" + ".join(kinds), "s" if count > 1 else "")
        scene(name, UNBUFFERED + BUFFERED, *mix_figures(kinds))(lambda case, kinds=kinds: mix(kinds, case))


# -- whole programs

LINE = b"a line of a chat, as people write them..." + b"\r\n"
CLIENTS = 8
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: small\r\nContent-Length: 1000\r\n\r\n" + 1000 * b"x"


def talk(address, seconds):
    """The echo server's clients, all in one process: each line goes out on all connections before any answer is read."""
    connections = [socket.create_connection(address) for _ in range(CLIENTS)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end = clock() + seconds
    while clock() < end:
        for connection in connections:
            connection.sendall(LINE)
        for connection in connections:
            left = len(LINE)
            while left:
                left -= len(connection.recv(left))


def echo_lines(case, sock, counts):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, writer = case.open(sock, "rb"), case.open(sock, "wb")
    lines = 0
    for line in iter(reader.readline, b""):
        writer.write(line)
        writer.flush()
        lines += 1
    counts.append(lines)


def echo_server(busy, case):
    """A server with a thread for each of its clients, in this process."""
    listener = streams.listen()
    counts = []
    with peers.child(talk, listener.getsockname(), options.seconds):
        connections = [listener.accept()[0] for _ in range(CLIENTS)]
        threads = [threading.Thread(target=echo_lines, args=(case, connection, counts)) for connection in connections]
        with busy():
            start = clock()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = clock() - start
        for sock in [listener] + connections:
            sock.close()
    return {"lines": sum(counts) / seconds}


def serve_http(sock):
    request = b""
    while True:
        request += sock.recv(65536)
        if request.endswith(b"\r\n\r\n"):
            sock.sendall(RESPONSE)
            request = b""


def http_client(busy, case):
    with peers.connection_to(serve_http) as sock:
        sock.settimeout(case.timeout)
        connection = HTTPConnection("localhost")
        connection.sock = sock
        requests = 0
        with package.install() if case.name == OURS else nothing(), busy():
            start = clock()
            while clock() < start + options.seconds:
                connection.request("GET", "/")
                assert len(connection.getresponse().read()) == 1000
                requests += 1
            seconds = clock() - start
    return {"requests": requests / seconds}


BESIDE = [(", alone", nothing), (" beside a computing thread", BusyThread)]
for beside, busy in BESIDE:
    scene("line-echo server, 8 threads" + beside, BUFFERED, ("lines", "/s", at_least(0.8, 1.1)))(
        lambda case, busy=busy: echo_server(busy, case)
    )
for (beside, busy), goal in zip(BESIDE, [at_least(0.8, 1.0), at_least(0.8, 1.1)]):
    scene("http.client keep-alive" + beside, BUFFERED, ("requests", "/s", goal))(
        lambda case, busy=busy: http_client(busy, case)
    )


# -- how long another thread waits beside calls that read very much


class Ticker(object):
    """A thread that wants to run each millisecond (or to collect garbage all the time), and its longest delay."""

    def __init__(self, collect=False):
        self.longest = 0.0
        self.stopping = False
        self.thread = threading.Thread(target=self.collect if collect else self.tick)

    def tick(self):
        while not self.stopping:
            start = clock()
            time.sleep(0.001)
            self.longest = max(self.longest, clock() - start - 0.001)

    def collect(self):
        while not self.stopping:
            start = clock()
            gc.collect()
            self.longest = max(self.longest, clock() - start)
            time.sleep(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc_info):
        self.stopping = True
        self.thread.join()


def longest_wait(case, data, megabytes, use):
    """Seconds that another thread waited at most while use(stream) took so much data, sent by another process."""
    found = {}
    for what, collect in [("a thread's longest wait", False), ("longest gc.collect()", True)]:
        if collect and not NO_GIL:
            continue
        with peers.connection_to(peers.send, data, int(megabytes * MEGABYTE / len(data))) as sock:
            stream = case.open(sock, "rb")
            with Ticker(collect) as ticker:
                use(stream)
        found[what] = 1e3 * ticker.longest
    return found


WAITS = [("a thread's longest wait", "ms", at_most(2.0)), ("longest gc.collect()", "ms", at_most(2.0))]


@scene("list(stream) of ready lines", BUFFERED, *WAITS)
def list_lines(case):
    return longest_wait(case, 10000 * LINE, options.megabytes / 16, list)


@scene("readline() without a newline", BUFFERED, *WAITS)
def endless_line(case):
    return longest_wait(case, b"x" * MEGABYTE, options.megabytes, lambda stream: stream.readline())


# -- how soon something that is asked of a waiting thread happens


class Interruption(Exception):
    pass


def interruptible(case):
    """{operation: (what the peer does, a call that waits for it)}"""
    unbuffered, buffered = Case(0, case.timeout, case.name), Case(-1, case.timeout, case.name)
    roomy = Case(MEGABYTE * 32, case.timeout, case.name)

    def flush(sock):
        stream = roomy.open(sock, "wb")
        stream.write(b"x" * (16 * MEGABYTE))
        stream.flush()

    return [
        ("read(n)", peers.trickle, lambda sock: buffered.open(sock, "rb").read(MEGABYTE)),
        ("read()", peers.trickle, lambda sock: buffered.open(sock, "rb").read()),
        ("raw readall", peers.trickle, lambda sock: getattr(unbuffered.open(sock, "rb"), "readall", None or (lambda: 0))()),
        ("readline()", peers.trickle, lambda sock: buffered.open(sock, "rb").readline()),
        ("a writer's flush", peers.sip, flush),
    ]


def until_raised(serve, operation):
    """Seconds from PyThreadState_SetAsyncExc to the exception, in a thread that does operation(sock)."""
    raised = []

    def run():
        try:
            try:
                operation(sock)
            except EnvironmentError:
                pass  # the peer has had enough
            while True:
                time.sleep(0.001)
        except Interruption:
            raised.append(clock())

    with peers.connection_to(serve, pair=streams.socket_pair) as sock:
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.2)
        number = ctypes.c_long if sys.version_info < (3, 7) else ctypes.c_ulong
        start = clock()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number(thread.ident), ctypes.py_object(Interruption))
        thread.join()
    return raised[0] - start


def until_called(serve, operation):
    """Seconds from Py_AddPendingCall to the call, while the main thread does operation(sock)."""
    asked, called = [], []

    @ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    def pending(_):
        called.append(clock())
        return 0

    def ask():
        time.sleep(0.2)
        asked.append(clock())
        ctypes.pythonapi.Py_AddPendingCall(pending, None)

    with peers.connection_to(serve, pair=streams.socket_pair) as sock:
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            operation(sock)
        except EnvironmentError:
            pass
        thread.join()
        while not called:
            time.sleep(0.001)
    return called[0] - asked[0]


INTERRUPTIONS = [("an exception is raised in it after", until_raised), ("a pending call is made after", until_called)]


def interruption(name):
    def measure(case):
        (serve, operation), = [found[1:] for found in interruptible(case) if found[0] == name]
        return {what: ask(serve, operation) for what, ask in INTERRUPTIONS}

    return measure


for name, _, _ in interruptible(Case()):
    # A trickle each 20 ms: as soon as the interpreter's own, give or take two of them.
    figures = [(what, "s", at_most(3.0)) for what, _ in INTERRUPTIONS]
    scene(name + " beside a slow peer", BUFFERED, *figures)(interruption(name))


# -- read() to the end

SIZES = [4096 << shift for shift in range(0, 17, 2)]  # 4 KiB to 256 MiB


def size_name(size):
    return "%d MiB" % (size // MEGABYTE) if size >= MEGABYTE else "%d KiB" % (size // 1024)


@contextlib.contextmanager
def sender(family):
    """connect(size): a socket on which so many bytes come, and then the end."""
    folder = tempfile.mkdtemp()
    try:
        listener = socket.socket(family)
        listener.bind(os.path.join(folder, "socket") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listener.listen(8)
        address = listener.getsockname()
        with peers.child(peers.send_on_demand, listener, kill=True):
            listener.close()

            def connect(size):
                sock = socket.socket(family)
                sock.connect(address)
                sock.sendall(peers.struct.pack("q", size))
                if size <= 65536:
                    time.sleep(0.001)  # all of it is there before the clock starts
                return sock

            yield connect
    finally:
        shutil.rmtree(folder)


def read_to_the_end(family, case):
    found = {}
    with sender(family) as connect:
        for size in SIZES:
            times = []
            for _ in range(max(1, min(20, 8 * MEGABYTE // size))):
                sock = connect(size)
                stream = case.open(sock, "rb")
                start = clock()
                data = stream.read()
                times.append(clock() - start)
                assert len(data) == size
                del data
                stream.close()
                sock.close()
            found[size_name(size)] = size / MEGABYTE / median(times)

        def peak():
            sock = connect(64 * MEGABYTE)
            before = memory("VmRSS")
            with open("/proc/self/clear_refs", "w") as reset:
                reset.write("5")
            data = case.open(sock, "rb").read()
            return (memory("VmHWM") - before) / len(data)

        if os.path.exists("/proc/self/clear_refs"):
            found["peak memory for 64 MiB"] = peers.in_a_copy(peak)
    found["geometric mean"] = math.exp(sum(math.log(found[size_name(size)]) for size in SIZES) / len(SIZES))
    return found


def memory(what):
    """Bytes: VmRSS is what the process has, VmHWM the most that it had."""
    with open("/proc/self/status") as status:
        return [1024 * int(line.split()[1]) for line in status if line.startswith(what)][0]


END = [(size_name(size), "MiB/s", at_least(0.8, 1.0)) for size in SIZES]
END.append(("geometric mean", "MiB/s", Goal(">=", {(2, 7): 0.8, (3, 0): 1.0, (3, 11): 1.7, (3, 14): 1.2})))
END.append(("peak memory for 64 MiB", "times its size", at_most(1.0)))
for family, name in (socket.AF_UNIX, "unix"), (socket.AF_INET, "TCP"):
    scene("read() to the end, " + name, [Case(0), Case()], *END)(lambda case, family=family: read_to_the_end(family, case))


# -- small messages, read with a large size and kept


@scene(
    "small messages kept",
    [Case(0)],
    ("read(1 MiB): a message of 64 bytes", "bytes", at_most(1.1)),
    ("read() to the end: a message of 64 bytes", "bytes", at_most(1.1)),
)
def kept_messages(case):
    def bytes_per_message(receive, count):
        kept = [None] * count
        receive()
        before = memory("VmRSS")
        for index in range(count):
            kept[index] = receive()
        return (memory("VmRSS") - before) / count

    sock, peer = streams.socket_pair()
    stream = case.open(sock, "rb")

    def read_message():
        peer.sendall(b"x" * MESSAGE)
        return stream.read(MEGABYTE)

    def read_stream():
        sock, peer = streams.socket_pair()
        peer.sendall(b"x" * MESSAGE)
        peer.close()
        data = case.open(sock, "rb").read()
        sock.close()
        return data

    found = {"read() to the end: a message of 64 bytes": peers.in_a_copy(lambda: bytes_per_message(read_stream, 2000))}
    if not (streams.PYTHON_2 and case.name == OWN):  # its read(n) waits for n bytes
        found["read(1 MiB): a message of 64 bytes"] = peers.in_a_copy(lambda: bytes_per_message(read_message, 4000))
    return found


# -- TLS


def tls_pair():
    """(client, server), whose handshake is done."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "tests", "tls")
    serving = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_SERVER", ssl.PROTOCOL_SSLv23))
    serving.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
    asking = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_CLIENT", ssl.PROTOCOL_SSLv23))
    asking.check_hostname = False
    asking.verify_mode = ssl.CERT_NONE
    sock, peer = streams.socket_pair()
    accepted = []
    accept = threading.Thread(target=lambda: accepted.append(serving.wrap_socket(peer, server_side=True)))
    accept.start()
    client = asking.wrap_socket(sock)
    accept.join()
    return client, accepted[0]


def tls_stream(case, sock, mode):
    if streams.PYTHON_2 and case.name == OWN:  # SSLSocket has a makefile of its own there
        sock.settimeout(case.timeout)
        return socket._fileobject(sock, mode, case.buffering)
    return case.open(sock, mode)


@scene(
    "TLS",
    UNBUFFERED,
    ("read 64 bytes", "/s", at_least(0.8, 1.2)),
    ("read 16 KiB", "/s", at_least(0.8, 1.06)),
    ("write 64 bytes", "/s", at_least(0.8, 1.1)),
)
def tls(case):
    client, server = tls_pair()
    reader, writer = tls_stream(case, client, "rb"), tls_stream(case, client, "wb")

    def reads(size, count):
        for _ in range(count):
            server.sendall(b"x" * size)
        if hasattr(reader, "readinto"):
            function, argument = reader.readinto, bytearray(size)
        else:
            function, argument = reader.read, size
        return time_calls(function, argument, count)

    def writes(count):
        rate = time_calls(writer.write, b"x" * MESSAGE, count)
        left = count * MESSAGE
        while left:
            left -= len(server.recv(left))
        return rate

    def rate(measure, *args):
        measure(*args)
        end = clock() + options.seconds / 3
        found = []
        while clock() < end:
            found.append(measure(*args))
        return median(found)

    return {"read 64 bytes": rate(reads, 64, 100), "read 16 KiB": rate(reads, 16384, 8), "write 64 bytes": rate(writes, 50)}


def time_calls(function, argument, count):
    """Calls a second."""
    repeat = itertools.repeat(None, count)
    start = clock()
    for _ in repeat:
        function(argument)
    return count / (clock() - start)


# -- without a GIL: two threads at once


def in_threads(case, count, write):
    """Reads or writes a second of so many threads, each on a stream of its own."""

    def work(stream, peer):
        function, argument = (stream.write, b"x" * MESSAGE) if write else streams.read_call(stream)
        data = b"x" * (64 * MESSAGE)
        while clock() < end:
            if not write:
                peer.sendall(data)
            start = clock()
            for _ in range(64):
                function(argument)
            seconds.append((clock() - start) / 64)
            if write:
                left = len(data)
                while left:
                    left -= len(peer.recv(left))

    seconds = []
    pairs = [streams.socket_pair() for _ in range(count)]
    end = clock() + options.seconds
    threads = [
        threading.Thread(target=work, args=(case.open(sock, "wb" if write else "rb"), peer)) for sock, peer in pairs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / median(seconds)


if NO_GIL:
    NAMES = [(write, count) for write in (False, True) for count in (1, 2)]

    def no_gil_name(write, count):
        return "%s of %d thread%s" % ("writes" if write else "reads", count, "s" if count > 1 else "")

    @scene("without a GIL", UNBUFFERED, *[(no_gil_name(*name), "/s", at_least(1.5)) for name in NAMES])
    def no_gil(case):
        return {no_gil_name(write, count): in_threads(case, count, write) for write, count in NAMES}


# -- the program


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def digits(number):
    return "%.3g" % number if abs(number) < 1000 else "%d" % round(number)


def measure_in_turns(measure, case, rounds):
    """{figure: {name: [value of each round]}}"""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    names = [OURS, OWN]
    for _ in range(rounds):
        for name in names:
            for what, value in measure(case.of(name)).items():
                found[what][name].append(value)
        names.reverse()
    return found


def lines(scene, case, found):
    """A row for each figure that both have."""
    for what, unit, goal in scene.figures:
        if set(found[what]) != {OURS, OWN}:
            continue
        ours, own = found[what][OURS], found[what][OWN]
        yield {
            "scene": scene.name,
            "case": str(case),
            "figure": what,
            "unit": unit,
            "ours": median(ours),
            "own": median(own),
            "ratio": ratio(median(ours), median(own)),
            "ratios": sorted(map(ratio, ours, own)),
            "goal": str(goal),
            "met": goal.met(median(ours), median(own)),
        }


FORMAT = "%-46s %11s %11s %8s %15s  %-12s %s"


def print_line(row):
    spread = "(%s-%s)" % (digits(row["ratios"][0]), digits(row["ratios"][-1]))
    what = "  %s, %s" % (row["figure"], row["unit"]) if row["unit"] else "  " + row["figure"]
    cells = what, digits(row["ours"]), digits(row["own"]), digits(row["ratio"]), spread, row["goal"], row["met"]
    print((FORMAT % cells).rstrip())
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a scene with threads runs (0.5)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn (5)")
    parser.add_argument("--megabytes", type=float, default=500, help="the line without a newline, and 16 times the lines (500)")
    parser.add_argument("--only", metavar="PATTERN", action="append", help='a regular expression for "scene, case"')
    parser.add_argument("--list", action="store_true", help="print the names of the scenes")
    parser.add_argument("--json", metavar="FILE", help="write the figures, and every value")
    parser.parse_args(namespace=options)
    rows = []
    print("%s %s, ours is %s" % (platform.python_implementation(), platform.python_version(), package.implementation))
    print(FORMAT % ("", "ours", "own", "ours/own", "", "goal", "met"))
    for each in SCENES:
        for case in each.cases:
            title = "%s, %s" % (each.name, case)
            if options.only and not any(re.search(pattern, title) for pattern in options.only):
                continue
            print(title)
            sys.stdout.flush()
            if not options.list:
                for row in lines(each, case, measure_in_turns(each.measure, case, options.rounds)):
                    print_line(row)
                    rows.append(row)
    met = [row["met"] for row in rows]
    print("goals: %d met, %d not" % (met.count("yes"), met.count("NO")))
    if options.json:
        with open(options.json, "w") as output:
            json.dump({"python": platform.python_version(), "rows": rows}, output, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
