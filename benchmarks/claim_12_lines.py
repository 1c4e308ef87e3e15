"""Claim 12: `readline()` of 43-byte lines with the default buffer, sent by another process."""

import io

import common
import peers
import streams
from cases import from_version

CLAIM = 12
LINE = b"Received: by 127.0.0.1 with SMTP id 12345;\n"
LINES = 20000
BLOCK = LINE * 10000
AT_LEAST = {
    "bytes: interpreter": {(3, 6): 2.4, (3, 7): None, (3, 11): 1.15},
    "bytes: twin": {(2, 7): 3.0},
    "text: interpreter": {(3, 6): 1.1},
    "text: twin": {(2, 7): 1.1},
}


def make_sampler(open_stream):
    def sample():
        with peers.feeder(BLOCK, LINES * len(LINE) // len(BLOCK)) as sock:
            stream = open_stream(sock)
            readline = stream.readline
            lines = 0
            start = common.clock()
            while readline():
                lines += 1
            seconds = common.clock() - start
            assert lines == LINES
            stream.close()
            return seconds / LINES

    return sample


def open_bytes(makefile):
    return lambda sock: makefile(sock, "rb")


def open_text(makefile):
    return lambda sock: makefile(sock, "r", encoding="utf-8")


def measure(bench):
    samplers = {
        "bytes: limit": make_sampler(lambda sock: io.open(sock.fileno(), "rb", closefd=False))
    }
    for name, makefile in streams.MAKEFILES.items():
        samplers["bytes: " + name] = make_sampler(open_bytes(makefile))
        if not streams.PYTHON_2 or name != "interpreter":  # 2.7's has no text
            samplers["text: " + name] = make_sampler(open_text(makefile))
    bench.interleave(samplers, 100)


def rows(samples):
    found = []
    for what in "bytes", "text":
        for rival in streams.RIVALS:
            name = "%s: %s" % (what, rival)
            if name in samples:
                target = from_version(AT_LEAST[name])
                ratio = samples.ratio(name, what + ": ours")
                line = "readline(), 43 bytes" + (", text" if what == "text" else "")
                found.append(
                    common.row("%s: %s / ours" % (line, rival), ratio, "x", at_least=target)
                )
                if rival == "interpreter":
                    found[-1]["words"] = (
                        "readline() of text" if what == "text" else "readline() of bytes"
                    )
    ratio = samples.ratio("bytes: ours", "bytes: limit")
    found.append(common.row('readline(), 43 bytes: ours / open(fd, "rb"), the limit', ratio))
    return found


if __name__ == "__main__":
    common.main(__file__)
