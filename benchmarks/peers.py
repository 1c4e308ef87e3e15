"""The other side of the connections, in processes of their own, and a thread that computes."""

import contextlib
import os
import signal
import struct
import threading
import time
import traceback
from timeit import default_timer as clock  # on Linux it tells the same time in all processes

from streams import MESSAGE, tcp_pair

# -- processes


@contextlib.contextmanager
def child(function, *args, **options):
    """Run function(*args) in a process of its own, forked so that it needs no start-up time; wait
    for its end, or kill it.
    """
    pid = os.fork()
    if not pid:
        try:
            function(*args)
        except EnvironmentError:  # the other side has seen enough
            pass
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    try:
        yield
    finally:
        if options.get("kill"):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def feeder(data, times):
    """A TCP socket whose other end, in another process, sends `data` so many times and closes."""
    with connection_to(send, data, times) as sock:
        yield sock


@contextlib.contextmanager
def connection_to(serve, *args, **options):
    """A socket whose other end a process hands to serve(sock, *args); the process is killed
    afterwards.
    """
    sock, peer = options.get("pair", tcp_pair)()

    def run():
        sock.close()
        serve(peer, *args)

    with child(run, kill=True):
        peer.close()
        try:
            yield sock
        finally:
            sock.close()


def in_a_copy(function):
    """The float that function() returns in a fresh copy of this process: for what memory it takes
    there.
    """
    reading, writing = os.pipe()
    with child(lambda: os.write(writing, repr(float(function())).encode())):
        os.close(writing)
        found = os.read(reading, 100)
    os.close(reading)
    return float(found)


def resident_bytes():
    """Of this process: counted, where the status and the statm of new kernels are estimates."""
    with open("/proc/self/smaps_rollup") as rollup:
        return [1024 * int(line.split()[1]) for line in rollup if line.startswith("Rss")][0]


HAS_RESIDENT_BYTES = os.path.exists("/proc/self/smaps_rollup")


def peak_resident_bytes():
    with open("/proc/self/status") as status:
        return [1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM")][0]


def forget_peak():
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")


# -- what they do with their socket


def flood(sock, data):
    """There always is something to read."""
    while True:
        sock.sendall(data)


def send(sock, data, times):
    """So much, and then the end of the stream."""
    for _ in range(times):
        sock.sendall(data)
    sock.close()


def echo(sock):
    while True:
        sock.sendall(sock.recv(65536))


def answer_each(sock, data, times):
    """So many messages for each that comes."""
    while sock.recv(1):
        for _ in range(times):
            sock.send(data)


PACE = 0.001  # seconds from one message to the next


def pace(sock):
    """A message each millisecond, with the time when it was sent; none in a hurry after it was
    kept from sending.
    """
    due = clock()
    while True:
        due = max(due + PACE, clock())
        time.sleep(max(0, due - clock()))
        sock.sendall(stamp())


def stamp():
    return struct.pack("d", clock()).ljust(MESSAGE)


def age(message):
    """Seconds since a message was sent."""
    return clock() - struct.unpack_from("d", message)[0]


TRICKLE = 0.02, 100  # seconds from one piece to the next, and how many pieces


def trickle(sock):
    """A byte now and then, and after two seconds the end of the stream."""
    for _ in range(TRICKLE[1]):
        time.sleep(TRICKLE[0])
        sock.sendall(b"x")


def sip(sock):
    """Takes a little now and then, and after two seconds closes."""
    for _ in range(TRICKLE[1]):
        time.sleep(TRICKLE[0])
        sock.recv(16384)


def send_on_demand(listener):
    """Each connection asks for a number of bytes, gets them, and then the end of the stream."""
    block = b"x" * (1 << 20)
    while True:
        sock = listener.accept()[0]
        left = struct.unpack("q", sock.recv(8))[0]
        while left:
            left -= sock.send(block[:left])
        sock.close()


# -- a thread


class BusyThread(object):
    """A thread that only computes, as a context manager; ``loops`` counts its rounds of about 10
    microseconds.
    """

    def __init__(self):
        self.loops = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.run)
        self.thread.daemon = True

    def run(self):
        while not self.stopping:
            for _ in range(500):
                pass
            self.loops += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc_info):
        self.stopping = True
        self.thread.join()
