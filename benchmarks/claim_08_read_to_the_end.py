"""Claim 8: `read()` of 256 MB to the end, sent by another process."""
import common
import streams

CLAIM = 8
SIZE = 256 * 1000 * 1000
BLOCK = b"x" * (1000 * 1000)


def receive_into_one_buffer(sock):
    """The limit: a buffer made for exactly this, filled by recv_into."""
    buf = bytearray(SIZE)
    view = memoryview(buf)
    received = 0
    while received < SIZE:
        received += sock.recv_into(view[received:])
    return buf


def make_sampler(read):
    def sample():
        with common.feeder(BLOCK, SIZE // len(BLOCK)) as sock:
            start = common.perf_counter()
            result = read(sock)
            seconds = common.perf_counter() - start
            assert len(result) == SIZE
            return seconds

    return sample


def measure(bench):
    samplers = {
        name: make_sampler(lambda sock, makefile=makefile: makefile(sock, "rb").read())
        for name, makefile in streams.MAKEFILES.items()
    }
    samplers["recv_into"] = make_sampler(receive_into_one_buffer)
    bench.interleave(samplers, 8)


def rows(samples):
    found = []
    for rival in streams.RIVALS:
        ratio = samples.ratio(rival, "ours")
        found.append(common.row("read() of 256 MB: %s / ours" % rival, ratio, "x", at_least=2.0, detail=rival == "twin"))
    ratio = samples.ratio("ours", "recv_into")
    found.append(common.row("read() of 256 MB: ours / recv_into loop into one buffer", ratio, at_most=1.0))
    return found


if __name__ == "__main__":
    common.main(__file__)
