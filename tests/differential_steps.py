"""The differential machine's alphabet: what a step can be and carry, and how 3 bytes become one."""

import functools

FLOOD_SIZE = 300000  # more than any default socket buffer

# --- payloads -------------------------------------------------------------------------------------

PATTERNS = {
    "lines": b"ab\ncd e\n\nlonger line here\n",
    "utf8": u"\xe9\u20ac\U0001d11ez\n".encode("utf-8"),
    "binary": bytes(bytearray(range(256))),
    "crlf": b"a\r\nbc\rd\n\r\n",
    "dense": b"xyz0123456",
    "utf16": u"ab\u20ac\nc".encode("utf-16"),
}
PAYLOAD_PERIOD = 4099
PAYLOADS = {}


def get_payload(kind, size, offset):
    """`size` bytes that tell their place in the conversation: a repeated or lost piece shows."""
    offset %= PAYLOAD_PERIOD
    if kind not in PAYLOADS:
        pattern = PATTERNS[kind]
        PAYLOADS[kind] = pattern * ((PAYLOAD_PERIOD + FLOOD_SIZE) // len(pattern) + 1)
    return PAYLOADS[kind][offset:offset + size]


# --- the alphabet: what a step can be, and how one integer becomes one ----------------------------

SLOTS = (0, 1, 2)
# 0 to 2 are taken among the files that can do it, 3 to 5 among all.
FILES = SLOTS + SLOTS + (3, 4, 5)
COUNTS = (-1, None, 0, 1, 2, 3, 5, 8, 13, 64, 100, 1000, 8191, 8192, 8193, 20000, -2)
SIZES = tuple(range(18)) + (31, 32, 33, 63, 64, 65, 100, 127, 200, 500, 1000, 1001, 4095, 4096,
                            4097, 8191, 8192, 8193, 12000, 20000)
KINDS = ("lines", "utf8", "binary", "crlf", "dense", "utf16")
MODES = ("rb", "rwb", "wb", "r", "rw", "w", "rb", "rwb", "wb", "r", "rw", "w", "", "br", "wr", "bb",
         "list:r,b", "tuple:w", "sub:rb", "sub:rw", "rt", "x", "bytes:rb", "none", "5")
BUFFERINGS = (None, -1, 0, 1, 2, 3, 7, 16, 64, 8192, 16384, None, 0, 16, 0, True, False, 0.0, 2.5,
              "8", 2**64)
ENCODINGS = (None, "utf-8", "utf-8", "ascii", "latin-1", "utf-16", "utf-8-sig", "nope", 5)
ERRORS = (None, None, "strict", "replace", "ignore", "bogus")
NEWLINES = (None, None, "", "\n", "\r", "\r\n", "bad")
MAKEFILE = (MODES, BUFFERINGS, ENCODINGS, ERRORS, NEWLINES)
RAW_MODES = ("r", "w", "rw", "rb", "wb", "rwb", "r", "w", "rw", "", "br", "x", None)
RAW_VARIANTS = ("exact", "exact", "exact", "subclass", "logging")
WRAPPERS = ("io.BufferedReader", "io.BufferedWriter", "io.TextIOWrapper", "_pyio.BufferedReader",
            "_pyio.BufferedWriter", "_pyio.BufferedRWPair", "io.BufferedRWPair")
BUFFERS = ("bytearray", "memoryview", "slice", "array B", "array H", "empty", "bytes", "text",
           "none", "strided", "readonly")
DATA = ("own", "own", "own", "own", "bytes", "bytearray", "memoryview", "slice", "array B",
        "array H", "text", "none", "int", "strided", "surrogate")
QUERIES = ("fileno", "isatty", "seekable", "readable", "writable", "tell", "seek", "truncate",
           "name", "mode", "closed", "sock", "enter", "iter", "write mode", "write name",
           "write closed", "dict", "newlines", "encoding", "errors", "line_buffering", "hash")
ATTRIBUTES = ("_reading True", "_reading False", "_writing True", "_writing False", "_writing 1",
              "_timeout_occurred True", "_timeout_occurred False", "_mode zz", "_sock other",
              "foo 1")
OVERRIDES = ("readinto", "write", "close", "flush", "readable", "writable", "readable False",
             "writable False", "closed", "forget")
PATCHED = ("recv_into", "send")
PATCHES = (
    ("log", "log", "partial")
    + 5 * ("other",)
    + ("other wrong", "own", "none")
    + 3 * ("eagain",)
    + ("timeout", "bare timeout", "bare error", "value error", "want", "nonsense", "minus", "huge",
       "float", "true", "interrupt", "eintr", "etimedout", "uncallable", "half", "closes file",
       "closes sock", "index", "c other", "class log")
)
SCRIPT = ("none", "eagain", "eagain", "eagain", "timeout", "bare timeout", "bare error",
          "value error", "want", "nonsense", "minus", "huge", "float", "true", "interrupt", "eintr",
          "etimedout", "index", "half", "one", "closes file", "closes sock")
TIMEOUTS = (0.0, None, 0.001, 0.0, None, "blocking", "non-blocking")
FINISHES = ("close", "detach", "with", "with write", "with raise", "drop", "detach")
ENDS = ("half close", "half close", "peer close", "peer reset", "shutdown read", "shutdown write",
        "shutdown both", "sock close", "sock close", "sock close and forget", "sock detach")

# (weight, name, the values of each argument).  The weights add up to 64, and 2 ** 18 choices of
# arguments make it three bytes.
STEPS = (
    (6, "send", (KINDS, SIZES)),
    (5, "read", (FILES, COUNTS)),
    (4, "readline", (FILES, COUNTS)),
    (2, "read1", (FILES, COUNTS + ("absent",))),
    (3, "readinto", (FILES, ("readinto", "readinto", "readinto1"), BUFFERS, SIZES)),
    (1, "peek", (FILES, (0, 1, 5, 9000, None))),
    (1, "readlines", (FILES, (None, -1, 0, 1, 10, 100))),
    (2, "next", (FILES,)),
    (1, "readall", (FILES,)),
    (6, "write", (FILES, DATA, KINDS, SIZES)),
    (1, "writelines",
     (FILES, (("own",), (), ("own", "own"), ("own", "none"), ("memoryview", "own")), KINDS, SIZES)),
    (3, "flush", (FILES,)),
    (1, "flood", (("wb", "rwb"), (0, 16, 8192, None), (0.0, 0.001, 5.0, None),
                  (FLOOD_SIZE, FLOOD_SIZE // 2, FLOOD_SIZE - 1))),
    (4, "makefile", MAKEFILE),
    (1, "rawio", (RAW_MODES, RAW_VARIANTS)),
    (1, "wrap", (SLOTS, WRAPPERS, (1, 2, 7, 64, 8192))),
    (1, "inner", (SLOTS,)),
    (2, "finish", (SLOTS, FINISHES)),
    (2, "query", (SLOTS, QUERIES)),
    (1, "setattr", (SLOTS, ATTRIBUTES)),
    (1, "override", (SLOTS, OVERRIDES)),
    (5, "settimeout", (TIMEOUTS,)),
    (1, "share", (("dup blocking", "fd nonblocking"),)),
    (4, "patch", (PATCHED, PATCHES)),
    (2, "unpatch", (PATCHED,)),
    (2, "script", (PATCHED, SCRIPT)),
    (1, "end", (ENDS,)),
)
ROWS = tuple(row for row in STEPS for _ in range(row[0]))
WIDTH = 2 ** 18
CODES = len(ROWS) * WIDTH
assert len(ROWS) == 64


def count_product(spaces):
    return functools.reduce(lambda product, space: product * len(space), spaces, 1)


assert all(count_product(row[2]) <= WIDTH for row in STEPS)


def pick(spaces, code):
    """Spread `code` over the spaces, last argument first; 0 is the first value of each."""
    values = []
    for space in reversed(spaces):
        code, digit = divmod(code, len(space))
        values.append(space[digit])
    return tuple(reversed(values))


def decode_step(code, rows=ROWS):
    """One integer below CODES (or WIDTH times the number of `rows`) -> one step."""
    row, rest = divmod(code, WIDTH)
    spaces = rows[row][2]
    return (rows[row][1],) + pick(spaces, rest * count_product(spaces) // WIDTH)


def decode_steps(data):
    """Three bytes a step; what is left over is nothing."""
    codes = bytearray(data)
    return [
        decode_step(codes[i] << 16 | codes[i + 1] << 8 | codes[i + 2])
        for i in range(0, len(codes) - 2, 3)
    ]


FAMILIES = ("unix", "tcp", "seq")
SOCKETS = ("plain", "subclass", "logging", "fake", "refs", "scripted", "proxy")
# What the interpreter's own cannot serve (difference 3 of the README); the C and the twin are
# compared on it too.
OUR_SOCKETS = SOCKETS + ("bare", "no send", "no decref")
SETUP_SPACES = (FAMILIES, TIMEOUTS[:3], MODES[:6], BUFFERINGS[:10])
SETUPS = count_product(SETUP_SPACES) * len(OUR_SOCKETS)


def decode_setup(code, kinds):
    """A number below SETUPS -> (kind of socket, family, timeout, first file's mode, buffering)."""
    code, kind = divmod(code, len(OUR_SOCKETS))
    return (kinds[kind % len(kinds)],) + pick(SETUP_SPACES, code)
