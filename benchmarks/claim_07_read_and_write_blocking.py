"""Claim 7: a raw read of 64 ready bytes from a blocking socket, and a raw write of 64 bytes,
blocking and with a timeout.
"""

import io

import common
import streams

CLAIM = 7
AT_LEAST = {"read, blocking": 2.1, "write, blocking": 1.8, "write, timeout": 1.8}
AT_MOST_OF_FILEIO = 1.0
KINDS = [("blocking", None), ("timeout", streams.TIMEOUT)]


def measure(bench):
    sock, read_peer = streams.socket_pair()
    opened = {name: makefile(sock, "rb", 0) for name, makefile in streams.MAKEFILES.items()}
    opened["FileIO"] = io.FileIO(sock.fileno(), "rb", closefd=False)
    samplers = {}
    for name, stream in opened.items():
        samplers["read, blocking: " + name] = common.read_sampler(
            read_peer, *streams.read_call(stream)
        )
    for kind, timeout in KINDS:
        sock, peer = streams.socket_pair(timeout)
        opened = {name: makefile(sock, "wb", 0) for name, makefile in streams.MAKEFILES.items()}
        opened["FileIO"] = io.FileIO(sock.fileno(), "wb", closefd=False)
        for name, stream in opened.items():
            samplers["write, %s: %s" % (kind, name)] = common.write_sampler(peer, stream.write)
    bench.interleave(samplers, 500)


def rows(samples):
    found = []
    for what, target in sorted(AT_LEAST.items()):
        for rival in streams.RIVALS:
            ratio = samples.ratio("%s: %s" % (what, rival), what + ": ours")
            line = "%s, 64 bytes: %s / ours" % (what, rival)
            found.append(common.row(line, ratio, "x", at_least=target, detail=rival == "twin"))
            if what == "write, timeout" and rival == "interpreter":
                found[-1]["words"] = "a small message, written"
        ratio = samples.ratio(what + ": ours", what + ": FileIO")
        found.append(
            common.row(
                what + ", 64 bytes: ours / io.FileIO", ratio, at_most=AT_MOST_OF_FILEIO, detail=True
            )
        )
    return found


if __name__ == "__main__":
    common.main(__file__)
