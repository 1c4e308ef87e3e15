"""Claim 6: a raw read of 64 ready bytes from a socket with a timeout."""

import io

import common
import streams
from cases import from_version

CLAIM = 6
AT_LEAST = {(3, 6): 4.5, (3, 7): 3.3, (3, 13): 3.5}
AT_MOST_OF_FILEIO = 0.95


def measure(bench):
    sock, peer = streams.socket_pair(streams.TIMEOUT)
    opened = {name: makefile(sock, "rb", 0) for name, makefile in streams.MAKEFILES.items()}
    opened["FileIO"] = io.FileIO(sock.fileno(), "rb", closefd=False)
    calls = {name: streams.read_call(stream) for name, stream in opened.items()}
    bench.interleave({name: common.read_sampler(peer, *call) for name, call in calls.items()}, 500)


def rows(samples):
    found = []
    for rival in sorted(streams.RIVALS):
        target = from_version(AT_LEAST)
        ratio = samples.ratio(rival, "ours")
        what = "read 64 ready bytes, timeout: %s / ours" % rival
        found.append(
            common.row(
                what,
                ratio,
                "x",
                at_least=target,
                detail=rival == "twin",
                absolute=samples.absolute(rival, "ours"),
            )
        )
    found[0].update(words="a small message that is there, read", readme=True)
    ratio = samples.ratio("ours", "FileIO")
    found.append(
        common.row(
            "read 64 ready bytes, timeout: ours / io.FileIO", ratio, at_most=AT_MOST_OF_FILEIO
        )
    )
    return found


if __name__ == "__main__":
    common.main(__file__)
