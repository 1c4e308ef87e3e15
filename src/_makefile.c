/* _makefile.c: the extension module backports.makefile._makefile.

   The files of src/, and the way of a byte through them:

     _makefile.c   backport_makefile(): arguments, and raw -> Buffered -> Text; the module and its state
     reference.c   who counts the open files of a socket, and who is told when one is closed
     socketio.c    SocketIO, the raw stream: chooses the direct or the delegating path at every operation
     transfer.c    the direct path: system calls, waiting, signals, the GIL
     compat.h      what differs between the Pythons

   A read of the Text or Buffered object, which are the interpreter's own, calls SocketIO.readinto (or readall), and that either
   transfer_recv or the sock's own recv_into.  A write calls SocketIO.write, and that transfer_send, or the sock's send or
   sendall. */
#include "reference.h"
#include "socketio.h"
#include "state.h"

/* ---- State ------------------------------------------------------------------------------------------------------ */

#if HAVE_MODULE_STATE
static struct PyModuleDef makefile_module;

makefile_first first_module;

makefile_state *
state_search(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &makefile_module);

    return module == NULL ? NULL : PyModule_GetState(module);
}

/* Other interpreters may import it at the same moment: `state` tells who came first, and `socketio_type` that it is all there. */
static void
state_remember(makefile_state *state)
{
    makefile_state *none = NULL;

    if (__atomic_compare_exchange_n(&first_module.state, &none, state, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        __atomic_store_n(&first_module.socketio_type, (PyTypeObject *)state->socketio_type, __ATOMIC_RELEASE);
    }
}

static void
state_forget(makefile_state *state)
{
    if (__atomic_load_n(&first_module.state, __ATOMIC_ACQUIRE) == state) {
        __atomic_store_n(&first_module.socketio_type, NULL, __ATOMIC_RELEASE);
        __atomic_store_n(&first_module.state, NULL, __ATOMIC_RELEASE);
    }
}
#else
makefile_state static_state;
#endif

PyObject *
io_module(const makefile_state *state)
{
    PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
    PyObject *io = modules == NULL              ? NULL
                   : PyDict_CheckExact(modules) ? dict_get(modules, state->str_io)
                                                : PyObject_GetItem(modules, state->str_io);

    if (io == NULL) {
        PyErr_Clear();
        io = PyImport_ImportModule("io");
    }
    return io;
}

PyObject *
io_unsupported_operation(const makefile_state *state)
{
    PyObject *io, *unsupported;

    if (state->unsupported_operation != NULL) {
        return Py_NewRef(state->unsupported_operation);
    }
    io = io_module(state);
    unsupported = io == NULL ? NULL : PyObject_GetAttrString(io, "UnsupportedOperation");
    Py_XDECREF(io);
    return unsupported;
}

/* ---- backport_makefile -------------------------------------------------------------------------------------------*/

/* io.name: a new reference, or NULL with an exception.  It is looked up at every call, as the interpreter's own makefile does. */
static PyObject *
io_attribute(PyObject *io, PyObject *name)
{
    if (PyModule_CheckExact(io)) {
        PyObject *value = dict_get(PyModule_GetDict(io), name);

        if (value != NULL) {
            return value;
        }
        PyErr_Clear();
    }
    return PyObject_GetAttr(io, name);
}

typedef struct {
    int reading, writing, binary;
} makefile_mode;

/* set(mode) <= {"r", "w", "b"}, for anything that can be iterated.  0, or -1 with ValueError or what iterating raised. */
static int
check_mode(const makefile_state *state, PyObject *mode)
{
    PyObject *left = PySet_New(mode);
    Py_ssize_t nleft;

    if (left == NULL) {
        return -1;
    }
    if (PySet_Discard(left, state->str_r) < 0 || PySet_Discard(left, state->str_w) < 0 ||
        PySet_Discard(left, state->str_b) < 0) {
        Py_DECREF(left);
        return -1;
    }
    nleft = PySet_Size(left);
    Py_DECREF(left);
    if (nleft != 0) {
        PyObject *format = Str_FromString("invalid mode %r (only r, w, b allowed)");
        PyObject *values = format == NULL ? NULL : PyTuple_Pack(1, mode);
        PyObject *message = values == NULL ? NULL : Str_Format(format, values);

        if (message != NULL) {
            PyErr_SetObject(PyExc_ValueError, message);
        }
        Py_XDECREF(message);
        Py_XDECREF(values);
        Py_XDECREF(format);
        return -1;
    }
    return 0;
}

/* 0, or -1 with an exception set. */
static int
parse_makefile_mode(const makefile_state *state, PyObject *mode, makefile_mode *parsed)
{
    const struct {
        PyObject *spelling;
        makefile_mode mode;
    } usual[] = {{state->str_rb, {1, 0, 1}}, {state->str_r, {1, 0, 0}},  {state->str_rwb, {1, 1, 1}},
                 {state->str_wb, {0, 1, 1}}, {state->str_rw, {1, 1, 0}}, {state->str_w, {0, 1, 0}}};
    size_t i;

    for (i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        if (mode == usual[i].spelling) { /* literals are interned */
            *parsed = usual[i].mode;
            return 0;
        }
    }
    if (check_mode(state, mode) < 0 || (parsed->writing = PySequence_Contains(mode, state->str_w)) < 0 ||
        (parsed->reading = PySequence_Contains(mode, state->str_r)) < 0 ||
        (parsed->binary = PySequence_Contains(mode, state->str_b)) < 0) {
        return -1;
    }
    parsed->reading |= !parsed->writing;
    return 0;
}

/* The size of the buffer in bytes, as an object: a new reference, or NULL with an exception.  *unbuffered tells that it is zero. */
static PyObject *
parse_buffering(const makefile_state *state, PyObject *io, PyObject *buffering, int *unbuffered)
{
    PyObject *size;
    Py_ssize_t nbytes;
    int negative = buffering == Py_None ? 1 : PyObject_RichCompareBool(buffering, state->zero, Py_LT);

    if (negative < 0) {
        return NULL;
    }
    size = negative ? io_attribute(io, state->str_default_buffer_size) : Py_NewRef(buffering);
    if (size == NULL) {
        return NULL;
    }
    *unbuffered = exact_int_as_ssize(size, &nbytes) ? nbytes == 0 : PyObject_RichCompareBool(size, state->zero, Py_EQ);
    if (*unbuffered < 0) {
        Py_CLEAR(size);
    }
    return size;
}

enum { ARG_SELF, ARG_MODE, ARG_BUFFERING, ARG_ENCODING, ARG_ERRORS, ARG_NEWLINE, N_ARGS };

/* What io.text_encoding makes of the encoding: a new reference, or NULL with an exception. */
static PyObject *
text_encoding(const makefile_state *state, PyObject *io, PyObject *encoding)
{
#if HAVE_TEXT_ENCODING
    PyObject *function = io_attribute(io, state->str_text_encoding), *result;

    if (function == NULL) {
        return NULL;
    }
    if (function == state->text_encoding && encoding != Py_None) {
        result = Py_NewRef(encoding); /* as it would */
    }
    else { /* 1: an EncodingWarning points at our caller, as no frame of ours is in the way */
        result = PyObject_CallFunctionObjArgs(function, encoding, state->one, NULL);
    }
    Py_DECREF(function);
    return result;
#else
    (void)state, (void)io;
    return Py_NewRef(encoding);
#endif
}

/* The Text object over the buffer: a new reference, or NULL with an exception. */
static PyObject *
wrap_text(const makefile_state *state, PyObject *io, PyObject *buffer, PyObject *const args[N_ARGS])
{
    PyObject *wrapper, *text = NULL;
    PyObject *encoding = text_encoding(state, io, args[ARG_ENCODING]);

    if (encoding == NULL) {
        return NULL;
    }
    wrapper = io_attribute(io, state->str_text_io_wrapper);
    if (wrapper != NULL) {
        PyObject *const wrapped[] = {buffer, encoding, args[ARG_ERRORS], args[ARG_NEWLINE]};

        text = object_call(wrapper, wrapped, 4);
        Py_DECREF(wrapper);
    }
    Py_DECREF(encoding);
    if (text != NULL && PyObject_SetAttr(text, state->str_mode, args[ARG_MODE]) < 0) {
        Py_CLEAR(text);
    }
    return text;
}

/* The Buffered object over `raw`: a new reference, or NULL with an exception. */
static PyObject *
wrap_raw(const makefile_state *state, PyObject *io, PyObject *raw, const makefile_mode *mode, PyObject *size)
{
    const int pair = mode->reading && mode->writing;
    PyObject *const raw_raw_size[] = {raw, raw, size};
    PyObject *name = pair            ? state->str_buffered_rw_pair
                     : mode->writing ? state->str_buffered_writer
                                     : state->str_buffered_reader;
    PyObject *own = pair ? state->buffered_rw_pair : mode->writing ? state->buffered_writer : state->buffered_reader;
    PyObject *wrapper = io_attribute(io, name), *buffer;
    Py_ssize_t nbytes;

    if (wrapper == NULL) {
        return NULL;
    }
    socketio_set_wrapping(raw, wrapper == own && exact_int_as_ssize(size, &nbytes)); /* no __index__ that could ask as well */
    buffer = object_call(wrapper, raw_raw_size + !pair, 2 + pair);
    socketio_set_wrapping(raw, 0);
    Py_DECREF(wrapper);
    return buffer;
}

/* The stream that the arguments ask for, over `raw`: a new reference, or NULL with an exception. */
static PyObject *
compose(const makefile_state *state, PyObject *io, PyObject *raw, const makefile_mode *mode, PyObject *const args[N_ARGS])
{
    PyObject *buffer = NULL, *text;
    int unbuffered;
    PyObject *size = parse_buffering(state, io, args[ARG_BUFFERING], &unbuffered);

    if (size == NULL) {
        return NULL;
    }
    if (!unbuffered) {
        buffer = wrap_raw(state, io, raw, mode, size);
    }
    else if (mode->binary) {
        buffer = Py_NewRef(raw);
    }
    else {
        PyErr_SetString(PyExc_ValueError, "unbuffered streams must be binary");
    }
    Py_DECREF(size);
    if (buffer == NULL || mode->binary) {
        return buffer;
    }
    text = wrap_text(state, io, buffer, args);
    Py_DECREF(buffer);
    return text;
}

/* The work of backport_makefile(), with all arguments in place.  A new reference, or NULL with an exception set and the sock's
   counter as it was. */
static PyObject *
makefile(makefile_state *state, PyObject *const args[N_ARGS])
{
    makefile_mode mode;
    PyObject *io, *raw, *stream;

    if (parse_makefile_mode(state, args[ARG_MODE], &mode) < 0) {
        return NULL;
    }
    raw = socketio_open(state, args[ARG_SELF], mode.reading, mode.writing);
    if (raw == NULL) {
        return NULL;
    }
    io = io_module(state);
    stream = io == NULL ? NULL : compose(state, io, raw, &mode, args);
    Py_XDECREF(io);
    if (stream != NULL) {
        socketio_finish(raw);
    }
    else {
        socketio_abandon(state, raw, args[ARG_SELF]);
    }
    Py_DECREF(raw);
    return stream;
}

/* ---- The callable: a function in C that binds as one in Python does, which a PyCFunction does not ----------------- */

typedef struct {
    PyObject_HEAD
    PyObject *weakreflist;
#if HAVE_VECTORCALL
    vectorcallfunc vectorcall;
#endif
} makefile_callable;

/* The names of the arguments, borrowed from the state. */
#define ARGUMENT_NAMES(state)                                                                            \
    {                                                                                                    \
        (state)->str_arg_self, (state)->str_mode, (state)->str_arg_buffering, (state)->str_arg_encoding, \
            (state)->str_arg_errors, (state)->str_arg_newline                                            \
    }

/* Puts positional arguments into their places, borrowed.  0, or -1 with TypeError. */
static int
place_positional(PyObject *placed[N_ARGS], PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs > N_ARGS) {
        PyErr_Format(PyExc_TypeError, "backport_makefile() takes at most %d arguments (%zd given)", (int)N_ARGS, nargs);
        return -1;
    }
    if (nargs > 0) {
        memcpy(placed, args, (size_t)nargs * sizeof *args);
    }
    return 0;
}

/* Puts one keyword argument into its place, borrowed.  The place, or -1 with TypeError. */
static int
place_keyword(const makefile_state *state, PyObject *placed[N_ARGS], PyObject *name, PyObject *value)
{
    PyObject *const names[N_ARGS] = ARGUMENT_NAMES(state);
    int i;

    for (i = 0; i < N_ARGS && name != names[i]; i++) {
    }
    if (i == N_ARGS) { /* not the interned string itself: compare */
        for (i = 0; i < N_ARGS; i++) {
            int same = PyObject_RichCompareBool(name, names[i], Py_EQ);

            if (same < 0) {
                return -1;
            }
            if (same) {
                break;
            }
        }
    }
    if (i == N_ARGS || placed[i] != NULL) {
        PyObject *format = Str_FromString(i == N_ARGS ? "backport_makefile() got an unexpected keyword argument %r"
                                                      : "backport_makefile() got multiple values for argument %r");
        PyObject *message = format == NULL ? NULL : Str_Format(format, name);

        if (message != NULL) {
            PyErr_SetObject(PyExc_TypeError, message);
        }
        Py_XDECREF(message);
        Py_XDECREF(format);
        return -1;
    }
    placed[i] = value;
    return i;
}

/* Fills the places left, and does the work. */
static PyObject *
call_placed(makefile_state *state, PyObject *placed[N_ARGS])
{
    int i;

    if (placed[ARG_SELF] == NULL) {
        PyErr_SetString(PyExc_TypeError, "backport_makefile() missing 1 required positional argument: 'self'");
        return NULL;
    }
    if (placed[ARG_MODE] == NULL) {
        placed[ARG_MODE] = state->str_r;
    }
    for (i = ARG_BUFFERING; i < N_ARGS; i++) {
        if (placed[i] == NULL) {
            placed[i] = Py_None;
        }
    }
    return makefile(state, placed);
}

#if HAVE_VECTORCALL
static PyObject *
callable_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *placed[N_ARGS] = {NULL};
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    makefile_state *state = state_of(Py_TYPE(op));
    Py_ssize_t i, nkeywords = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);

    if (state == NULL || place_positional(placed, args, nargs) < 0) {
        return NULL;
    }
    for (i = 0; i < nkeywords; i++) {
        if (place_keyword(state, placed, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0) {
            return NULL;
        }
    }
    return call_placed(state, placed);
}
#else
static PyObject *
callable_call(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyObject *placed[N_ARGS] = {NULL}, *held[N_ARGS] = {NULL};
    makefile_state *state = state_of(Py_TYPE(op));
    PyObject *name, *value, *result = NULL;
    Py_ssize_t position = 0;
    int i, status = place_positional(placed, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args));

    while (status == 0 && kwargs != NULL && PyDict_Next(kwargs, &position, &name, &value)) {
        Py_INCREF(name); /* the dict may be the caller's own, and be emptied meanwhile */
        Py_INCREF(value);
        i = place_keyword(state, placed, name, value);
        Py_DECREF(name);
        if (i < 0) {
            Py_DECREF(value);
            status = -1;
        }
        else {
            held[i] = value;
        }
    }
    if (status == 0) {
        result = call_placed(state, placed);
    }
    for (i = 0; i < N_ARGS; i++) {
        Py_XDECREF(held[i]);
    }
    return result;
}
#endif

static PyObject *
callable_descr_get(PyObject *op, PyObject *instance, PyObject *owner)
{
#if PYTHON2
    return PyMethod_New(op, instance == Py_None ? NULL : instance, owner);
#else
    (void)owner;
    return instance == NULL || instance == Py_None ? Py_NewRef(op) : PyMethod_New(op, instance);
#endif
}

static PyObject *
callable_repr(PyObject *op)
{
    (void)op;
    return Str_FromString("<function backports.makefile.backport_makefile>");
}

static PyObject *
callable_reduce(PyObject *op, PyObject *unused)
{
    (void)op, (void)unused;
    return Str_FromString("backport_makefile");
}

/* The attributes of a function, whose values are C strings. */
static PyObject *
callable_string(PyObject *op, void *closure)
{
    (void)op;
    return Str_FromString(closure);
}

static const char callable_doc[] =
    "Return a file object over the socket object self, as Python 3's socket.makefile() does.\n"
    "\n"
    "self: the socket, or socket-like object; as an attribute of a class it is passed in as for any method.\n"
    "mode: 'r', 'w', 'rw', with or without 'b'; without 'b' the file is text.\n"
    "buffering: the size of the buffer, in bytes; 0 gives the raw stream, binary only; None or negative\n"
    "    means io.DEFAULT_BUFFER_SIZE; 1 is a buffer of one byte.\n"
    "encoding, errors, newline: as for io.TextIOWrapper; of no effect on binary files.\n"
    "\n"
    "Returns an io.BufferedReader, io.BufferedWriter, io.BufferedRWPair, io.TextIOWrapper or SocketIO.\n"
    "Raises ValueError for a mode with other letters, and for unbuffered text; TypeError for arguments of a\n"
    "wrong type; AttributeError if the socket has nothing that counts its open files; LookupError for an\n"
    "unknown encoding.  After any of them the socket's count is what it was before.\n"
    "\n"
    "**Source:** socket.socket.makefile of CPython 3.6 to 3.13, Doc/library/socket.rst.";

static PyGetSetDef callable_getset[] = {
    {"__name__", callable_string, NULL, NULL, (void *)"backport_makefile"},
    {"__qualname__", callable_string, NULL, NULL, (void *)"backport_makefile"},
#if PYTHON2 /* later types carry it, from their spec's name */
    {"__module__", callable_string, NULL, NULL, (void *)"backports.makefile"},
#endif
    {"__doc__", callable_string, NULL, NULL, (void *)callable_doc},
    {"__text_signature__", callable_string, NULL, NULL,
     (void *)"(self, mode='r', buffering=None, encoding=None, errors=None, newline=None)"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef callable_methods[] = {
    {"__reduce__", callable_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#if HAVE_VECTORCALL
static PyMemberDef callable_members[] = {
    {"__vectorcalloffset__", MEMBER_SSIZE_T, offsetof(makefile_callable, vectorcall), MEMBER_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
#define CALLABLE_FLAGS (Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_HAVE_GC)
#else
#define CALLABLE_FLAGS 0
#endif

#if HAVE_TYPE_VISIT
static int
callable_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return 0;
}
#endif

static void
callable_dealloc(PyObject *op)
{
#if HAVE_TYPE_VISIT
    PyObject_GC_UnTrack(op);
#endif
    if (((makefile_callable *)op)->weakreflist != NULL) {
        PyObject_ClearWeakRefs(op); /* unreached: it dies with its module, by the collector, which has cleared them */
    }
    object_free(op, callable_dealloc);
}

static PyType_Slot callable_slots[] = {
    {Py_tp_dealloc, SLOT_FUNCTION(callable_dealloc)},
#if HAVE_TYPE_VISIT
    {Py_tp_traverse, SLOT_FUNCTION(callable_traverse)},
#endif
    {Py_tp_repr, SLOT_FUNCTION(callable_repr)},
#if HAVE_VECTORCALL
    {Py_tp_call, SLOT_FUNCTION(PyVectorcall_Call)},
    {Py_tp_members, callable_members},
#else
    {Py_tp_call, SLOT_FUNCTION(callable_call)},
#endif
    {Py_tp_descr_get, SLOT_FUNCTION(callable_descr_get)},
    {Py_tp_methods, callable_methods},
    {Py_tp_getset, callable_getset},
    {0, NULL},
};

static PyType_Spec callable_spec = {
    "backports.makefile.makefile_function", sizeof(makefile_callable), 0, Py_TPFLAGS_DEFAULT | CALLABLE_FLAGS, callable_slots,
};

/* The one instance: a new reference, or NULL with an exception. */
static PyObject *
callable_new(PyTypeObject *type)
{
    makefile_callable *self = (makefile_callable *)type->tp_alloc(type, 0);

#if HAVE_VECTORCALL
    if (self != NULL) {
        self->vectorcall = callable_vectorcall;
    }
#endif
    return (PyObject *)self;
}

/* ---- The module: a ladder of steps ------------------------------------------------------------------------------- */

static int
intern_names(makefile_state *state)
{
#define INTERN(name, spelling)                                          \
    if ((state->str_##name = Str_InternFromString(spelling)) == NULL) { \
        return -1;                                                      \
    }
    STATE_NAMES(INTERN)
#undef INTERN
    if ((state->one = Int_FromLong(1)) == NULL || (state->zero = Int_FromLong(0)) == NULL ||
        (state->would_block_errno = Int_FromLong(EAGAIN)) == NULL || (state->interrupted_errno = Int_FromLong(EINTR)) == NULL) {
        return -1; /* unreached: small ints take no memory */
    }
    return 0;
}

/* Attribute `name` of the module `module_name`, a new reference. */
static PyObject *
import_attribute(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttrString(module, name);

    Py_XDECREF(module);
    return value;
}

/* Finds the method `name` of the C socket type, which is there as long as the interpreter is.  0, or -1 with an exception. */
static int
find_csocket_method(const makefile_state *state, PyTypeObject *descriptor_type, const char *name, csocket_method *method)
{
    PyObject *descriptor = PyObject_GetAttrString(state->csocket_type, name);

    if (descriptor == NULL) {
        return -1;
    }
    Py_DECREF(descriptor); /* the class keeps it */
    if (Py_TYPE(descriptor) != descriptor_type || !type_is_immutable((PyTypeObject *)state->csocket_type)) {
        /* unreached: some later Python's */
        PyErr_Format(PyExc_ImportError, "this interpreter's _socket.socket.%s is not a C method that stays", name);
        return -1;
    }
    method->definition = ((PyMethodDescrObject *)descriptor)->d_method;
    memset(&method->heir, 0, sizeof method->heir);
    return 0;
}

static int
find_csocket_methods(makefile_state *state)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)&PyList_Type, "append"); /* 2.7 does not export the type */
    PyTypeObject *type;
    csocket_method fileno, gettimeout;

    if (descriptor == NULL) {
        return -1;
    }
    type = Py_TYPE(descriptor);
    Py_DECREF(descriptor);
    if (find_csocket_method(state, type, "recv_into", &state->transfer.methods.recv_into) < 0 ||
        find_csocket_method(state, type, "send", &state->transfer.methods.send) < 0 ||
        find_csocket_method(state, type, "fileno", &fileno) < 0 ||
        find_csocket_method(state, type, "gettimeout", &gettimeout) < 0) {
        return -1;
    }
    if (fileno.definition->ml_flags != METH_NOARGS ||
        gettimeout.definition->ml_flags != METH_NOARGS) { /* unreached: as above */
        PyErr_SetString(PyExc_ImportError, "this interpreter's C socket is not asked as this extension does");
        return -1;
    }
    state->transfer.methods.fileno = fileno.definition->ml_meth;
    state->transfer.methods.gettimeout = gettimeout.definition->ml_meth;
    return 0;
}

#if PYTHON2
/* 2.7's socket.socket, and what a closed one has in the place of its methods.  From one import: another may, without memory, run the
   module anew, and its classes are others then. */
static int
find_python2_socket(makefile_state *state)
{
    PyObject *module = PyImport_ImportModule("socket"), *dummy = NULL;

    if (module != NULL && (state->python2_socket = PyObject_GetAttrString(module, "_socketobject")) != NULL &&
        (state->python2_closed = PyObject_GetAttrString(module, "_closedsocket")) != NULL &&
        (dummy = PyObject_GetAttrString(state->python2_closed, "_dummy")) != NULL) {
        state->python2_dummy = PyMethod_Check(dummy) ? Py_NewRef(PyMethod_GET_FUNCTION(dummy)) : Py_NewRef(Py_None);
    }
    Py_XDECREF(dummy);
    Py_XDECREF(module);
    return state->python2_dummy == NULL ? -1 : 0;
}
#else
/* Is it a function of the socket module that has no more than these to do with: does reference.c know its work?  -1 with an exception. */
static int
is_known_decref(const makefile_state *state, PyObject *function, PyObject *socket_module)
{
    PyObject *names, *used;
    int known;

    if (!PyFunction_Check(function) || PyFunction_GET_CLOSURE(function) != NULL ||
        PyFunction_GET_GLOBALS(function) != PyModule_GetDict(socket_module)) {
        return 0;
    }
    names = PyTuple_Pack(3, state->str_io_refs, state->str_closed_, state->str_close);
    used = names == NULL ? NULL : PyObject_GetAttrString(PyFunction_GET_CODE(function), "co_names");
    known = used == NULL ? -1 : PyObject_RichCompareBool(used, names, Py_EQ);
    Py_XDECREF(used);
    Py_XDECREF(names);
    return known;
}

/* The slots that it counts in, if it does: what reference.c needs to do its work.  0, or -1 with an exception. */
static int
find_socket_slots(makefile_state *state, PyObject *socket)
{
    int found;
    PyObject *io_refs = object_get_optional_attr(socket, state->str_io_refs, &found);
    PyObject *closed = found <= 0 ? NULL : object_get_optional_attr(socket, state->str_closed_, &found);

    if (closed != NULL && Py_TYPE(io_refs) == &PyMemberDescr_Type && Py_TYPE(closed) == &PyMemberDescr_Type) {
        state->socket_io_refs = Py_NewRef(io_refs);
        state->socket_closed = Py_NewRef(closed);
        state->socket_code = Py_NewRef(PyFunction_GET_CODE(state->socket_decref));
    }
    Py_XDECREF(closed);
    Py_XDECREF(io_refs);
    return found < 0 ? -1 : 0;
}

/* How socket.socket counts its files down, and, if that is the interpreter's own way, where.  What something else was put in the place
   of stays NULL.  0, or -1 with an exception. */
static int
find_socket_counter(makefile_state *state)
{
    PyObject *module = PyImport_ImportModule("socket");
    PyObject *socket = module == NULL ? NULL : PyObject_GetAttrString(module, "socket");
    int status = -1;

    if (socket != NULL) {
        state->socket_decref = object_get_optional_attr(socket, state->str_decref_socketios, &status);
    }
    if (status > 0) {
        status = PyModule_Check(module) ? is_known_decref(state, state->socket_decref, module) : 0;
    }
    if (status > 0) {
        status = find_socket_slots(state, socket);
    }
    Py_XDECREF(socket);
    Py_XDECREF(module);
    return status < 0 ? -1 : 0;
}
#endif

static int
find_socket(makefile_state *state)
{
    if ((state->csocket_type = import_attribute("_socket", "socket")) == NULL ||
        (state->timeout_error = import_attribute("_socket", "timeout")) == NULL ||
        (state->socket_error = import_attribute("_socket", "error")) == NULL) {
        return -1;
    }
#if PYTHON2
    if (find_python2_socket(state) < 0) {
        return -1;
    }
#else
    if (find_socket_counter(state) < 0) {
        return -1;
    }
#endif
    if (find_csocket_methods(state) < 0) {
        return -1;
    }
    state->transfer.timeout_error = state->timeout_error;
    state->transfer.socket_error = state->socket_error;
    return 0;
}

/* Registers `type` with the abstract class, if it is one that takes it: install() puts our own type there. */
static int
register_with(const char *module_name, const char *name, PyObject *type)
{
    PyObject *abstract = import_attribute(module_name, name);
    PyObject *registered = NULL;
    int found = -1;

    if (abstract != NULL) {
        PyObject *method, *str_register = Str_FromString("register");

        method = str_register == NULL ? NULL : object_get_optional_attr(abstract, str_register, &found);
        if (method != NULL) {
            registered = PyObject_CallOneArg(method, type);
            Py_DECREF(method);
            found = registered == NULL ? -1 : 1;
        }
        Py_XDECREF(str_register);
    }
    Py_XDECREF(registered);
    Py_XDECREF(abstract);
    return found < 0 ? -1 : 0;
}

static int
find_io(makefile_state *state, PyTypeObject **raw_io_base)
{
    PyObject *size;

    *raw_io_base = NULL;
#if HAVE_TEXT_ENCODING
    if ((state->text_encoding = import_attribute("io", "text_encoding")) == NULL) {
        return -1;
    }
#endif
#if HAVE_MODULE_STATE
    if ((state->unsupported_operation = import_attribute("io", "UnsupportedOperation")) == NULL) {
        return -1;
    }
#endif
    if ((state->buffered_reader = import_attribute("_io", "BufferedReader")) == NULL ||
        (state->buffered_writer = import_attribute("_io", "BufferedWriter")) == NULL ||
        (state->buffered_rw_pair = import_attribute("_io", "BufferedRWPair")) == NULL ||
        (size = import_attribute("_io", "DEFAULT_BUFFER_SIZE")) == NULL) {
        return -1;
    }
    state->chunk_nbytes = PyNumber_AsSsize_t(size, PyExc_OverflowError);
    Py_DECREF(size);
    if (PyErr_Occurred() || (*raw_io_base = (PyTypeObject *)import_attribute("_io", "_RawIOBase")) == NULL ||
        socketio_check_base(*raw_io_base) < 0 ||
        (state->raw_read = PyObject_GetAttr((PyObject *)*raw_io_base, state->str_read)) == NULL) {
        Py_CLEAR(*raw_io_base);
        return -1;
    }
    return 0;
}

static int
find_finalizer_reporting(makefile_state *state)
{
    state->reports_finalizer_errors = REPORTS_FINALIZER_ERRORS == 1;
#if REPORTS_FINALIZER_ERRORS == 2
#ifdef Py_DEBUG
    state->reports_finalizer_errors = 1;
#else
    {
        PyObject *flags = PySys_GetObject("flags"); /* borrowed */
        PyObject *dev_mode = flags == NULL ? NULL : PyObject_GetAttrString(flags, "dev_mode");

        if (flags == NULL) {
            PyErr_NoMemory(); /* PySys_GetObject does not say so */
        }
        state->reports_finalizer_errors = dev_mode == NULL ? -1 : PyObject_IsTrue(dev_mode);
        Py_XDECREF(dev_mode);
    }
#endif
#endif
    return state->reports_finalizer_errors < 0 ? -1 : 0;
}

static int
make_types(makefile_state *state, PyObject *module, PyTypeObject *raw_io_base)
{
    static PyTypeObject callable_storage; /* 2.7 */

    if ((state->socketio_type = (PyObject *)socketio_type_new(module, raw_io_base)) == NULL ||
        (state->callable_type = (PyObject *)type_from_spec(module, &callable_spec, NULL, &callable_storage)) == NULL) {
        return -1;
    }
    ((PyTypeObject *)state->callable_type)->tp_weaklistoffset = offsetof(makefile_callable, weakreflist);
    if ((state->backport_makefile = callable_new((PyTypeObject *)state->callable_type)) == NULL) {
        return -1;
    }
    return 0;
}

/* isinstance() says yes to what programs ask for.  At every import: each interpreter has abstract classes of its own. */
static int
register_type(const makefile_state *state)
{
    if (register_with("io", "RawIOBase", state->socketio_type) < 0) {
        return -1;
    }
    return PYTHON2 ? 0 : register_with("socket", "SocketIO", state->socketio_type);
}

static int
state_fill(makefile_state *state, PyObject *module)
{
    PyTypeObject *raw_io_base = NULL;
    int status;

    transfer_setup();
    if (intern_names(state) < 0 || find_io(state, &raw_io_base) < 0) {
        return -1;
    }
    status =
        find_socket(state) < 0 || find_finalizer_reporting(state) < 0 || make_types(state, module, raw_io_base) < 0 ? -1 : 0;
    Py_DECREF(raw_io_base);
    return status;
}

static int
add_object(PyObject *module, const char *name, PyObject *value)
{
    Py_INCREF(value);
    if (PyModule_AddObject(module, name, value) < 0) {
        Py_DECREF(value);
        return -1;
    }
    return 0;
}

static void
state_drop(makefile_state *state)
{
#define DROP_NAME(name, spelling) Py_CLEAR(state->str_##name);
#define DROP_OBJECT(name) Py_CLEAR(state->name);
    STATE_NAMES(DROP_NAME)
    STATE_OBJECTS(DROP_OBJECT)
#undef DROP_NAME
#undef DROP_OBJECT
}

/* 0, or -1 with an exception set. */
static int
module_exec(PyObject *module)
{
#if HAVE_MODULE_STATE
    makefile_state *state = PyModule_GetState(module);

    if (state_fill(state, module) < 0) {
        return -1; /* the module dies, and its state with it */
    }
    state_remember(state);
#else
    makefile_state *state = &static_state;

    if (state->backport_makefile == NULL && state_fill(state, module) < 0) { /* one state serves every import */
        state_drop(state);
        return -1;
    }
#endif
    return register_type(state) < 0 || add_object(module, "SocketIO", state->socketio_type) < 0 ||
                   add_object(module, "backport_makefile", state->backport_makefile) < 0
               ? -1
               : 0;
}

PyDoc_STRVAR(module_doc, "The C implementation of backports.makefile.");

#if PYTHON2
PyMODINIT_FUNC
init_makefile(void)
{
    PyObject *module = Py_InitModule3("_makefile", NULL, module_doc);

    if (module != NULL) {
        (void)module_exec(module);
    }
}
#else
#if HAVE_MODULE_STATE
static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    makefile_state *state = PyModule_GetState(module);

    if (state != NULL) {
#define VISIT_NAME(name, spelling) Py_VISIT(state->str_##name);
#define VISIT_OBJECT(name) Py_VISIT(state->name);
        STATE_NAMES(VISIT_NAME)
        STATE_OBJECTS(VISIT_OBJECT)
#undef VISIT_NAME
#undef VISIT_OBJECT
    }
    return 0;
}

/* No m_clear: a stream that the collector took apart together with the module may still close itself.  The types' own clear breaks
   the cycle. */
static void
module_free(void *module)
{
    makefile_state *state = PyModule_GetState(module);

    if (state != NULL) {
        state_forget(state);
        state_drop(state);
    }
}
#endif

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, SLOT_FUNCTION(module_exec)},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef makefile_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "backports.makefile._makefile",
    .m_doc = module_doc,
    .m_slots = module_slots,
#if HAVE_MODULE_STATE
    .m_size = sizeof(makefile_state),
    .m_traverse = module_traverse,
    .m_free = module_free,
#endif
};

PyMODINIT_FUNC
PyInit__makefile(void)
{
    return PyModuleDef_Init(&makefile_module);
}
#endif
