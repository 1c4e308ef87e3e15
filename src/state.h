/* state.h: what the module looks up once, and the one way to get at it. */
#ifndef BACKPORTS_MAKEFILE_STATE_H
#define BACKPORTS_MAKEFILE_STATE_H

#include "compat.h"
#include "transfer.h"

/* Attribute names, interned at import: X(field, spelling). */
#define STATE_NAMES(X)                            \
    X(check_closed, "_checkClosed")               \
    X(check_readable, "_checkReadable")           \
    X(check_writable, "_checkWritable")           \
    X(close, "close")                             \
    X(closed, "closed")                           \
    X(decref_socketios, "_decref_socketios")      \
    X(default_buffer_size, "DEFAULT_BUFFER_SIZE") \
    X(errno_, "errno")                            \
    X(fileno, "fileno")                           \
    X(flush, "flush")                             \
    X(closed_, "_closed")                         \
    X(gettimeout, "gettimeout")                   \
    X(io_refs, "_io_refs")                        \
    X(makefile_refs, "_makefile_refs")            \
    X(mode, "mode")                               \
    X(mode_, "_mode")                             \
    X(read, "read")                               \
    X(readall, "readall")                         \
    X(reading, "_reading")                        \
    X(readinto, "readinto")                       \
    X(recv_into, "recv_into")                     \
    X(seek, "seek")                               \
    X(send, "send")                               \
    X(sendall, "sendall")                         \
    X(sock, "_sock")                              \
    X(timeout_occurred, "_timeout_occurred")      \
    X(writing, "_writing")                        \
    X(b, "b")                                     \
    X(r, "r")                                     \
    X(rb, "rb")                                   \
    X(rw, "rw")                                   \
    X(rwb, "rwb")                                 \
    X(w, "w")                                     \
    X(wb, "wb")                                   \
    X(buffered_reader, "BufferedReader")          \
    X(buffered_rw_pair, "BufferedRWPair")         \
    X(buffered_writer, "BufferedWriter")          \
    X(text_encoding, "text_encoding")             \
    X(io, "io")                                   \
    X(text_io_wrapper, "TextIOWrapper")           \
    X(arg_self, "self")                           \
    X(arg_buffering, "buffering")                 \
    X(arg_encoding, "encoding")                   \
    X(arg_errors, "errors")                       \
    X(arg_newline, "newline")

/* Other objects held: X(field).  Those of 2.7 are NULL elsewhere. */
#define STATE_OBJECTS(X)                                                                                     \
    X(raw_read)              /* _io._RawIOBase.read, for arguments that are its to judge */                  \
    X(csocket_type)          /* _socket.socket */                                                            \
    X(timeout_error)         /* socket.timeout */                                                            \
    X(socket_error)          /* OSError; 2.7: socket.error */                                                \
    X(unsupported_operation) /* io.UnsupportedOperation; NULL where the state is not an interpreter's own */ \
    X(text_encoding)         /* io.text_encoding, from 3.10 on */                                            \
    X(buffered_reader)       /* _io.BufferedReader, */                                                       \
    X(buffered_writer)       /* _io.BufferedWriter, */                                                       \
    X(buffered_rw_pair)      /* and _io.BufferedRWPair */                                                    \
    X(one)                                                                                                   \
    X(zero)                                                                                                  \
    X(would_block_errno) /* EAGAIN, as an int object */                                                      \
    X(interrupted_errno) /* EINTR */                                                                         \
    X(socketio_type)     /* our SocketIO */                                                                  \
    X(callable_type)     /* the type of backport_makefile */                                                 \
    X(backport_makefile)                                                                                     \
    X(socket_decref)  /* socket.socket._decref_socketios; NULL on 2.7, or if there is none */                \
    X(socket_io_refs) /* socket.socket._io_refs, and _closed, if they are slots, */                          \
    X(socket_closed)  /* and _decref_socketios uses these two, */                                            \
    X(socket_code)    /* by this code; else NULL */                                                          \
    X(python2_socket) /* 2.7: socket._socketobject */                                                        \
    X(python2_closed) /* 2.7: socket._closedsocket */                                                        \
    X(python2_dummy)  /* 2.7: the function that every method of a closed socket is */

typedef struct {
#define FIELD(name, spelling) PyObject *str_##name;
    STATE_NAMES(FIELD)
#undef FIELD
#define FIELD(name) PyObject *name;
    STATE_OBJECTS(FIELD)
#undef FIELD
    transfer_context transfer;
    type_memo counts_in_slots;    /* the last type that was seen to count in those of socket.socket */
    Py_ssize_t chunk_nbytes;      /* what the interpreter's readall() asks for at once */
    int reports_finalizer_errors; /* through sys.unraisablehook */
} makefile_state;

#if HAVE_MODULE_STATE
/* The module that was imported first, which is nearly always the one that is asked for: its SocketIO, and its state.  NULL when it
   is gone. */
typedef struct {
    PyTypeObject *socketio_type;
    makefile_state *state;
} makefile_first;

INTERNAL extern makefile_first first_module;

/* state_of for any type. */
INTERNAL makefile_state *state_search(PyTypeObject *type);
#else
/* Before 3.11 a subclass cannot tell its module, and before 3.9 a module does not live as long as its streams: one state for the
   process, as _socket itself has there. */
INTERNAL extern makefile_state static_state;
#endif

/* The state of the module that made this type, or one of its bases.  NULL, with an exception, when there is none any more (the
   interpreter is being taken apart). */
static inline makefile_state *
state_of(PyTypeObject *type)
{
#if HAVE_MODULE_STATE
    if (type == __atomic_load_n(&first_module.socketio_type, __ATOMIC_ACQUIRE)) {
        ASSUME(first_module.state != NULL);
        return first_module.state;
    }
    return state_search(type);
#else
    (void)type;
    return &static_state;
#endif
}

/* The io module of the interpreter that runs now, and its UnsupportedOperation: new references, or NULL with an exception. */
INTERNAL PyObject *io_module(const makefile_state *state);
INTERNAL PyObject *io_unsupported_operation(const makefile_state *state);

#endif
