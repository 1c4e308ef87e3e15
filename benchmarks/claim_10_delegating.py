"""Claim 10: what `readinto` and `write` add to the cost of the methods of a Python socket object: a fake, and a TLS socket."""
import socket
import ssl
import threading

import common
import streams

CLAIM = 10
CALLS = 100  # what the buffer of a Unix socket has room for
DATA = b"x" * streams.MESSAGE
SOCKETS = [("a fake", 2.5), ("ssl.SSLSocket", 1.5)]


class Fake(object):
    """A socket whose methods cost as little as Python methods can."""

    _makefile_refs = _io_refs = 0

    def recv_into(self, buf):
        return streams.MESSAGE

    def recv(self, size):
        return DATA

    def send(self, data):
        return streams.MESSAGE

    def sendall(self, data):
        return None

    def _decref_socketios(self):
        pass


def tls_context():
    context = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS", ssl.PROTOCOL_SSLv23))
    context.options |= getattr(ssl, "OP_NO_TLSv1_3", 0)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("AECDH:@SECLEVEL=0")  # anonymous: needs no certificate
    return context


def tls_pair():
    client, server = streams.socket_pair()
    accepted = []
    accept = threading.Thread(target=lambda: accepted.append(tls_context().wrap_socket(server, server_side=True)))
    accept.start()
    client = tls_context().wrap_socket(client)
    accept.join()
    return client, accepted[0]


def calls_on(sock, name, makefile):
    """{operation: (the sock's own method, the stream's method, argument)} for a rival."""
    if streams.PYTHON_2 and name == "interpreter":
        reader, writer = (socket._fileobject(sock, mode, 0) for mode in ("rb", "wb"))
        return {"read": (sock.recv, reader.read, len(DATA)), "write": (sock.sendall, writer.write, DATA)}
    reader, writer = makefile(sock, "rb", 0), makefile(sock, "wb", 0)
    buf = bytearray(streams.MESSAGE)
    return {"read": (sock.recv_into, reader.readinto, buf), "write": (sock.send, writer.write, DATA)}


def measure(bench):
    client, server = tls_pair()
    everything = DATA * CALLS

    def before_fake(operation):
        pass

    def before_tls(operation):
        if operation == "read":
            server.sendall(everything)

    def after_tls(operation):
        left = len(everything) if operation == "write" else 0
        while left:
            left -= len(server.recv(left))

    def make_sampler(operation, function, argument, before, after):
        def sample():
            before(operation)
            seconds = common.time_calls(function, argument, CALLS) / CALLS
            after(operation)
            return seconds

        return sample

    samplers = {}
    kinds = [("a fake", Fake(), before_fake, before_fake), ("ssl.SSLSocket", client, before_tls, after_tls)]
    for kind, sock, before, after in kinds:
        for name, makefile in streams.MAKEFILES.items():
            for operation, (own, ours, argument) in calls_on(sock, name, makefile).items():
                what = "%s, %s: " % (kind, operation)
                samplers[what + "below " + name] = make_sampler(operation, own, argument, before, after)
                samplers[what + name] = make_sampler(operation, ours, argument, before, after)
    bench.interleave(samplers, 200)


def rows(samples):
    found = []
    for kind, target in SOCKETS:
        for operation in "read", "write":
            for rival in streams.RIVALS:
                what = "%s, %s: " % (kind, operation)
                names = [what + rival, what + "below " + rival, what + "ours", what + "below ours"]
                added = samples.estimate(lambda a, below_a, b, below_b: (a - below_a) / (b - below_b), *names)
                twin = rival == "twin"
                found.append(common.row("added to %s%s / ours" % (what, rival), added, "x", at_least=target, detail=twin))
                ratio = samples.ratio(what + rival, what + "ours")
                found.append(common.row("in all, %s%s / ours" % (what, rival), ratio, "x", at_least=1.0, detail=True))
    return found


if __name__ == "__main__":
    common.main(__file__)
