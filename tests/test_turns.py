"""A write, a read and a write in turns on one stream; an answer that comes before all is sent."""

import errno
import socket
import struct
import time

import pytest

from running import Worker

BIG = b"x" * (1 << 22)
ANSWER = b"413 too large\n"


def drain(sock, after=0.0):
    """Receive until the end, some seconds from now on."""
    time.sleep(after)
    while True:
        try:
            if not sock.recv(1 << 20):
                return
        except socket.error:
            return


# --- What a short write leaves --------------------------------------------------------------------


def test_write_after_a_short_write_and_a_read_waits_anew(any_impl, unix_pair):
    ours, peer = unix_pair
    ours.settimeout(0.6)
    peer.sendall(b"busy")
    raw = any_impl.makefile(ours, "rwb", 0)
    written = raw.write(BIG)
    assert 0 < written < len(BIG)
    assert raw.read(100) == b"busy"
    drained = Worker(drain, peer, 0.2)
    assert raw.write(BIG[written:]) > 0
    ours.shutdown(socket.SHUT_WR)
    drained.get()


def test_write_after_a_short_write_and_a_read_that_got_nothing_waits_anew(any_impl, unix_pair):
    ours, peer = unix_pair
    ours.settimeout(0.6)
    raw = any_impl.makefile(ours, "rwb", 0)
    assert 0 < raw.write(BIG) < len(BIG)
    ours.settimeout(0)
    assert raw.read(100) is None
    ours.settimeout(0.6)
    drained = Worker(drain, peer, 0.2)
    assert raw.write(BIG) > 0
    ours.shutdown(socket.SHUT_WR)
    drained.get()


def test_rest_of_a_short_write_that_comes_at_once_has_no_time_left(impl, unix_pair):
    ours, peer = unix_pair
    ours.settimeout(0.5)
    raw = impl.makefile(ours, "wb", 0)
    written = raw.write(BIG)
    start = time.time()
    with pytest.raises(socket.timeout):
        raw.write(BIG[written:])
    assert time.time() - start < 0.4


@pytest.mark.parametrize(
    "replace, same",
    [
        (lambda raw, other: raw.__init__(other, "rw"), False),
        (lambda raw, other: raw.__init__(other, "rw"), True),
        (lambda raw, other: setattr(raw, "_sock", other), False),
    ],
    ids=["__init__", "__init__ with the same", "_sock"],
)
def test_stream_made_anew_after_a_short_write_waits_with_the_whole_timeout(
    any_impl, unix_pair, closing, replace, same
):
    ours, peer = unix_pair
    ours.settimeout(0.6)
    other, its_peer = unix_pair if same else map(closing, socket.socketpair())
    raw = any_impl.makefile(ours, "rwb", 0)
    assert 0 < raw.write(BIG) < len(BIG)
    other.setblocking(False)
    try:
        while True:
            other.send(BIG)
    except socket.error:
        other.settimeout(0.6)
    replace(raw, other)
    drained = Worker(drain, its_peer, 0.2)
    assert raw.write(b"hello") == 5
    other.shutdown(socket.SHUT_WR)
    drained.get()


def test_turns_with_an_echo_server_carry_every_byte(any_impl, unix_pair):
    ours, peer = unix_pair
    ours.settimeout(0.3)

    def echo():
        while True:
            data = peer.recv(1 << 16)
            if not data:
                return
            peer.sendall(data)

    server = Worker(echo)
    raw = any_impl.makefile(ours, "rwb", 0)
    data = b"0123456789" * 50000
    for _ in range(3):
        sent, received = 0, b""
        while len(received) < len(data):
            if sent < len(data):
                sent += raw.write(data[sent:])
            received += raw.read(1 << 20)
        assert received == data
    ours.shutdown(socket.SHUT_WR)
    server.get()


# --- An early answer ------------------------------------------------------------------------------


def write_against(implementation, raw, timeout, data, stop_reading):
    """Write *data* to a peer that stops reading once the write waits; how much went out."""
    writer = Worker(raw.write, data)
    if implementation.name != "interpreter" or timeout is None:
        writer.wait_until_blocked()
    else:
        writer.get()  # it sends once
    stop_reading()
    written = writer.get()
    assert 0 < written < len(data)
    return written


@pytest.mark.parametrize("timeout, nbytes", [(2.0, 1000000), (2.0, 16000), (None, 16000)])
def test_answer_of_a_unix_peer_that_stops_reading_is_read(any_impl, unix_pair, timeout, nbytes):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    peer.sendall(ANSWER)
    raw = any_impl.SocketIO(ours, "rw")
    write_against(any_impl, raw, timeout, b"x" * nbytes, lambda: peer.shutdown(socket.SHUT_RD))
    assert raw.read(100) == ANSWER
    ours.settimeout(0)  # or a timed write waits for room that never comes
    with pytest.raises(EnvironmentError) as caught:
        raw.write(b"more")
    assert caught.value.errno == errno.EPIPE


def connect_tcp(closing):
    """Two connected TCP sockets with small buffers."""
    listener, ours = closing(socket.socket()), closing(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    ours.connect(listener.getsockname())
    return ours, closing(listener.accept()[0])


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@pytest.mark.parametrize("timeout", [30, None])
def test_answer_of_a_tcp_peer_that_resets_the_connection_is_read_before_the_error(
    any_impl, closing, timeout
):
    ours, peer = connect_tcp(closing)
    ours.settimeout(timeout)
    peer.sendall(ANSWER)
    raw = any_impl.SocketIO(ours, "rw")
    write_against(any_impl, raw, timeout, b"x" * (1 << 22), lambda: reset(peer))
    assert raw.read(5) == ANSWER[:5]
    assert raw.read(100) == ANSWER[5:]
    with pytest.raises(EnvironmentError) as caught:
        raw.read(100)
    assert caught.value.errno == errno.ECONNRESET
    assert raw.read(100) == b""


@pytest.mark.parametrize(
    "replace",
    [lambda raw, other: raw.__init__(other, "rw"), lambda raw, other: setattr(raw, "_sock", other)],
    ids=["__init__", "_sock"],
)
def test_socket_put_in_place_of_one_that_was_reset_gets_no_error_of_it(
    any_impl, unix_pair, closing, replace
):
    ours, peer = connect_tcp(closing)
    ours.settimeout(30)
    raw = any_impl.SocketIO(ours, "rw")
    write_against(any_impl, raw, 30, b"x" * (1 << 22), lambda: reset(peer))
    replace(raw, unix_pair[0])
    assert raw.write(b"hello") == 5
    unix_pair[1].sendall(b"welcome")
    assert raw.read(100) == b"welcome"
