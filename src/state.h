/* state.h: what the module looks up once, and the one way to get at it. */
#ifndef BACKPORTS_MAKEFILE_STATE_H
#define BACKPORTS_MAKEFILE_STATE_H

#include "compat.h"
#include "csocket.h"

/* Attribute names and other strings, interned at import: X(field, spelling). */
#define STATE_NAMES(X)                              \
    X(annotations, "__annotations__")               \
    X(arg_buffering, "buffering")                   \
    X(arg_encoding, "encoding")                     \
    X(arg_errors, "errors")                         \
    X(arg_newline, "newline")                       \
    X(arg_self, "self")                             \
    X(args, "args")                                 \
    X(b, "b")                                       \
    X(buffered_reader, "BufferedReader")            \
    X(buffered_rw_pair, "BufferedRWPair")           \
    X(buffered_writer, "BufferedWriter")            \
    X(check_closed, "_checkClosed")                 \
    X(check_readable, "_checkReadable")             \
    X(check_writable, "_checkWritable")             \
    X(close, "close")                               \
    X(closed, "closed")                             \
    X(closed_, "_closed")                           \
    X(decref_socketios, "_decref_socketios")        \
    X(default_buffer_size, "DEFAULT_BUFFER_SIZE")   \
    X(errno_, "errno")                              \
    X(fileno, "fileno")                             \
    X(finalizing, "_finalizing")                    \
    X(flush, "flush")                               \
    X(gettimeout, "gettimeout")                     \
    X(io, "io")                                     \
    X(io_refs, "_io_refs")                          \
    X(makefile_refs, "_makefile_refs")              \
    X(mode, "mode")                                 \
    X(mode_, "_mode")                               \
    X(r, "r")                                       \
    X(rb, "rb")                                     \
    X(read, "read")                                 \
    X(readall, "readall")                           \
    X(reading, "_reading")                          \
    X(readinto, "readinto")                         \
    X(recv_into, "recv_into")                       \
    X(rw, "rw")                                     \
    X(rwb, "rwb")                                   \
    X(seek, "seek")                                 \
    X(send, "send")                                 \
    X(sendall, "sendall")                           \
    X(sock, "_sock")                                \
    X(sslobj, "_sslobj")                            \
    X(suppress_ragged_eofs, "suppress_ragged_eofs") \
    X(text_encoding, "text_encoding")               \
    X(text_io_wrapper, "TextIOWrapper")             \
    X(timeout_occurred, "_timeout_occurred")        \
    X(w, "w")                                       \
    X(wb, "wb")                                     \
    X(write, "write")                               \
    X(writing, "_writing")                          \
    X(module_csocket, "_socket")                    \
    X(module_socket, "socket")                      \
    X(error, "error")                               \
    X(eof, "SSL_ERROR_EOF")                         \
    X(ssl_error, "SSLError")                        \
    X(python2_socket, "_socketobject")              \
    X(timeout, "timeout")                           \
    X(unsupported_operation, "UnsupportedOperation")

/* Other objects, all owned: X(field).  Where the state is the process's, what is one interpreter's
   own is NULL, or only compared; interpreter_check needs nothing of the one it is from. */
#define STATE_OBJECTS(X)                                                                       \
    X(raw_read)         /* _io._RawIOBase.read, for arguments that are its to judge */         \
    X(timeout_error)    /* socket.timeout, where the state is an interpreter's own */          \
    X(text_encoding)    /* io.text_encoding, from 3.10 on */                                   \
    X(buffered_reader)  /* _io.BufferedReader, */                                              \
    X(buffered_writer)  /* _io.BufferedWriter, */                                              \
    X(buffered_rw_pair) /* and _io.BufferedRWPair */                                           \
    X(one)                                                                                     \
    X(zero)                                                                                    \
    X(would_block_errno) /* EAGAIN, as an int object */                                        \
    X(interrupted_errno) /* EINTR */                                                           \
    X(counts_refs)       /* _inspect.counts_refs, where the state is an interpreter's own */   \
    X(interpreter_check) /* a function of Python that does nothing: see gil.h */               \
    X(socketio_type)     /* our SocketIO */                                                    \
    X(callable_type)     /* the type of backport_makefile */                                   \
    X(backport_makefile)                                                                       \
    X(tls_known_functions) /* _tls.known_functions, where the state is an interpreter's own */ \
    X(tls_functions)       /* what that told of ssl.SSLSocket */                               \
    X(socket_decref)       /* socket.socket._decref_socketios; only compared */                \
    X(socket_decref_code)  /* its code, if that counts as reference.c does; else NULL */

typedef struct {
#define FIELD(name, spelling) PyObject *str_##name;
    STATE_NAMES(FIELD)
#undef FIELD
#define FIELD(name) PyObject *name;
    STATE_OBJECTS(FIELD)
#undef FIELD
    PyObject *module; /* Borrowed: the module whose state this is; NULL where it is the process's */
    csocket_knowledge csocket;
    uint64_t socketio_version;    /* of socketio_type as it was made */
    uint64_t tls_version;         /* of ssl.SSLSocket with tls_functions; 0: not seen yet */
    uint64_t tls_version_below;   /* of socket.socket then */
    uint64_t tls_refused;         /* of the class that was looked at last and not known */
    Py_ssize_t chunk_nbytes;      /* what the interpreter's readall() asks for at once */
    int reports_finalizer_errors; /* through sys.unraisablehook */
    int is_only_interpreter;      /* as of the last check: see gil.h */
} makefile_state;

/* The state of the module that made the type with this tp_dealloc, which is `type` or one of its
   bases.  NULL with an exception when there is none any more. */
INTERNAL makefile_state *state_of(PyTypeObject *type, destructor own_dealloc);

/* The state of a module that is being made: 3.9 has one a module; before, there is one a process,
   as _socket itself has there, since a module does not live as long as its streams. */
INTERNAL makefile_state *state_of_module(PyObject *module);

/* Looks everything up but the types, which others make.  0, or -1 with an exception. */
INTERNAL int state_fill(makefile_state *state);

/* What an interpreter that imports the module after another has of its own.  0, or -1. */
INTERNAL int state_refresh(makefile_state *state);

INTERNAL int state_traverse(makefile_state *state, visitproc visit, void *arg);
INTERNAL void state_clear(makefile_state *state);

/* module.name: a new reference, or NULL with an exception. */
INTERNAL PyObject *import_attribute(const char *module_name, const char *name);

/* The module `io` of the interpreter that runs now: a new reference, or NULL with an exception. */
INTERNAL PyObject *state_io_module(const makefile_state *state);

/* Exceptions of the interpreter that runs now: new references, or NULL with an exception. */
INTERNAL PyObject *state_timeout_error(const makefile_state *state);
INTERNAL PyObject *state_unsupported_operation(const makefile_state *state);

/* Is the exception that is set what the module `socket` has as `timeout` now?  1, 0, or -1 with
   another exception in its place. */
INTERNAL int state_timeout_is_raised(const makefile_state *state);

/* Raises socket.timeout("timed out"). */
INTERNAL void state_raise_timeout(const makefile_state *state);

/* Raises the system's error of this number: OSError, or 2.7's socket.error. */
INTERNAL void state_raise_errno(const makefile_state *state, int number);

#if PYTHON2
/* Is the object a socket.socket of 2.7's, with its own way to stay open?  1, 0, or -1 with an
   exception. */
INTERNAL int state_is_python2_socket(const makefile_state *state, PyObject *object);

/* Is it what such a one has in the place of its C socket once it is closed?  By name: this is asked
   at exit too, when the module is gone. */
INTERNAL int state_is_python2_closed(PyObject *object);
#endif

#endif
