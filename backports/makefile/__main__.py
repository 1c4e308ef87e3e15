"""The self-check: ``python -m backports.makefile [--json]``.

Every kind of stream carries a real HTTP exchange (the peer is the standard library's server) and a
line protocol over loopback TCP, on a socket of the standard library and on a fake one.  Every byte
is compared, and after each exchange every socket must be closed again.  Then each stream is timed
beside the interpreter's own makefile (on 2.7: its ``socket._fileobject``), in turns; the ratio of
the best times is printed, and above 1 is faster than the interpreter's own.

How long anything may take depends on the machine: one exchange is timed first, by the sockets
alone.  The exit status is 0 when all is well; otherwise it is 1, and a plain sentence says what is
wrong.
"""
from __future__ import print_function

import argparse
import io
import json
import os
import platform
import signal
import socket
import stat
import sys
import threading
import time
from collections import namedtuple
from itertools import count, repeat
from timeit import default_timer as clock

from backports import makefile

try:
    from http.server import BaseHTTPRequestHandler
    from socketserver import StreamRequestHandler
except ImportError:  # 2.7
    from BaseHTTPServer import BaseHTTPRequestHandler
    from SocketServer import StreamRequestHandler

# The least limits.  On a slow machine they grow to EXCHANGES_MAX times what one exchange takes.
PATIENCE_S = 5.0  # a peer that waits so long closes, and a stream that waits for it sees an end
LIMIT_S = 30.0  # an attempt that takes longer ends the check: a stream that hangs must not hang it
EXCHANGES_MAX = 100
LOOK_AGAIN_S = 1.0  # a socket that is still open may be about to be closed, by another thread
FAULTS_MAX = 3  # enough to see what is wrong; each may cost the patience of a peer

Kind = namedtuple("Kind", "mode buffering fake timeout")
SHAPES = [
    ("rb", None), ("rb", 0), ("wb", None), ("wb", 0), ("rwb", None), ("rwb", 0),
    ("r", None), ("w", None), ("rw", None),
]
PLACES = [(False, False), (False, True), (True, False), (True, True)]
KINDS = [Kind(*(shape + place)) for shape in SHAPES for place in PLACES]
BUFFERED = {"rb": io.BufferedReader, "wb": io.BufferedWriter, "rwb": io.BufferedRWPair}

BODY = os.urandom(1 << 18)  # more than a socket's buffers hold, so that writes have to wait
LINES = [(u"%d \u0159\u00e1dek \u20ac \U0001f600\n" % n).encode("utf-8") for n in range(20)]
LINES.append(b"x" * 10000 + b"\n")  # an unbuffered stream reads it byte by byte
MESSAGE, MESSAGES = b"x" * 63 + b"\n", 200
ROUNDS, COMPARE_S = 6, 0.06  # at least so many, for so long
BIG_READ = 1 << 25

OWN_FILE = getattr(socket, "_fileobject", ())  # 2.7's; nothing is an instance of ()
OWN_NAME = "2.7's socket._fileobject" if OWN_FILE else "the interpreter's own makefile"
RATIO = "1.20x means 1.2 times as fast as %s on the same socket" % OWN_NAME


class Fault(Exception):
    """What a stream did wrong, as a sentence."""


class FakeSocket(object):
    """A correct socket-like class: its real socket closes with it and its last file."""

    _makefile_refs = 0

    def __init__(self, sock):
        self.sock, self.closed = sock, False

    def recv_into(self, buf):
        return self.sock.recv_into(buf)

    def send(self, data):
        return self.sock.send(data)

    def close(self):
        self.closed = True
        if self._makefile_refs < 1:
            self.sock.close()

    def _decref_socketios(self):
        self._makefile_refs -= 1
        if self.closed:
            self.close()


class OwnFakeSocket(FakeSocket):
    """The same for the interpreter's own makefile.

    That counts by another name, and on 2.7 it calls other methods.
    """

    _io_refs = 0

    def _decref_socketios(self):
        pass

    def recv(self, nbytes):
        return self.sock.recv(nbytes)

    def sendall(self, data):
        return self.sock.sendall(data)


class OwnText(object):
    """Text on 2.7's own file object, which has only bytes: programs there decode by hand."""

    def __init__(self, stream):
        self.stream, self.flush, self.close = stream, stream.flush, stream.close

    def readline(self):
        return self.stream.readline().decode("utf-8")

    def write(self, text):
        self.stream.write(text.encode("utf-8"))


class HTTPPeer(BaseHTTPRequestHandler):
    """Answers a POST with its body turned round.

    The attribute `server` of both peers is the list of what they received.
    """

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.append(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *args):
        pass


class LinePeer(StreamRequestHandler):
    """Answers each line, until `quit`."""

    def handle(self):
        for line in iter(self.rfile.readline, b""):
            self.server.append(line)
            self.wfile.write(b"got " + line)
            if line == b"quit\n":
                break


def serve(peer_class, conn, received):
    try:
        peer_class(conn, None, received)
    except Exception:  # the side under check sees the end, and tells what it misses
        pass
    finally:
        conn.close()


def allow(least):
    """The limit in seconds on this machine, once `measure` has seen it."""
    return max(least, EXCHANGES_MAX * measured["exchange_s"])


measured = {"exchange_s": 0.0}


class Ends(object):
    """Bytes in and out of a socket by one stream.

    A direction that the stream does not have goes by the socket's own recv and sendall.
    """

    def __init__(self, wire, stream, mode, encoding):
        self.wire, self.stream, self.encoding = wire, stream, encoding
        self.reads, self.writes, self.text = "r" in mode, "w" in mode, "b" not in mode

    def write(self, data):
        if not self.writes:
            return self.wire.sendall(data)
        while data:
            taken = self.stream.write(data.decode(self.encoding) if self.text else data)
            if not taken:
                raise Fault("write took %r of %d bytes" % (taken, len(data)))
            data = b"" if self.text else data[taken:]  # a raw stream may take a part
        self.stream.flush()

    def _take(self, method, *args):
        piece = method(*args)
        if piece is None:
            raise Fault("a read of a socket that blocks gave None")
        return piece.encode(self.encoding) if self.reads and self.text else piece

    def read(self, nbytes):
        data = b""
        while len(data) < nbytes:
            method = self.stream.read if self.reads else self.wire.recv
            piece = self._take(method, nbytes - len(data))
            if not piece:
                break
            data += piece
        return data

    def readline(self):
        if self.reads:
            return self._take(self.stream.readline)
        line = b""
        while not line.endswith(b"\n"):
            there = self.wire.recv(1 << 16, socket.MSG_PEEK)
            if not there:
                break
            line += self.wire.recv(there.find(b"\n") + 1 or len(there))
        return line


def expect(what, got, wanted):
    if got != wanted:
        same = [one == other for one, other in zip(got, wanted)] + [False]
        raise Fault("%s: %d bytes came where %d were sent, and they differ from byte %d on"
                    % (what, len(got), len(wanted), same.index(False)))


def exchange_http(ends, sock):
    """One POST; the stream is closed before the socket.  Returns what the peer must receive."""
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    ends.write((head % len(BODY)).encode("ascii") + BODY)
    expect("the status line", ends.readline(), b"HTTP/1.1 200 OK\r\n")
    headers = {}
    for header in iter(ends.readline, b"\r\n"):
        if not header:
            raise Fault("the headers break off")
        name, _, value = header.partition(b":")
        headers[name.lower()] = value.strip()
    expect("the body", ends.read(int(headers[b"content-length"])), BODY[::-1])
    expect("after the body", ends.read(1), b"")
    ends.stream.close()
    sock.close()
    return BODY


def exchange_lines(ends, sock):
    """Question and answer; the open stream must carry the last one after the socket's close()."""
    for line in LINES:
        ends.write(line)
        expect("the answer", ends.readline(), b"got " + line)
    if ends.reads:
        ends.write(b"quit\n")
        sock.close()
        expect("the answer after the socket's close()", ends.readline(), b"got quit\n")
        expect("after the last line", ends.read(1), b"")
    else:
        sock.close()
        ends.write(b"quit\n")
    ends.stream.close()
    return b"".join(LINES) + b"quit\n"


EXCHANGES = [
    ("HTTP", (HTTPPeer, exchange_http, "latin-1", "")),
    ("line protocol", (LinePeer, exchange_lines, "utf-8", "\n")),
]


def connect(listener, timeout=False):
    """Two connected TCP sockets; the second, and the first if told, have the patience of a peer."""
    wire = socket.create_connection(listener.getsockname())
    peer = listener.accept()[0]
    for sock, impatient in [(wire, timeout), (peer, True)]:
        sock.settimeout(allow(PATIENCE_S) if impatient else None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire, peer


def open_ours(sock, kind, encoding="utf-8", newline=None):
    text = {} if "b" in kind.mode else {"encoding": encoding, "newline": newline}
    stream = makefile.backport_makefile(sock, kind.mode, kind.buffering, **text)
    wanted = makefile.SocketIO if kind.buffering == 0 else BUFFERED.get(kind.mode, io.TextIOWrapper)
    raw = getattr(getattr(stream, "buffer", stream), "raw", None)  # a pair of buffers has no `raw`
    if type(stream) is not wanted or raw is not None and type(raw) is not makefile.SocketIO:
        raise Fault("makefile gave a %s on a %s" % (type(stream).__name__, type(raw)))
    return stream


def open_own(sock, kind):
    """The interpreter's own stream of that kind."""
    if OWN_FILE:
        size = 8192 if kind.buffering is None else kind.buffering
        stream = OWN_FILE(getattr(sock, "_sock", sock), kind.mode, size)
        return stream if "b" in kind.mode else OwnText(stream)
    text = {} if "b" in kind.mode else {"encoding": "utf-8"}
    return socket.socket.makefile(sock, kind.mode, kind.buffering, **text)


def find_sockets():
    """The descriptors that are sockets.  The C library opens other files when it likes."""
    found = set()
    for fd in range(256):  # a new descriptor takes the lowest number: one that leaks is among these
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                found.add(fd)
        except OSError:
            pass
    return found


def expect_closed(before):
    deadline = clock() + LOOK_AGAIN_S
    while find_sockets() - before and clock() < deadline:
        time.sleep(0.01)
    left = len(find_sockets() - before)
    if left:
        raise Fault("%d socket%s left open" % (left, " is" if left == 1 else "s are"))


def start_peer(peer_class, conn, received):
    peer = threading.Thread(target=serve, args=(peer_class, conn, received))
    peer.daemon = True
    peer.start()
    return peer


def measure(listener):
    """Time one exchange by the sockets alone, which nothing of ours takes part in."""
    start = clock()
    wire, conn = connect(listener)
    conn.settimeout(None)  # how patient it may be is not known before
    peer = start_peer(HTTPPeer, conn, [])
    try:
        exchange_http(Ends(wire, wire, "", None), wire)
    finally:
        wire.close()
        peer.join()
    measured["exchange_s"] = clock() - start


def carry(listener, kind, peer_class, exchange, encoding, newline):
    """One exchange through one stream of ours.  Returns True, or raises what went wrong."""
    before = find_sockets()
    wire, conn = connect(listener, kind.timeout)
    received = []
    peer = start_peer(peer_class, conn, received)
    sock, stream = FakeSocket(wire) if kind.fake else wire, None
    try:
        stream = open_ours(sock, kind, encoding, newline)
        sent = exchange(Ends(wire, stream, kind.mode, encoding), sock)
    except Exception:
        for closable in filter(None, [stream, sock, wire]):
            try:
                closable.close()
            except Exception:  # the first error is the one to tell
                pass
        raise
    finally:
        peer.join(2 * allow(PATIENCE_S))
    if peer.is_alive():  # it holds a socket of its own, which is not to be taken for one of ours
        raise Fault("the peer has not ended")
    expect("at the peer", b"".join(received), sent)
    expect_closed(before)
    return True


def compare(ours, own):
    """The best times of two functions that time themselves, in turns: (ours, own).

    The best and not the median: this runs once, on a machine that has other things to do.  The
    benchmarks quote medians.  For so long, as PyPy compiles what was called some thousand times.
    """
    best = {ours: float("inf"), own: float("inf")}
    end = clock() + COMPARE_S
    for turn in count():
        if turn >= ROUNDS and clock() > end:
            break
        for side in (ours, own) if turn % 2 else (own, ours):
            best[side] = min(best[side], side())
    return best[ours], best[own]


def time_messages(stream, kind, peer, message):
    """Seconds for one short message in each direction of the stream; none has to wait."""
    seconds = 0.0
    if "r" in kind.mode:
        peer.sendall(message * MESSAGES)
        start = clock()
        if kind.buffering == 0:
            if isinstance(stream, OWN_FILE):
                read, room = stream.read, 64
            else:
                read, room = stream.readinto, bytearray(64)
            for _ in repeat(None, MESSAGES):
                read(room)
        else:
            for _ in repeat(None, MESSAGES):
                stream.readline()
        seconds += clock() - start
    if "w" in kind.mode:
        piece = message if "b" in kind.mode else message.decode("ascii")
        start = clock()
        for _ in repeat(None, MESSAGES):
            stream.write(piece)
        stream.flush()
        seconds += clock() - start
        left = len(message) * MESSAGES
        while left > 0:
            left -= len(peer.recv(left)) or left
    return seconds / MESSAGES


def compare_messages(listener, kind, message=MESSAGE):
    opened = []

    def side(fake_class, opener):
        wire, peer = connect(listener, kind.timeout)
        sock = fake_class(wire) if kind.fake else wire
        stream = opener(sock, kind)
        opened.extend([stream, sock, peer])
        return lambda: time_messages(stream, kind, peer, message)

    try:
        return compare(side(FakeSocket, open_ours), side(OwnFakeSocket, open_own))
    finally:
        for closable in opened:
            closable.close()


def compare_makefile(listener):
    wire, peer = connect(listener)

    def side(make):
        start = clock()
        for _ in repeat(None, MESSAGES):
            make(wire, "rb").close()
        return (clock() - start) / MESSAGES

    try:
        return compare(lambda: side(makefile.backport_makefile),
                       lambda: side(socket.socket.makefile))
    finally:
        wire.close()
        peer.close()


def compare_big_read(listener):
    blob = bytes(bytearray(BIG_READ))

    def side(make):
        wire, peer = connect(listener)
        feeder = threading.Thread(target=lambda: (peer.sendall(blob), peer.close()))
        feeder.daemon = True
        stream = make(wire, "rb")
        feeder.start()
        start = clock()
        nbytes = len(stream.read())
        seconds = clock() - start
        feeder.join()
        stream.close()
        wire.close()
        if nbytes != BIG_READ:
            raise Fault("%d of %d bytes came" % (nbytes, BIG_READ))
        return seconds

    return compare(lambda: side(makefile.backport_makefile),
                   lambda: side(socket.socket.makefile))


SHORT_LINE = b"x" * 42 + b"\n"
MAIN_WORK = [
    ("raw read of 64 ready bytes, with a timeout",
     lambda listener: compare_messages(listener, Kind("rb", 0, False, True))),
    ('makefile("rb") and close', compare_makefile),
    ("readline of 43 bytes",
     lambda listener: compare_messages(listener, Kind("rb", None, False, False), SHORT_LINE)),
    ("read of %d MiB to the end" % (BIG_READ >> 20), compare_big_read),
]


def check_implementation():
    asked = os.environ.get("BACKPORTS_MAKEFILE_IMPLEMENTATION") or "auto"
    if asked not in ("auto", makefile.implementation):
        raise Fault("%r was asked for and %r is in use" % (asked, makefile.implementation))
    module = {"c": "_makefile", "python": "_fallback"}[makefile.implementation]
    home = "backports.makefile." + module
    __import__(home)
    for name in ("SocketIO", "backport_makefile"):
        if getattr(makefile, name) is not getattr(sys.modules[home], name):
            raise Fault("%s is not the one of %s" % (name, home))


def describe(kind):
    return "%s%s, %s, %s" % (
        kind.mode, " unbuffered" if kind.buffering == 0 else "",
        "fake socket" if kind.fake else "socket",
        "with a timeout" if kind.timeout else "no timeout")


def attempt(report, what, function, *args):
    """What the function returns, or None when its fault has been noted.

    After FAULTS_MAX faults nothing more is tried.
    """
    if len(report["faults"]) >= FAULTS_MAX:
        return None
    report["trying"], report["deadline"] = what, clock() + allow(LIMIT_S)
    if hasattr(signal, "alarm"):  # ends the process, should a hang let no other thread run
        signal.alarm(int(allow(LIMIT_S)) + 10)
    try:
        return function(*args)
    except Fault as fault:
        report["faults"].append("%s: %s" % (what, fault))
    except Exception as error:
        report["faults"].append("%s: %s: %s" % (what, type(error).__name__, error))


def compared(seconds):
    ours, own = seconds or (None, None)
    return {"ours_s": ours, "own_s": own, "ratio": own / ours if seconds else None}


def run(report):
    """Fill in the report piece by piece, so that there is something to tell whenever it ends."""
    makefile.uninstall()  # the interpreter's own is wanted beside ours, whoever installed it before
    before = find_sockets()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    attempt(report, "implementation", check_implementation)
    attempt(report, "an exchange by the sockets alone", measure, listener)
    for kind in KINDS:
        row = dict(kind._asdict(), ok=None, **compared(None))
        report["streams"].append(row)
        if len(report["faults"]) < FAULTS_MAX:
            row["ok"] = all([
                attempt(report, "%s, %s" % (describe(kind), what), carry, listener, kind, *how)
                for what, how in EXCHANGES])
        if row["ok"]:
            what = describe(kind) + ", timing"
            row.update(compared(attempt(report, what, compare_messages, listener, kind)))
    for what, function in MAIN_WORK:
        report["work"].append(dict(compared(attempt(report, what, function, listener)), what=what))
    listener.close()
    attempt(report, "at the end", expect_closed, before)
    report["trying"] = None


VERDICTS = {True: "ok", False: "NOT OK", None: "-"}


def format_seconds(seconds):
    return "%.1f ms" % (seconds * 1e3) if seconds > 1e-3 else "%.2f us" % (seconds * 1e6)


def find_copies():
    """The folders of the package, as `import` looks for it; the first is in use."""
    places = [os.path.join(os.path.realpath(path), "backports", "makefile") for path in sys.path]
    used = os.path.dirname(os.path.realpath(makefile.__file__))
    others = [place for place in places if os.path.isfile(os.path.join(place, "__init__.py"))]
    return [used] + sorted(set(others) - set([used]))


def describe_package():
    copies = find_copies()
    return {
        "version": makefile.__version__,
        "implementation": makefile.implementation,
        "reason": getattr(makefile, "_reason", ""),
        "folder": copies[0],
        "hidden": copies[1:],  # in a checkout the source tree hides what is installed
        "python": "%s %s on %s" % (platform.python_implementation(), platform.python_version(),
                                   platform.platform(terse=True)),
    }


def format_package(report):
    why = " (%s)" % report["reason"] if report["reason"] else ""
    yield "backports.makefile %s, implementation %s%s, from %s, %s" % (
        report["version"], report["implementation"], why, report["folder"], report["python"])
    for place in report["hidden"]:
        yield "This hides the package in %s: start Python in another folder to use that." % place


def format_table(report):
    for line in format_package(report):
        yield line
    yield ""
    yield "An HTTP exchange and a line protocol through each stream, and how fast it is:"
    yield RATIO + "."
    yield ""
    yield "%-16s%-15s%-15s%-15s%-15s" % (
        "stream", "socket", "with timeout", "fake socket", "with timeout")
    rows = report["streams"]
    for start in range(0, len(rows), len(PLACES)):
        shape = rows[start]["mode"] + (" unbuffered" if rows[start]["buffering"] == 0 else "")
        cells = [VERDICTS[row["ok"]] + ("  %.2fx" % row["ratio"] if row["ratio"] else "")
                 for row in rows[start:start + len(PLACES)]]
        yield ("%-16s" + "%-15s" * len(cells)) % tuple([shape] + cells)
    yield ""
    yield "%-45s%12s%12s%9s" % ("main work", "ours", "own", "ratio")
    for row in report["work"]:
        if row["ratio"]:
            times = tuple(format_seconds(row[side]) for side in ("ours_s", "own_s"))
            yield "%-45s%12s%12s%8.2fx" % ((row["what"],) + times + (row["ratio"],))
    yield ""
    if report["faults"]:
        yield "WRONG: " + "\nWRONG: ".join(report["faults"])
    else:
        yield ("All %d kinds of stream carried every byte and left no socket open, in %.1f seconds."
               % (len(rows), report["seconds"]))


def tell(report, as_json):
    """Print the report; returns the exit status."""
    report["seconds"] = round(clock() - report.pop("start"), 3)
    report.pop("deadline")
    report["ok"] = not report["faults"]
    if as_json:
        print(json.dumps(report, indent=1, sort_keys=True))
    else:
        print("\n".join(format_table(report)))
    sys.stdout.flush()
    return 0 if report["ok"] else 1


def watch(report, ended, as_json):
    """End the process when what is tried goes past its deadline."""
    while not ended.wait(0.5):
        if clock() > report["deadline"]:
            late = "%s: no end after %d seconds" % (report["trying"], allow(LIMIT_S))
            report["faults"].append(late)
            os._exit(tell(report, as_json))


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m backports.makefile",
        description="Check every kind of stream on this machine, and time it: %s." % RATIO)
    parser.add_argument("--json", action="store_true", help="print the result for programs")
    as_json = parser.parse_args(argv).json
    report = dict(describe_package(), trying=None, streams=[], work=[], faults=[])
    report.update(start=clock(), deadline=clock() + LIMIT_S)
    ended = threading.Event()
    watchdog = threading.Thread(target=watch, args=(report, ended, as_json))
    watchdog.daemon = True
    watchdog.start()
    try:
        run(report)
    finally:
        ended.set()
        watchdog.join()
        if hasattr(signal, "alarm"):
            signal.alarm(0)
    return tell(report, as_json)


if __name__ == "__main__":
    sys.exit(main())
