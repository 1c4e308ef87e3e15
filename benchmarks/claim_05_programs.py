"""Claim 5: whole programs, each alone and beside a thread that computes."""

import smtplib
import socket
import threading

import common
import peers
import streams
from backports.makefile import install
from cases import BUFFERED, OURS, Scene, at_least, nothing, options, per_second
from peers import BusyThread, clock

try:
    from http.client import HTTPConnection
except ImportError:
    from httplib import HTTPConnection

CLAIM = 5
ECHO = at_least({(2, 7): 0.8, (3, 0): 1.1})
HTTP = at_least({(2, 7): 0.8, (3, 0): 1.0})
HTTP_BESIDE = at_least({(2, 7): 0.8, (3, 0): 1.1})
SMTP = at_least({(2, 7): 0.8, (3, 0): 1.0})

RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: small\r\nContent-Length: 1000\r\n\r\n"
    + 1000 * b"x"
)
MAIL = "Subject: figures\r\n\r\n" + 20 * "A line of a mail that somebody will read.\r\n"
LINE = b"a line of a chat, as people write them..." + b"\r\n"
CLIENTS = 8


def installed(case):
    """The library's own code makes the streams, with ours or with the interpreter's makefile."""
    return install() if case.name == OURS else nothing()


# -- http.client


def serve_http(sock):
    request = b""
    while True:
        request += sock.recv(65536)
        if request.endswith(b"\r\n\r\n"):
            sock.sendall(RESPONSE)
            request = b""


def http_client(case, busy):
    with peers.connection_to(serve_http) as sock:
        sock.settimeout(case.timeout)
        connection = HTTPConnection("localhost")
        connection.sock = sock

        def get():
            connection.request("GET", "/")
            assert len(connection.getresponse().read()) == 1000

        with installed(case), busy():
            return {"requests": per_second(get)}


# -- smtplib


def serve_smtp(sock):
    """Enough of RFC 5321 for mail to be taken."""
    sock.sendall(b"220 small\r\n")
    text, in_data = b"", False
    while True:
        text += sock.recv(65536)
        if in_data:
            if text.endswith(b"\r\n.\r\n"):
                sock.sendall(b"250 taken\r\n")
                text, in_data = b"", False
        elif text.endswith(b"\r\n"):
            in_data = text.lower().startswith(b"data")
            sock.sendall(b"354 go on\r\n" if in_data else b"250 small\r\n")
            text = b""


class Mailer(smtplib.SMTP):
    """A client over a socket that is there."""

    def __init__(self, sock):
        smtplib.SMTP.__init__(self, local_hostname="localhost")
        self.sock = sock
        self.getreply()


def smtp_client(case, busy):
    with peers.connection_to(serve_smtp) as sock:
        sock.settimeout(case.timeout)
        with installed(case), busy():
            client = Mailer(sock)
            return {
                "mails": per_second(
                    lambda: client.sendmail("me@example.org", ["you@example.org"], MAIL)
                )
            }


# -- a server with a thread for each of its clients, in this process


def talk(address, seconds):
    """The clients, all in one process: each line goes out on all connections before any answer is
    read.
    """
    connections = [socket.create_connection(address) for _ in range(CLIENTS)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end = clock() + seconds
    while clock() < end:
        for connection in connections:
            connection.sendall(LINE)
        for connection in connections:
            left = len(LINE)
            while left:
                left -= len(connection.recv(left))


def echo_lines(case, sock, counts):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, writer = case.open(sock, "rb"), case.open(sock, "wb")
    lines = 0
    for line in iter(reader.readline, b""):
        writer.write(line)
        writer.flush()
        lines += 1
    counts.append(lines)


def echo_server(case, busy):
    listener = streams.listen()
    counts = []
    with peers.child(talk, listener.getsockname(), options.seconds):
        connections = [listener.accept()[0] for _ in range(CLIENTS)]
        threads = [
            threading.Thread(target=echo_lines, args=(case, sock, counts)) for sock in connections
        ]
        with busy():
            start = clock()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = clock() - start
        for sock in [listener] + connections:
            sock.close()
    return {"lines": sum(counts) / seconds}


def make_scenes(name, program, what, alone, beside):
    def scene(where, busy, goal):
        return Scene(name + where, lambda case: program(case, busy), BUFFERED, [(what, "/s", goal)])

    return [
        scene(", alone", nothing, alone),
        scene(" beside a computing thread", BusyThread, beside),
    ]


SCENES = (
    make_scenes("http.client keep-alive", http_client, "requests", HTTP, HTTP_BESIDE)
    + make_scenes("line-echo server, 8 threads", echo_server, "lines", ECHO, ECHO)
    + make_scenes("smtplib", smtp_client, "mails", SMTP, SMTP)
)


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    found = common.scene_rows(SCENES, samples)
    for row in found:
        if "no timeout" not in row["what"]:
            row["words"] = row["what"].split(", default")[0]
            row["readme"] = row["what"].startswith("http.client keep-alive beside")
    return found


if __name__ == "__main__":
    common.main(__file__)
