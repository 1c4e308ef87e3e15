"""Claim 8: that read, Python's loop included, over a bare recv(2) of 64 bytes timed in C on the
same descriptor.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile

import common
import streams

CLAIM = 8
AT_MOST = 1.3


def compile_bare_recv():
    """The C function of bare_recv.c, built by the local compiler."""
    folder = tempfile.mkdtemp()
    try:
        library = os.path.join(folder, "bare_recv.so")
        source = os.path.join(common.HERE, "bare_recv.c")
        subprocess.check_call(
            [
                os.environ.get("CC", "cc"),
                "-std=gnu99",
                "-O2",
                "-shared",
                "-fPIC",
                "-o",
                library,
                source,
            ]
        )
        function = ctypes.CDLL(library).bare_recv
    finally:
        shutil.rmtree(folder)
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
    return function


def measure(bench):
    bare_recv = compile_bare_recv()
    sock, peer = streams.socket_pair(streams.TIMEOUT)
    buf = ctypes.create_string_buffer(streams.MESSAGE)
    data = b"x" * (streams.MESSAGE * common.CALLS)

    def sample_in_c():
        peer.sendall(data)
        return bare_recv(sock.fileno(), buf, streams.MESSAGE, common.CALLS) / common.CALLS

    samplers = {"recv": sample_in_c}
    for name, makefile in streams.MAKEFILES.items():
        samplers[name] = common.read_sampler(peer, *streams.read_call(makefile(sock, "rb", 0)))
    bench.interleave(samplers, 500)


def rows(samples):
    note = "a bare recv(2) takes %d ns here" % round(1e9 * samples.median("recv"))
    ratio = samples.ratio("ours", "recv")
    found = [
        common.row(
            "read 64 ready bytes, timeout: ours / a bare recv(2) in C",
            ratio,
            at_most=AT_MOST,
            note=note,
        )
    ]
    for name in sorted(streams.RIVALS):
        added = samples.estimate(
            lambda rival, ours, recv: (rival - recv) / (ours - recv), name, "ours", "recv"
        )
        found.append(common.row("added to that recv(2): %s / ours" % name, added, "x", detail=True))
        limit = "read 64 ready bytes, timeout: %s / that recv(2), the limit of claim 6" % name
        found.append(common.row(limit, samples.ratio(name, "recv"), "x", detail=True))
    return found


if __name__ == "__main__":
    common.main(__file__)
