"""A buffer in Python code (3.12) is asked once for an operation, whatever comes of it."""

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with 3.12")


class Asked(object):
    """A buffer of some bytes that counts how often it is asked, and how often it is let go."""

    def __init__(self, data, refusals=0, error=BufferError):
        self.data = bytearray(data)
        self.refusals, self.error = refusals, error
        self.asked = self.released = 0

    def __buffer__(self, flags):
        self.asked += 1
        if self.asked <= self.refusals:
            raise self.error("not yet")
        return memoryview(self.data)

    def __release_buffer__(self, view):
        self.released += 1
        view.release()


TIMEOUTS = pytest.mark.parametrize("timeout", [None, 30, 0])


@TIMEOUTS
def test_buffer_that_is_written_is_asked_once(any_impl, unix_pair, timeout):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    buffer = Asked(b"data")
    assert any_impl.makefile(ours, "wb", 0).write(buffer) == 4
    assert (buffer.asked, buffer.released) == (1, 1)
    assert peer.recv(10) == b"data"


@pytest.mark.parametrize("timeout", [0.2, 0])
def test_buffer_of_which_a_part_is_written_is_asked_once(impl, unix_pair, timeout):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    buffer = Asked(b"x" * (1 << 22))
    assert 0 < impl.makefile(ours, "wb", 0).write(buffer) < 1 << 22
    assert (buffer.asked, buffer.released) == (1, 1)


@TIMEOUTS
def test_buffer_that_is_read_into_is_asked_once(any_impl, unix_pair, timeout):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    peer.sendall(b"data")
    buffer = Asked(bytes(10))
    assert any_impl.makefile(ours, "rb", 0).readinto(buffer) == 4
    assert (buffer.asked, buffer.released) == (1, 1)
    assert buffer.data == b"data" + bytes(6)


@TIMEOUTS
@pytest.mark.parametrize("error", [BufferError, TypeError, ValueError, OSError, KeyError])
def test_buffer_that_refuses_to_be_written_is_asked_once_and_nothing_is_sent(
    any_impl, unix_pair, timeout, error
):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    buffer = Asked(b"data", refusals=1, error=error)
    with pytest.raises(error, match="not yet"):
        any_impl.makefile(ours, "wb", 0).write(buffer)
    assert buffer.asked == 1
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(10)


@TIMEOUTS
@pytest.mark.parametrize("error", [BufferError, TypeError, ValueError, OSError, KeyError])
def test_buffer_that_refuses_to_be_read_into_is_asked_once_and_nothing_is_received(
    any_impl, unix_pair, timeout, error
):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    peer.sendall(b"data")
    buffer = Asked(bytes(10), refusals=1, error=error)
    with pytest.raises(TypeError):
        any_impl.makefile(ours, "rb", 0).readinto(buffer)
    assert buffer.asked == 1
    assert buffer.data == bytes(10)
    assert ours.recv(10) == b"data"


@TIMEOUTS
def test_buffer_with_gaps_is_asked_once(any_impl, unix_pair, timeout):
    class Gaps(Asked):
        def __buffer__(self, flags):
            self.asked += 1
            return memoryview(self.data)[::2]

    ours, peer = unix_pair
    ours.settimeout(timeout)
    buffer = Gaps(b"data")
    with pytest.raises(BufferError):
        any_impl.makefile(ours, "wb", 0).write(buffer)
    assert buffer.asked == 1


def test_buffer_that_is_written_by_sendall_is_asked_once_for_its_length(impl):
    class SendallOnly(object):
        def sendall(self, data):
            pass

    buffer = Asked(b"data")
    assert impl.SocketIO(SendallOnly(), "w").write(buffer) == 4
    assert buffer.asked == 1
