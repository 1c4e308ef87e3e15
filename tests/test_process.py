"""A process: fork, the ways to end, module reload, subinterpreters, imports that race."""

import os
import subprocess
import sys
import textwrap

import pytest

import harness
from conftest import IMPORT

PY2 = harness.PY2
STRESS = os.path.dirname(os.path.abspath(harness.__file__))
HAS_TESTCAPI = not PY2 and not harness.PYPY

PAIR = """
import gc, io, os, socket, sys, threading, time, weakref
left, right = socket.socketpair()
right.settimeout(30)
"""
# In the parent only: a function keeps the globals of the child in a cycle, and what the collector
# takes apart at exit goes in no order; sockets may be closed before the streams over them are
# flushed, the interpreter's own too.
READ_TO_END = """
def read_to_end():
    return b"".join(iter(lambda: right.recv(1000), b""))
"""


def dedent(script):
    return textwrap.dedent(script).replace("READ_TO_END", READ_TO_END)


@pytest.fixture
def run(run_script):
    """run_script with a socket pair, `left` and `right`, made before.

    It is left open, and nothing is said of that.
    """
    return lambda implementation, script, *options: run_script(
        implementation, PAIR + dedent(script), "-W", "ignore", *options
    )


def run_to_the_end(implementation, script):
    """Run a script that has to end by itself, with status 0; what it printed.

    It may say on stderr what it likes.
    """
    command = [sys.executable, "-c", IMPORT[implementation.name] + PAIR + dedent(script)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
    )
    out, err = process.communicate()
    assert process.returncode == 0, (process.returncode, out, err)
    return out


# -- fork and os._exit

def test_fork_with_an_open_stream_lets_child_and_parent_use_it(any_impl, run):
    assert run(any_impl, """
        stream = makefile(left, "rwb")
        right.sendall(b"for the child\\n")
        child = os.fork()
        if child == 0:
            assert stream.readline() == b"for the child\\n"
            stream.write(b"from the child\\n")
            stream.flush()
            os._exit(0)
        os.waitpid(child, 0)
        READ_TO_END
        stream.write(b"from the parent\\n")
        stream.close()
        left.close()
        del stream, left  # a socket of 2.7 is closed when it is gone
        print(read_to_end().decode())
        """) == "from the child\nfrom the parent\n\n"


@pytest.mark.parametrize("buffering", [-1, 0])
def test_child_that_ends_by_os_exit_closes_nothing_and_sends_nothing(any_impl, run, buffering):
    assert run(any_impl, """
        stream = makefile(left, "wb", %d)
        if %d:
            stream.write(b"once ")
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        READ_TO_END
        stream.write(b"and again")
        stream.close()
        left.close()
        del stream, left
        print(read_to_end().decode())
        """ % (buffering, buffering)) == ("once and again\n" if buffering else "and again\n")


def test_os_exit_with_data_in_a_buffer_loses_it_as_the_interpreters_does(any_impl, run):
    assert (
        run(
            any_impl,
            """
        child = os.fork()
        if child == 0:
            right.close()
            streams = [makefile(left, "wb"), makefile(left, "w"), makefile(left, "rwb")]
            for stream in streams:
                binary = "b" in getattr(stream, "mode", "b") or not hasattr(stream, "encoding")
                stream.write(b"lost" if binary else u"lost")
            os._exit(0)
        os.waitpid(child, 0)
        READ_TO_END
        left.close()
        del left
        print(repr(read_to_end().decode()))
        """,
        )
        in ("''\n", "u''\n")
    )


# -- the end of the interpreter


@pytest.mark.skipif(
    harness.NO_GIL,
    reason="at exit without a GIL the collector takes all globals apart, in no order",
)
# A BufferedRWPair that dies is not flushed, whatever is under it.
@pytest.mark.parametrize("mode", ["wb", "w"])
def test_exit_with_data_in_a_buffer_sends_it_once(any_impl, run, mode):
    assert run(any_impl, """
        child = os.fork()
        if child == 0:
            right.close()
            stream = makefile(left, %r)
            stream.write(u"kept" if hasattr(stream, "encoding") else b"kept")
            sys.exit(0)
        os.waitpid(child, 0)
        READ_TO_END
        left.close()
        del left
        print(read_to_end().decode())
        """ % mode) == "kept\n"


STATES = {
    "open": (
        'keep = [makefile(left, mode) for mode in ("rb", "wb", "rwb", "r", "w", "rw")]'
        ' + [makefile(left, "rwb", 0)]'
    ),
    "closed": (
        'keep = [makefile(left, mode) for mode in ("rb", "wb", "r", "w")]\n'
        'for stream in keep: stream.close()'
    ),
    "socket closed": (
        'keep = [makefile(left, mode) for mode in ("rb", "wb", "r", "w")]\n'
        'left.close()'
    ),
    "detached": 'keep = makefile(left, "rb").detach()\nkept = makefile(left, "r").detach()',
    "never initialised": "keep = SocketIO.__new__(SocketIO)",
    "made directly": 'keep = SocketIO(left, "rw")',
    "in a cycle": 'keep = makefile(left, "rb")\nkeep.raw.cycle = keep\ndel keep',
    "in a cycle with a global": 'keep = makefile(left, "rb")\nkeep.raw.cycle = globals()',
    "in a cycle with its class": (
        'class Sub(SocketIO): pass\nkeep = Sub(left, "r")\nSub.keep = keep\n'
        'del Sub, keep'
    ),
    "in another module": (
        'import string\nstring.keep = makefile(left, "rb")\n'
        'string.raw = makefile(left, "rb", 0)'
    ),
    "in sys": 'sys.keep = makefile(left, "rb")\nsys.raw = makefile(left, "rb", 0)',
    "in io and socket": 'io.keep = makefile(left, "rb")\nsocket.keep = makefile(left, "rb", 0)',
    "in a thread local": 'local = threading.local()\nlocal.keep = makefile(left, "rb")',
    "in an exit handler": (
        'import atexit\nkeep = makefile(left, "wb")\n'
        'atexit.register(lambda: (keep.write(b"x"), keep.close()))'
    ),
    "in a traceback": (
        'def fail():\n  keep = makefile(left, "rb")\n  keep.nothing\ntry: fail()\n'
        'except AttributeError as e: error = e, sys.exc_info()'
    ),
    "weakly referenced": (
        'keep = makefile(left, "rb", 0)\nweak = weakref.ref(keep, lambda ref: None)'
    ),
    "poisoned": (
        'left.settimeout(0.001)\nkeep = makefile(left, "rb")\ntry: keep.read(1)\n'
        'except socket.timeout: pass'
    ),
    "with unread data": 'right.sendall(b"unread")\nkeep = makefile(left, "r")\nkeep.read(1)',
    "in a generator": (
        'def lines():\n  with makefile(left, "rb") as stream:\n    yield stream\n'
        'keep = lines()\nnext(keep)'
    ),
    "in a daemon thread that waits": (
        'keep = makefile(left, "rb", 0)\nthread = threading.Thread(target=keep.read, args=(1,))\n'
        "thread.daemon = True\nthread.start()"
    ),
    "in a daemon thread that is busy": (
        'keep = makefile(left, "rwb", 0)\nright.setblocking(False)\ndef work():\n  while True:\n'
        '    try:\n      keep.write(b"x"); right.recv(9)\n    except Exception: pass\n'
        "thread = threading.Thread(target=work)\nthread.daemon = True\nthread.start()"
    ),
    "modules gone": (
        'keep = makefile(left, "rwb", 0)\ntext = makefile(left, "w")\n'
        'for name in ("socket", "io", "_io", "_socket", "select", "errno"): '
        "sys.modules[name] = None\n"
        "for name in list(sys.modules):\n  if name.startswith('backports'): del sys.modules[name]\n"
    ),
    "our own modules emptied": (
        'keep = makefile(left, "rwb", 0)\ntext = makefile(left, "w")\n'
        "for name in list(sys.modules):\n"
        "  if name.startswith('backports') and sys.modules[name] is not None: "
        "vars(sys.modules[name]).clear()\n"
    ),
}


@pytest.mark.parametrize("state", sorted(STATES))
def test_exit_with_a_stream_in_any_state_is_a_clean_exit(impl, state):
    script = STATES[state] + "\nsys.stdout.write('end')\n"
    assert (
        run_to_the_end(
            impl,
            "if 1:\n" + textwrap.indent(script, "    ") if hasattr(textwrap, "indent") else script,
        )
        == "end"
    )


def test_stream_used_by_a_finalizer_when_the_interpreter_is_half_gone_does_no_harm(impl):
    assert (
        run_to_the_end(
            impl,
            """
        class Late(object):
            def __init__(self):
                self.streams = [makefile(left, "wb"), makefile(left, "rwb", 0), makefile(left, "w")]
                self.makefile, self.left, self.type = makefile, left, SocketIO
            def __del__(self):
                for stream in self.streams:
                    for use in (lambda: stream.write(b"late"), lambda: stream.flush(),
                                lambda: stream.fileno(), lambda: stream.name, lambda: repr(stream),
                                lambda: stream.close(),
                                lambda: self.makefile(self.left, "rwb").close(),
                                lambda: self.makefile(self.left, "r"),
                                lambda: self.type(self.left, "r").readable()):
                        try:
                            use()
                        except Exception:
                            pass
        sys.late = Late()
        late = Late()
        io.late = Late()
        sys.stdout.write("end")
        """,
        )
        == "end"
    )


# -- imports

def module_name(implementation):
    return {"c": "backports.makefile._makefile", "python": "backports.makefile._fallback"}[
        implementation.name
    ]


USE = """
def use():
    left, right = socket.socketpair()
    stream = makefile(left, "rwb")
    right.sendall(b"in\\n")
    assert stream.readline() == b"in\\n"
    stream.write(b"out")
    stream.flush()
    assert right.recv(10) == b"out"
    stream.close()
    class Sub(SocketIO):
        pass
    assert Sub(left, "r").readable() is True
    # A TextIOWrapper of 2.7 works no more once the subinterpreter that made the first one has
    # ended.
    makefile(left, "r" if sys.version_info[0] > 2 else "rb").close()
    left.close()
    right.close()
"""


@pytest.mark.skipif(not hasattr(sys, "addaudithook"), reason="audit hooks came with 3.8")
def test_import_on_a_machine_without_sockets_succeeds(impl, run, monkeypatch):
    monkeypatch.setenv("BACKPORTS_MAKEFILE_IMPLEMENTATION", "python")
    script = """
        def refuse(event, args):
            if event == "socket.__new__":
                raise OSError("no sockets here")

        sys.addaudithook(refuse)
        import importlib
        module = importlib.import_module(%r)
        raw = module.backport_makefile(left, "rwb", 0)
        many = [left] * 1000  # a count of references is no descriptor
        for timeout in None, 30:
            left.settimeout(timeout)
            assert raw.write(b"out") == 3 and right.recv(10) == b"out"
            right.sendall(b"in")
            assert raw.read(10) == b"in"
        print("end")
        """
    no_c = impl._replace(name="python")  # which run() imports
    assert run(no_c, script % module_name(impl)) == "end\n"


def test_reload_leaves_old_streams_working_and_makes_new_ones(impl, run):
    assert run(impl, """
        import importlib
        reload = getattr(importlib, "reload", None) or reload
        old = makefile(left, "rwb", 0)
        old_text = makefile(left, "w")
        for _ in range(3):
            module = reload(sys.modules[%r])
            reload(sys.modules["backports.makefile"])
            new = module.backport_makefile(left, "rwb", 0)
            new.write(b"new ")
            old.write(b"old ")
            old_text.write(u"text ")
            old_text.flush()
            right.sendall(b"in")
            assert old.read(1) + new.read(1) == b"in"
            new.close()
        old.close()
        print(right.recv(100).decode())
        """ % module_name(impl)) == "new old text " * 3 + "\n"


def test_module_dropped_and_imported_again_leaves_streams_of_both_working(impl, run):
    if PY2 and impl.name == "python":
        pytest.skip(
            "2.7 empties a Python module that is dropped, under the functions that are still in use"
        )
    assert run(impl, """
        import importlib
        streams = []
        for _ in range(5):
            module = importlib.import_module(%r)
            streams.append(module.backport_makefile(left, "rwb", 0))
            streams.append(module.SocketIO(left, "rw"))
            for name in list(sys.modules):
                if name.startswith("backports"):
                    del sys.modules[name]
            del module
            gc.collect()
        del makefile, SocketIO
        gc.collect()
        for number, stream in enumerate(streams):
            stream.write(b"%%d " %% number)
            right.sendall(b"x")
            assert stream.read(5) == b"x"
        while streams:
            streams.pop()
            gc.collect()
        print(right.recv(100).decode())
        """ % module_name(impl)) == "0 1 2 3 4 5 6 7 8 9 \n"


def test_import_in_many_threads_at_once_gives_all_the_same(impl, run):
    assert (
        run(
            impl,
            """
        for name in list(sys.modules):
            if name.startswith("backports"):
                del sys.modules[name]
        del makefile, SocketIO
        gc.collect()
        if hasattr(sys, "setswitchinterval"):
            sys.setswitchinterval(1e-6)
        else:
            sys.setcheckinterval(1)
        ready = threading.Event()
        found = []
        def work():
            ready.wait()
            import backports.makefile
            module = __import__(%r, fromlist=["SocketIO"])
            ours, peer = socket.socketpair()
            stream = module.backport_makefile(ours, "rwb", 0)
            stream.write(b"x")
            assert peer.recv(1) == b"x"
            found.append((module, module.SocketIO, backports.makefile.backport_makefile))
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        ready.set()
        for thread in threads: thread.join()
        print(len(found), len(set(found)))
        """ % module_name(impl),
        )
        .strip("()\n")
        .replace(",", "")
        == "8 1"
    )


# -- subinterpreters

@pytest.fixture(scope="session")
def run_in_subinterp_of_2(tmp_path_factory):
    """The source of a run_in_subinterp() for 2.7, by a small library that is compiled here."""
    library = str(tmp_path_factory.mktemp("subinterpreter") / "subinterpreter.so")
    try:
        subprocess.check_call(
            ["cc", "-shared", "-fPIC", "-o", library, os.path.join(STRESS, "subinterpreter.c")]
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler")
    return "import ctypes\nrun_in_subinterp = ctypes.PyDLL(%r).run_in_subinterp\n" % library


@pytest.fixture
def subinterp(request):
    """Source that defines run_in_subinterp()."""
    if harness.PYPY:
        pytest.skip("PyPy has no subinterpreters")
    if PY2:
        return request.getfixturevalue("run_in_subinterp_of_2")
    pytest.importorskip("_testcapi")
    return "from _testcapi import run_in_subinterp\n"


BORN_INSIDE = "import gc, io, os, socket, sys\n%s\n" + USE + """
use()
# Left open, in a cycle, and in a module: the end of the interpreter has to cope.
left, right = socket.socketpair()
os.dup(right.fileno())  # so that the peer stays, whichever of the objects the collector takes first
keep = [makefile(left, "wb"), makefile(left, "rb"), SocketIO(left, "r"), SocketIO.__new__(SocketIO)]
keep[0].write(b"data")
keep[2].cycle = keep
sys.keep = makefile(left, "rwb", 0)
io.keep = makefile(left, "rwb", 0)
# 2.7 initialises an extension once, and so registers it with the first interpreter's io only.
assert isinstance(keep[2], io.RawIOBase) or sys.version_info[0] == 2
assert not hasattr(socket, "SocketIO") or isinstance(keep[2], socket.SocketIO)
try:
    keep[2].write(b"x")
except (io.UnsupportedOperation, IOError):
    pass
"""


@pytest.mark.parametrize("first", ["main", "sub"])
def test_subinterpreters_one_after_the_other_each_import_and_use_it(impl, subinterp, first):
    inside = BORN_INSIDE % IMPORT[impl.name]
    script = "import gc, io, socket, sys\n" + subinterp + USE
    if first == "main":
        script += IMPORT[impl.name] + "\nuse()\n"
    script += dedent("""
        inside = %r.encode() if bytes is str else %r
        for _ in range(4):
            assert run_in_subinterp(inside) == 0
            if "SocketIO" in globals():
                use()
        %s
        use()
        gc.collect()
        print("end")
        """) % (inside, inside, IMPORT[impl.name])
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, universal_newlines=True)
    out, err = process.communicate()
    assert (process.returncode, out) == (0, "end\n"), err
    assert "Error" not in err


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="subinterpreters with a GIL of their own came with 3.12"
)
def test_subinterpreters_with_their_own_gil_use_it_at_the_same_time(impl):
    inside = (
        "import socket, sys\n"
        + IMPORT[impl.name]
        + USE
        + "for _ in range(50):\n    use()\nimport os\nos.write(%d, b'x')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", dedent("""
        import os, threading
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        reader, writer = os.pipe()
        inside = %r %% writer
        def work():
            for _ in range(3):
                number = interpreters.create()
                failed = interpreters.run_string(number, inside)
                assert failed is None, failed
                interpreters.destroy(number)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        os.write(writer, b"end")
        print(os.read(reader, 100).decode())
        """) % inside], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "x" * 12 + "end\n", "")
