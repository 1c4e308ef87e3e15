"""Claim 10: `makefile()` then `close()`, called as a method."""

import io

import common
import streams
from cases import from_version

CLAIM = 10
KINDS = [  # mode, arguments, and how many times as fast as the interpreter's at least
    ('"rb"', ("rb",), {}, {(3, 11): 3.0}),
    ('"rwb"', ("rwb",), {}, {(3, 11): 2.0}),
    ('"r", encoding="utf-8"', ("r",), {"encoding": "utf-8"}, {(3, 11): 2.0}),
]
CALLS = 20


def method_of(sock, makefile):
    """`makefile` as the method of the interpreter's own socket, which install() makes it."""
    return makefile.__get__(sock, type(sock))


def make_sampler(method, args, kwargs):
    def sample():
        start = common.clock()
        for _ in range(CALLS):
            method(*args, **kwargs).close()
        return (common.clock() - start) / CALLS

    return sample


def open_file(fd):
    """The interpreter's own buffer over its own raw stream in C, without a socket to count on."""
    return io.BufferedReader(io.FileIO(fd, "rb", closefd=False))


def measure(bench):
    sock = streams.socket_pair()[0]
    samplers = {'"rb": limit': make_sampler(open_file, (sock.fileno(),), {})}
    for name, makefile in streams.MAKEFILES.items():
        for what, args, kwargs, _ in KINDS:
            if streams.PYTHON_2 and name == "interpreter" and kwargs:
                continue  # it has no text
            samplers["%s: %s" % (what, name)] = make_sampler(
                method_of(streams.socket_pair()[0], makefile), args, kwargs
            )
    bench.interleave(samplers, 500)


def rows(samples):
    found = []
    for what, _, _, target in KINDS:
        for rival in streams.RIVALS:
            name = "%s: %s" % (what, rival)
            if name in samples:
                aim = from_version(target)
                ratio = samples.ratio(name, what + ": ours")
                twin = rival == "twin"
                found.append(
                    common.row(
                        "makefile(%s), close(): %s / ours" % (what, rival),
                        ratio,
                        "x",
                        aim,
                        detail=twin,
                    )
                )
                if what == '"rb"' and rival == "interpreter":
                    found[-1]["words"] = 'makefile("rb") and close()'
    what = 'makefile("rb"), close(): ours / io.BufferedReader(io.FileIO), the limit'
    found.append(common.row(what, samples.ratio('"rb": ours', '"rb": limit'), detail=True))
    return found


if __name__ == "__main__":
    common.main(__file__)
