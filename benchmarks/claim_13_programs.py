"""Claim 13: whole programs on sockets with a timeout, each also beside a thread that computes."""
import contextlib
import smtplib
import socket
import threading

import common
import streams
from backports.makefile import install

try:
    from http.client import HTTPConnection
except ImportError:
    from httplib import HTTPConnection

CLAIM = 13
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: small\r\nContent-Length: 1000\r\n\r\n" + 1000 * b"x"
REQUESTS, ECHOES, MAILS = 50, 25, 10  # in a sample, and a fifth of it beside a computing thread, where each takes long
CLIENTS = 8
LINE = b"a line of a chat, as people write them..." + b"\r\n"
MAIL = "Subject: figures\r\n\r\n" + 20 * "A line of a mail that somebody will read.\r\n"


@contextlib.contextmanager
def server(serve):
    """The address of a listening socket whose connection, one at a time, another process hands to serve(sock)."""
    listener = streams.listen()

    def serve_forever():
        while True:
            serve(listener.accept()[0])

    with common.child(serve_forever, kill=True):
        address = listener.getsockname()
        listener.close()
        yield address


def serve_http(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while True:
        received = sock.recv(65536)
        if not received:
            return
        request += received
        if request.endswith(b"\r\n\r\n"):
            sock.sendall(RESPONSE)
            request = b""


def serve_smtp(sock):
    """Enough of RFC 5321 for mail to be taken."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"220 small\r\n")
    text, in_data = b"", False
    while True:
        received = sock.recv(65536)
        if not received:
            return
        text += received
        if in_data:
            if text.endswith(b"\r\n.\r\n"):
                sock.sendall(b"250 taken\r\n")
                text, in_data = b"", False
        elif text.endswith(b"\r\n"):
            in_data = text.lower().startswith(b"data")
            sock.sendall(b"354 go on\r\n" if in_data else b"250 small\r\n")
            text = b""


def http_client(address, share):
    connection = HTTPConnection(address[0], address[1], timeout=streams.TIMEOUT)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = common.perf_counter()
    for _ in range(REQUESTS // share):
        connection.request("GET", "/")
        assert len(connection.getresponse().read()) == 1000
    seconds = common.perf_counter() - start
    connection.close()
    return seconds / (REQUESTS // share)


def smtp_client(address, share):
    client = smtplib.SMTP(address[0], address[1], timeout=streams.TIMEOUT)
    start = common.perf_counter()
    for _ in range(MAILS // share):
        client.sendmail("me@example.org", ["you@example.org"], MAIL)
    seconds = common.perf_counter() - start
    client.close()
    return seconds / (MAILS // share)


def talk(address, share):
    """The echo server's clients, all in one process: each line goes out on all connections before any answer is read."""
    connections = [socket.create_connection(address) for _ in range(CLIENTS)]
    for _ in range(ECHOES // share):
        for connection in connections:
            connection.sendall(LINE)
        for connection in connections:
            left = len(LINE)
            while left:
                left -= len(connection.recv(left))


def echo_lines(sock):
    sock.settimeout(streams.TIMEOUT)
    reader, writer = sock.makefile("rb"), sock.makefile("wb")
    for line in iter(reader.readline, b""):
        writer.write(line)
        writer.flush()


def echo_server(busy, share):
    """Seconds per line of a server with a thread for each of its clients, in this process."""
    listener = streams.listen()
    with common.child(talk, listener.getsockname(), share):
        connections = [listener.accept()[0] for _ in range(CLIENTS)]
        threads = [threading.Thread(target=echo_lines, args=(connection,)) for connection in connections]
        with busy():
            start = common.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = common.perf_counter() - start
        for sock in [listener] + connections:
            sock.close()
    return seconds / (CLIENTS * (ECHOES // share))


@contextlib.contextmanager
def nothing():
    yield


def measure(bench):
    with server(serve_http) as http_address, server(serve_smtp) as smtp_address:

        def run_beside(client, address):
            def program(busy, share):
                with busy():
                    return client(address, share)

            return program

        programs = {
            "http.client keep-alive": run_beside(http_client, http_address),
            "line-echo server, 8 threads": echo_server,
            "smtplib": run_beside(smtp_client, smtp_address),
        }
        samplers = {}
        for what, program in programs.items():
            for busy, share, beside in (nothing, 1, ""), (common.BusyThread, 5, ", beside a computing thread"):
                for name, installing in ("interpreter", nothing), ("ours", install):

                    def sample(program=program, busy=busy, share=share, installing=installing):
                        with installing():
                            return program(busy, share)

                    samplers["%s%s: %s" % (what, beside, name)] = sample
        bench.interleave(samplers, 30)


def rows(samples):
    found = []
    for what in "http.client keep-alive", "line-echo server, 8 threads", "smtplib":
        for beside in "", ", beside a computing thread":
            name = "%s%s: " % (what, beside)
            target = 1.05 if what.startswith("http") else 1.0
            ratio = samples.ratio(name + "interpreter", name + "ours")
            found.append(common.row("%s%s / ours" % (name, "interpreter"), ratio, "x", at_least=target))
    return found


if __name__ == "__main__":
    common.main(__file__)
