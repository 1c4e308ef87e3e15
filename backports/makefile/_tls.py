"""What the C extension asks about TLS sockets: see src/tls.h."""

import sys

# The names that each function of ssl.SSLSocket uses, as in CPython 3.9 to 3.15.  Another function,
# or one of another Python, is called and not replaced.
NAMES = {
    "recv_into": [
        "_checkClosed memoryview nbytes _sslobj ValueError __class__ read super recv_into",
        "_checkClosed len _sslobj ValueError __class__ read super recv_into",
    ],
    "read": [
        "_checkClosed _sslobj ValueError read SSLError args SSL_ERROR_EOF suppress_ragged_eofs",
    ],
    "send": ["_checkClosed _sslobj ValueError __class__ write super send"],
    "_checkClosed": [""],
}


def known_functions(cls):
    """Of each function of NAMES itself, its code and its defaults; None unless *cls* is
    ssl.SSLSocket as it came.
    """
    ssl = sys.modules.get("ssl")
    if cls is not getattr(ssl, "SSLSocket", None) or hasattr(cls, "_sslobj"):
        return None
    source = getattr(ssl.SSLContext.wrap_socket, "__code__", None)
    known = []
    for name, used in NAMES.items():
        function = vars(cls).get(name)
        if (
            type(function) is not type(known_functions)
            or function.__globals__ is not vars(ssl)
            or function.__qualname__ != "SSLSocket." + name
            or function.__code__.co_filename != getattr(source, "co_filename", None)
            or " ".join(function.__code__.co_names) not in used
        ):
            return None
        known += [function, function.__code__, function.__defaults__]
    return tuple(known)
