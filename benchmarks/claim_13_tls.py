"""Claim 13: TLS, over the interpreter's own ssl.SSLSocket: most of what goes through makefile
today.
"""

import os
import socket
import ssl
import threading

import common
import streams
from cases import OWN, UNBUFFERED, Scene, at_least, median, options
from peers import clock

CLAIM = 13
READ_64 = at_least({(2, 7): 0.8, (3, 0): 1.0, (3, 8): 1.2})
READ_16_KIB = at_least({(2, 7): 0.8, (3, 0): 1.0, (3, 8): 1.06})
WRITE_64 = at_least({(2, 7): 0.8, (3, 0): 1.0, (3, 8): 1.1})

TLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "tests", "tls")


def tls_pair():
    """(client, server), whose handshake is done."""
    serving = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_SERVER", ssl.PROTOCOL_SSLv23))
    serving.load_cert_chain(os.path.join(TLS, "cert.pem"), os.path.join(TLS, "key.pem"))
    asking = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_CLIENT", ssl.PROTOCOL_SSLv23))
    asking.check_hostname = False
    asking.verify_mode = ssl.CERT_NONE
    sock, peer = streams.socket_pair()
    accepted = []
    accept = threading.Thread(
        target=lambda: accepted.append(serving.wrap_socket(peer, server_side=True))
    )
    accept.start()
    client = asking.wrap_socket(sock)
    accept.join()
    return client, accepted[0]


def open_stream(case, sock, mode):
    if streams.PYTHON_2 and case.name == OWN:  # its SSLSocket has a makefile of its own
        sock.settimeout(case.timeout)
        return socket._fileobject(sock, mode, case.buffering)
    return case.open(sock, mode)


def tls(case):
    client, server = tls_pair()
    reader, writer = open_stream(case, client, "rb"), open_stream(case, client, "wb")

    def read(size, count):
        for _ in range(count):
            server.sendall(b"x" * size)
        has_readinto = hasattr(reader, "readinto")
        function, argument = (
            (reader.readinto, bytearray(size)) if has_readinto else (reader.read, size)
        )
        return common.time_calls(function, argument, count)

    def write(size, count):
        seconds = common.time_calls(writer.write, b"x" * size, count)
        left = count * size
        while left:
            left -= len(server.recv(left))
        return seconds

    def calls_per_second(function, size, count):
        function(size, count)
        times = []
        end = clock() + options.seconds / 3
        while clock() < end:
            times.append(function(size, count) / count)
        return 1 / median(times)

    return {  # as many as the buffers of a Unix socket have room for
        "read 64 bytes": calls_per_second(read, 64, 100),
        "read 16 KiB": calls_per_second(read, 16384, 8),
        "write 64 bytes": calls_per_second(write, 64, 50),
    }


FIGURES = [
    ("read 64 bytes", "/s", READ_64),
    ("read 16 KiB", "/s", READ_16_KIB),
    ("write 64 bytes", "/s", WRITE_64),
]
SCENES = [Scene("TLS", tls, UNBUFFERED, FIGURES)]


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    found = common.scene_rows(SCENES, samples)
    for row in found:
        if ", timeout" in row["what"]:
            row["words"] = "TLS: " + row["what"].split(": ")[1]
    return found


if __name__ == "__main__":
    common.main(__file__)
