/* socketio.c: the type SocketIO: what it is asked, its closing, its life. */
#include "socketio.h"

#include "endpoint.h"
#include "reading.h"
#include "reference.h"
#include "stream.h"
#include "writing.h"

static PyObject *socketio_flush(PyObject *op, PyObject *unused);
static PyObject *socketio_close(PyObject *op, PyObject *unused);

/* ---- Being asked ----------------------------------------------------------------------------- */

static PyObject *
refuse_closed_socket(void)
{
    PyErr_SetString(PyExc_ValueError, "I/O operation on closed socket.");
    return NULL;
}

/* `readable`, `writable`: what the field holds, once it is clear that the stream is open. */
static PyObject *
get_direction(SocketIO *self, PyObject **field, PyObject *name, const char *spelling)
{
    int closed = stream_closed(self);

    if (closed != 0) {
        return closed < 0 ? NULL : refuse_closed_socket();
    }
    return stream_is_exact(self) ? stream_get_field(self, field, spelling)
                                 : PyObject_GetAttr((PyObject *)self, name);
}

PyDoc_STRVAR(readable_doc,
             "readable($self, /)\n--\n\n"
             "Return True if the file was opened for reading.  Raises ValueError if it is closed.\n"
             "**Source:** socket.SocketIO.readable of CPython 3.15.");

static PyObject *
stream_readable(SocketIO *self)
{
    return get_direction(self, &self->reading, self->state->str_reading, "_reading");
}

static METHOD_NOARGS(socketio_readable, stream_readable)

    PyDoc_STRVAR(
        writable_doc,
        "writable($self, /)\n--\n\n"
        "Return True if the file was opened for writing.  Raises ValueError if it is closed.\n"
        "**Source:** socket.SocketIO.writable of CPython 3.15.");

static PyObject *
stream_writable(SocketIO *self)
{
    return get_direction(self, &self->writing, self->state->str_writing, "_writing");
}

static METHOD_NOARGS(socketio_writable, stream_writable)

    PyDoc_STRVAR(seekable_doc,
                 "seekable($self, /)\n--\n\n"
                 "Return False.  Raises ValueError if the file is closed.\n"
                 "**Source:** socket.SocketIO.seekable of CPython 3.15.");

static PyObject *
stream_seekable(SocketIO *self)
{
    int closed = stream_closed(self);

    if (closed != 0) {
        return closed < 0 ? NULL : refuse_closed_socket();
    }
    Py_RETURN_FALSE;
}

static METHOD_NOARGS(socketio_seekable, stream_seekable)

    PyDoc_STRVAR(tell_doc,
                 "tell($self, /)\n--\n\n"
                 "Raise io.UnsupportedOperation: a socket has no position.\n"
                 "**Source:** io.IOBase.tell of CPython 3.15.");

static PyObject *
stream_tell(SocketIO *self)
{
    PyObject *unsupported;

    if (self->wrapping) {
        return Int_FromLong(0); /* where a Buffered object takes itself to be after an exception */
    }
    if (!stream_is_plain(self)) {
        return PyObject_CallMethod((PyObject *)self, "seek", "ii", 0, 1);
    }
    unsupported = state_unsupported_operation(self->state);
    if (unsupported != NULL) {
        PyErr_SetObject(unsupported, self->state->str_seek);
        Py_DECREF(unsupported);
    }
    return NULL;
}

static METHOD_NOARGS(socketio_tell, stream_tell)

    PyDoc_STRVAR(fileno_doc,
                 "fileno($self, /)\n--\n\n"
                 "Return the file descriptor of the socket, an int.  Raises ValueError if the file "
                 "is closed.\n"
                 "**Source:** socket.SocketIO.fileno of CPython 3.15.");

#if PYTHON2
/* `fileno` is not among the methods that 2.7's socket.socket keeps on the instance: where that is
   closed, the C socket that we hold is asked.  Takes the sock, and returns whom to ask: a new
   reference, or NULL. */
static PyObject *
python2_fileno_sock(SocketIO *self, PyObject *sock)
{
    PyObject *inner;

    if (self->csocket == NULL) {
        return sock;
    }
    if (object_get_optional_attr(sock, self->state->str_sock, &inner) == ATTR_ERROR) {
        Py_CLEAR(sock);
    }
    else if (inner != NULL && state_is_python2_closed(inner)) {
        Py_SETREF(sock, Py_NewRef(self->csocket));
    }
    Py_XDECREF(inner);
    return sock;
}
#endif

static PyObject *
stream_fileno(SocketIO *self)
{
    PyObject *sock = stream_begin(self, OPERATION_ANY), *result;

#if PYTHON2
    if (sock != NULL) {
        sock = python2_fileno_sock(self, sock);
    }
#endif
    if (sock == NULL) {
        return NULL;
    }
    result = PyObject_CallMethodNoArgs(sock, self->state->str_fileno);
    Py_DECREF(sock);
    return result;
}

static METHOD_NOARGS(socketio_fileno, stream_fileno)

    PyDoc_STRVAR(
        flush_doc,
        "flush($self, /)\n--\n\n"
        "Do nothing: nothing is held back here.  Raises ValueError if the file is closed.\n"
        "**Source:** io.IOBase.flush of CPython 3.15.");

static PyObject *
stream_flush(SocketIO *self)
{
    if (FIELD_LOAD(self->closed)) {
        PyErr_SetString(PyExc_ValueError, "I/O operation on closed file.");
        return NULL;
    }
    Py_RETURN_NONE;
}

static METHOD_NOARGS(socketio_flush, stream_flush)

    PyDoc_STRVAR(reduce_doc,
                 "__reduce__($self, /)\n--\n\n"
                 "Raise TypeError: an open stream can be neither pickled nor copied.");

static PyObject *
socketio_reduce(PyObject *op, PyObject *unused)
{
    (void)unused;
    PyErr_Format(PyExc_TypeError, "cannot pickle '%.100s' object", type_name(op));
    return NULL;
}

/* ---- Closing --------------------------------------------------------------------------------- */

/* Marks the stream closed.  1 for the one caller that did it, who then owes the sock its release; 0
   if it was. */
static int
claim_close(SocketIO *self)
{
    int was_closed;

    Py_BEGIN_CRITICAL_SECTION(self);
    was_closed = FIELD_LOAD(self->closed);
    FIELD_STORE(self->closed, 1);
    Py_END_CRITICAL_SECTION();
    return !was_closed;
}

/* Gives the reference on the sock back, and lets go of it.  0, or -1 with the sock's exception, and
   then the sock is kept. */
static int
release_sock(SocketIO *self)
{
    makefile_state *state = self->state;
    PyObject *sock = stream_is_exact(self) ? stream_get_field(self, &self->sock, "_sock")
                                           : PyObject_GetAttr((PyObject *)self, state->str_sock);
    int status = 0;

    if (sock == NULL) {
        return -1;
    }
    if (self->unfinished) {
        reference_restore(state, sock, (reference_kind)self->reference);
    }
    else {
        status = reference_release(state, sock, (reference_kind)self->reference);
    }
    if (status == 0) {
        stream_set_field(self, &self->csocket, NULL);
        status = stream_set_attribute(self, &self->sock, state->str_sock, Py_None);
    }
    Py_DECREF(sock);
    return status;
}

/* Calls a `flush` that is not ours, which has nothing to flush.  Its exception stays set. */
static void
flush_overridden(SocketIO *self)
{
    PyObject *flush = PyObject_GetAttr((PyObject *)self, self->state->str_flush);

    if (flush != NULL && !stream_is_own_method(self, flush, socketio_flush)) {
        PyObject *result = PyObject_CallNoArgs(flush);

        Py_XDECREF(result);
    }
    Py_XDECREF(flush);
}

PyDoc_STRVAR(
    close_doc,
    "close($self, /)\n--\n\n"
    "Close the file, and tell the socket so, once: the socket itself is closed only when it was\n"
    "asked to and this was its last file.  A second close does nothing.\n"
    "Raises what an overridden flush, and the socket's _decref_socketios(), raise; the file is\n"
    "closed all the same.\n"
    "**Source:** socket.SocketIO.close of CPython 3.15.");

static PyObject *
stream_close(SocketIO *self)
{
    raised_exception flush_error;
    int closed = stream_closed(self);

    if (closed < 0) {
        return NULL;
    }
    if (closed) {
        Py_RETURN_NONE;
    }
    if (!stream_is_plain(self)) {
        flush_overridden(self);
    }
    raised_take(&flush_error);
    if (claim_close(self)) {
        (void)release_sock(self);
    }
    raised_restore_as_context(&flush_error);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static METHOD_NOARGS(socketio_close, stream_close)

    /* Is there nothing that close() owes: was the stream never given a sock?  A `_sock` that raises
   is one: close() will say so. */
    static int lacks_sock(SocketIO *self)
{
    PyObject *sock;
    attr_found found;

    if (self->sock != NULL) {
        return 0;
    }
    if (stream_is_exact(self)) {
        return 1;
    }
    found = object_get_optional_attr((PyObject *)self, self->state->str_sock, &sock);
    Py_XDECREF(sock);
    if (found == ATTR_ERROR) {
        PyErr_Clear();
    }
    return found == ATTR_ABSENT;
}

/* Closes the stream, whatever `close` is.  0, or -1 with an exception to tell. */
static int
close_for_good(SocketIO *self)
{
    PyObject *op = (PyObject *)self, *close, *result;
    int closed = stream_closed(self);

    if (closed != 0) {
        PyErr_Clear(); /* what cannot say whether it is closed is left alone, as by io's own */
        return 0;
    }
    if (!stream_is_exact(self) && PyObject_SetAttr(op, self->state->str_finalizing, Py_True) < 0) {
        PyErr_Clear();
    }
    close = PyObject_GetAttr(op, self->state->str_close);
    if (close == NULL) {
        PyErr_Clear();
        return 0;
    }
    if (stream_is_own_method(self, close, socketio_close) && lacks_sock(self)) {
        Py_DECREF(close);
        return 0;
    }
    assert(!PyErr_Occurred());
    result = PyObject_CallNoArgs(close);
    Py_DECREF(close);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Closes a stream that nobody refers to any more, as the interpreter's own finalizer does, and lets
   no exception out. */
static void
socketio_finalize(PyObject *op)
{
    SocketIO *self = (SocketIO *)op;
    raised_exception raised;

    assert(Py_REFCNT(op) > 0);
    if (self->closed && self->dict == NULL) {
        return;
    }
    raised_take(&raised);
    if (close_for_good(self) < 0) {
        if (self->state->reports_finalizer_errors) {
            report_finalizer_error(op);
        }
        else {
            PyErr_Clear();
        }
    }
    raised_restore(&raised);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int
socketio_traverse(PyObject *op, visitproc visit, void *arg)
{
    SocketIO *self = (SocketIO *)op;

#if HAVE_TYPE_VISIT
    Py_VISIT(Py_TYPE(op));
#endif
    Py_VISIT(self->dict);
    if (self->state != NULL) {
        Py_VISIT(self->state->module);
    }
#define VISIT(field) Py_VISIT(self->field);
    STREAM_FIELDS(VISIT)
#undef VISIT
    return 0;
}

/* Lets go of all but the module: a stream that the collector has taken apart may still be used. */
static void
clear_fields(SocketIO *self)
{
    Py_CLEAR(self->dict);
#define CLEAR(field) Py_CLEAR(self->field);
    STREAM_FIELDS(CLEAR)
#undef CLEAR
}

static int
socketio_clear(PyObject *op)
{
#if !HAVE_FINALIZE
    socketio_finalize(op); /* this collector clears without asking */
#endif
    clear_fields((SocketIO *)op);
    return 0;
}

static void
socketio_dealloc(PyObject *op)
{
    SocketIO *self = (SocketIO *)op;

    PyObject_GC_UnTrack(op);
    TRASHCAN_BEGIN(op, socketio_dealloc) /* a chain of streams, each the next one's sock */
    PyObject_GC_Track(op);               /* a finalizer may bring it back */
    if (object_finalize_from_dealloc(op, socketio_finalize) == 0) {
        PyObject *module = self->state->module;

        PyObject_GC_UnTrack(op);
        if (self->weakreflist != NULL) {
            PyObject_ClearWeakRefs(op);
        }
        clear_fields(self);
        object_free(op, socketio_dealloc);
        Py_XDECREF(module);
    }
    TRASHCAN_END(op)
}

/* The directions of a mode that SocketIO takes.  0, or -1 with ValueError. */
static int
parse_mode(const makefile_state *state, PyObject *mode, int *reading, int *writing)
{
    const struct {
        PyObject *spelling;
        int reading, writing;
    } modes[] = {{state->str_r, 1, 0},  {state->str_w, 0, 1},  {state->str_rw, 1, 1},
                 {state->str_rb, 1, 0}, {state->str_wb, 0, 1}, {state->str_rwb, 1, 1}};
    size_t i;

    for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int same = PyObject_RichCompareBool(mode, modes[i].spelling, Py_EQ);

        if (same != 0) {
            *reading = modes[i].reading;
            *writing = modes[i].writing;
            return same < 0 ? -1 : 0;
        }
    }
    raise_formatted(PyExc_ValueError, "invalid mode: %r", mode);
    return -1;
}

static PyObject *
mode_name(const makefile_state *state, int reading, int writing)
{
    return reading && writing ? state->str_rwb : writing ? state->str_wb : state->str_rb;
}

/* 2.7: holds the C socket of a sock that does not count its files, and learns which of its methods
   are that one's own.  0, or -1 with an exception. */
static int
hold_csocket(SocketIO *self, PyObject *sock)
{
    PyObject *csocket;

    if (reference_csocket(self->state, sock, &csocket) < 0) {
        return -1;
    }
    stream_set_field(self, &self->csocket, csocket);
    Py_XDECREF(csocket);
    endpoint_learn(self, sock);
    return 0;
}

/* The work of __init__, with its arguments held.  A stream that is made anew starts with no
   past. */
static int
socketio_reset(SocketIO *self, PyObject *sock, PyObject *mode)
{
    static const transfer_history no_past;
    const makefile_state *state = self->state;
    int reading, writing;

    if (parse_mode(state, mode, &reading, &writing) < 0 || hold_csocket(self, sock) < 0) {
        return -1;
    }
    self->reference = REFERENCE_NONE;
    self->history = no_past;
    if (stream_set_attribute(self, &self->sock, state->str_sock, sock) < 0 ||
        stream_set_attribute(self, &self->mode, state->str_mode_,
                             mode_name(state, reading, writing)) < 0 ||
        stream_set_attribute(self, &self->reading, state->str_reading,
                             reading ? Py_True : Py_False) < 0 ||
        stream_set_attribute(self, &self->writing, state->str_writing,
                             writing ? Py_True : Py_False) < 0 ||
        stream_set_attribute(self, &self->timeout_occurred, state->str_timeout_occurred, Py_False) <
            0) {
        return -1;
    }
    return 0;
}

static int
socketio_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"sock", "mode", NULL};
    PyObject *sock, *mode, *held = NULL;
    int status = -1;

    if (kwargs != NULL) { /* up to 3.8 it may be the caller's own, who may empty it meanwhile */
        held = PyDict_Copy(kwargs);
        if (held == NULL) {
            return -1;
        }
    }
    Py_INCREF(op);
    if (PyArg_ParseTupleAndKeywords(args, held, "OO:SocketIO", names, &sock, &mode)) {
        status = socketio_reset((SocketIO *)op, sock, mode);
    }
    Py_DECREF(op);
    Py_XDECREF(held);
    return status;
}

/* A subclass's __init__ may take anything. */
static PyObject *
socketio_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    makefile_state *state = state_of(type, socketio_dealloc);
    SocketIO *self = state == NULL ? NULL : (SocketIO *)type->tp_alloc(type, 0);

    (void)args, (void)kwargs;
    if (self != NULL) {
        self->state = state;
        Py_XINCREF(state->module);
    }
    return (PyObject *)self;
}

/* ---- For backport_makefile ------------------------------------------------------------------- */

/* Makes a stream by the type's __init__, which somebody has put in the place of ours. */
static SocketIO *
make_by_init(PyTypeObject *type, makefile_state *state, PyObject *sock, int reading, int writing)
{
    PyObject *mode = reading && writing ? state->str_rw : writing ? state->str_w : state->str_r;
    PyObject *made = PyObject_CallFunctionObjArgs((PyObject *)type, sock, mode, NULL);

    if (made != NULL && Py_TYPE(made) != type) {
        PyErr_SetString(PyExc_TypeError, "SocketIO() should return a SocketIO");
        Py_CLEAR(made);
    }
    return (SocketIO *)made;
}

/* Makes a stream without going through Python. */
static SocketIO *
make_plainly(PyTypeObject *type, makefile_state *state, PyObject *sock, int reading, int writing)
{
    SocketIO *self = (SocketIO *)socketio_new(type, NULL, NULL);

    if (self == NULL) {
        return NULL;
    }
    if (hold_csocket(self, sock) < 0) {
        Py_DECREF(self); /* it has no sock yet, so dies silently */
        return NULL;
    }
    self->mode = Py_NewRef(mode_name(state, reading, writing));
    self->reading = Py_NewRef(reading ? Py_True : Py_False);
    self->writing = Py_NewRef(writing ? Py_True : Py_False);
    self->timeout_occurred = Py_NewRef(Py_False);
    self->sock = Py_NewRef(sock);
    return self;
}

PyObject *
socketio_open(makefile_state *state, PyObject *sock, int reading, int writing)
{
    PyTypeObject *type = (PyTypeObject *)state->socketio_type;
    SocketIO *self = type->tp_init == socketio_init
                         ? make_plainly(type, state, sock, reading, writing)
                         : make_by_init(type, state, sock, reading, writing);
    reference_kind reference;

    if (self == NULL) {
        return NULL;
    }
    self->unfinished = 1;
    if (reference_take(state, sock, &reference) < 0) {
        Py_DECREF(self); /* nothing was counted: it takes nothing back */
        return NULL;
    }
    self->reference = (unsigned char)reference;
    return (PyObject *)self;
}

void
socketio_set_wrapping(PyObject *raw, int wrapping)
{
    ((SocketIO *)raw)->wrapping = (char)wrapping;
}

void
socketio_finish(PyObject *raw)
{
    ((SocketIO *)raw)->unfinished = 0;
}

void
socketio_abandon(makefile_state *state, PyObject *raw, PyObject *sock)
{
    SocketIO *self = (SocketIO *)raw;

    if (!claim_close(self)) {
        return; /* code that ran meanwhile has closed it, and so given the reference back */
    }
    reference_restore(state, sock, (reference_kind)self->reference);
    stream_set_field(self, &self->sock, Py_None);
    stream_set_field(self, &self->csocket, NULL);
}

/* ---- The type -------------------------------------------------------------------------------- */

/* What `_sock` and its like are: attributes that any object can be put into. */
typedef struct {
    const char *name;
    size_t offset;
} field_attribute;

static const field_attribute sock_attribute = {"_sock", offsetof(SocketIO, sock)};
static const field_attribute mode_attribute = {"_mode", offsetof(SocketIO, mode)};
static const field_attribute reading_attribute = {"_reading", offsetof(SocketIO, reading)};
static const field_attribute writing_attribute = {"_writing", offsetof(SocketIO, writing)};
static const field_attribute timeout_occurred_attribute = {"_timeout_occurred",
                                                           offsetof(SocketIO, timeout_occurred)};

static PyObject *
attribute_getter(PyObject *op, void *closure)
{
    const field_attribute *attribute = closure;
    PyObject **field = (PyObject **)(void *)((char *)op + attribute->offset);

    return stream_get_field((SocketIO *)op, field, attribute->name);
}

static int
attribute_setter(PyObject *op, PyObject *value, void *closure)
{
    const field_attribute *attribute = closure;
    PyObject **field = (PyObject **)(void *)((char *)op + attribute->offset);

    if (value == NULL) { /* to delete what is not there is an error */
        PyObject *old = stream_get_field((SocketIO *)op, field, attribute->name);

        if (old == NULL) {
            return -1;
        }
        Py_DECREF(old);
    }
    Py_INCREF(op);
    stream_set_field((SocketIO *)op, field, value);
    Py_DECREF(op);
    return 0;
}

static PyObject *
closed_getter(PyObject *op, void *unused)
{
    (void)unused;
    return PyBool_FromLong(FIELD_LOAD(((SocketIO *)op)->closed));
}

/* io's own close() marks a stream closed by giving it this attribute, and its presence is what the
   methods of io look for. */
static PyObject *
iobase_closed_getter(PyObject *op, void *unused)
{
    (void)unused;
    if (FIELD_LOAD(((SocketIO *)op)->closed)) {
        Py_RETURN_TRUE;
    }
    PyErr_SetString(PyExc_AttributeError, "__IOBase_closed");
    return NULL;
}

static int
iobase_closed_setter(PyObject *op, PyObject *value, void *unused)
{
    (void)unused;
    FIELD_STORE(((SocketIO *)op)->closed, value != NULL);
    return 0;
}

static PyObject *
mode_getter(PyObject *op, void *unused)
{
    SocketIO *self = (SocketIO *)op;

    (void)unused;
    return stream_is_exact(self) ? stream_get_field(self, &self->mode, "_mode")
                                 : PyObject_GetAttr(op, self->state->str_mode_);
}

static PyObject *
stream_name(SocketIO *self)
{
    int closed = stream_closed(self);

    if (closed != 0) {
        return closed < 0 ? NULL : Int_FromLong(-1);
    }
    return PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_fileno);
}

static METHOD_NOARGS(socketio_name, stream_name)

    static PyObject *name_getter(PyObject *op, void *unused)
{
    (void)unused;
    return socketio_name(op, NULL);
}

static PyGetSetDef socketio_getset[] = {
    {"closed", closed_getter, NULL, "True once the file is closed.", NULL},
    {"__IOBase_closed", iobase_closed_getter, iobase_closed_setter,
     "There once the file is closed.", NULL},
    {"mode", mode_getter, NULL, "'rb', 'wb' or 'rwb'.", NULL},
    {"name", name_getter, NULL, "The file descriptor, an int; -1 once the file is closed.", NULL},
    {"_sock", attribute_getter, attribute_setter,
     "The Python socket object; None once the file is closed.", (void *)&sock_attribute},
    {"_mode", attribute_getter, attribute_setter, "What mode returns.", (void *)&mode_attribute},
    {"_reading", attribute_getter, attribute_setter, "What readable() returns.",
     (void *)&reading_attribute},
    {"_writing", attribute_getter, attribute_setter, "What writable() returns.",
     (void *)&writing_attribute},
    {"_timeout_occurred", attribute_getter, attribute_setter, "True once a read has timed out.",
     (void *)&timeout_occurred_attribute},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef socketio_methods[] = {
    {"readinto", socketio_readinto, METH_O, readinto_doc},
    {"read", FASTCALL_FUNCTION(socketio_read), FASTCALL_FLAG, read_doc},
    {"readall", socketio_readall, METH_NOARGS, readall_doc},
    {"write", socketio_write, METH_O, write_doc},
    {"readable", socketio_readable, METH_NOARGS, readable_doc},
    {"writable", socketio_writable, METH_NOARGS, writable_doc},
    {"seekable", socketio_seekable, METH_NOARGS, seekable_doc},
    {"tell", socketio_tell, METH_NOARGS, tell_doc},
    {"fileno", socketio_fileno, METH_NOARGS, fileno_doc},
    {"flush", socketio_flush, METH_NOARGS, flush_doc},
    {"close", socketio_close, METH_NOARGS, close_doc},
    {"__reduce__", socketio_reduce, METH_NOARGS, reduce_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    socketio_doc,
    "SocketIO(sock, mode)\n--\n\n"
    "The raw stream over a socket object, which backport_makefile() composes with io's buffers.\n"
    "\n"
    "sock: the socket object; what is needed of it is what is used: recv_into() to read, send() "
    "or\n"
    "sendall() to write, fileno() if asked, _decref_socketios() when the file is closed.\n"
    "mode: 'r', 'w' or 'rw', with or without 'b'; ValueError otherwise.\n"
    "The socket's count of open files is not touched by making one; closing it calls\n"
    "_decref_socketios(), if there is one.\n"
    "**Source:** socket.SocketIO of CPython 3.6 to 3.15, Lib/socket.py.");

static PyType_Slot socketio_slots[] = {
    {Py_tp_dealloc, SLOT_FUNCTION(socketio_dealloc)},
    {Py_tp_traverse, SLOT_FUNCTION(socketio_traverse)},
    {Py_tp_clear, SLOT_FUNCTION(socketio_clear)},
#if HAVE_FINALIZE
    {Py_tp_finalize, SLOT_FUNCTION(socketio_finalize)},
#endif
    {Py_tp_init, SLOT_FUNCTION(socketio_init)},
    {Py_tp_new, SLOT_FUNCTION(socketio_new)},
    {Py_tp_methods, socketio_methods},
    {Py_tp_getset, socketio_getset},
    {Py_tp_doc, (void *)socketio_doc},
    {0, NULL},
};

static PyType_Spec socketio_spec = {
    "backports.makefile.SocketIO",
    sizeof(SocketIO),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_FINALIZE,
    socketio_slots,
};

PyTypeObject *
socketio_type_new(PyObject *module, PyTypeObject *raw_io_base)
{
    static PyTypeObject storage; /* 2.7 */
    PyTypeObject *type;

    if (raw_io_base->tp_basicsize != (Py_ssize_t)offsetof(SocketIO, sock) ||
        raw_io_base->tp_dictoffset != (Py_ssize_t)offsetof(SocketIO, dict) ||
        raw_io_base->tp_weaklistoffset != (Py_ssize_t)offsetof(SocketIO, weakreflist)) {
        /* unreached: some later Python's */
        PyErr_SetString(
            PyExc_ImportError,
            "this interpreter's io.RawIOBase is not laid out as this extension expects");
        return NULL;
    }
    type = type_from_spec(module, &socketio_spec, raw_io_base, &storage);
    if (type != NULL && !PYTHON2) {
        type->tp_name = "SocketIO"; /* as errors speak of the interpreter's; __module__ stays */
    }
    return type;
}
