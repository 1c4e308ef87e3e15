/* makefile.c: backport_makefile: arguments, and raw -> Buffered -> Text. */
#include "makefile.h"

#include "socketio.h"
#include "state.h"

/* ---- The mode and the size of the buffer ----------------------------------------------------- */

/* io.name: a new reference, or NULL with an exception.  It is looked up at every call, as the
   interpreter's own makefile does. */
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

/* set(mode) <= {"r", "w", "b"}, for anything that can be iterated.  0, or -1 with ValueError or
   what iterating raised. */
static int
check_mode(const makefile_state *state, PyObject *mode)
{
    PyObject *left = PySet_New(mode), *values;
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
    if (nleft == 0) {
        return 0;
    }
    values = PyTuple_Pack(1, mode);
    if (values != NULL) {
        raise_formatted(PyExc_ValueError, "invalid mode %r (only r, w, b allowed)", values);
        Py_DECREF(values);
    }
    return -1;
}

/* 0, or -1 with an exception set. */
static int
parse_mode(const makefile_state *state, PyObject *mode, makefile_mode *parsed)
{
    if (mode == state->str_rb) { /* a literal is the interned string: what most programs ask for */
        parsed->reading = parsed->binary = 1;
        parsed->writing = 0;
        return 0;
    }
    if (check_mode(state, mode) < 0 ||
        (parsed->writing = PySequence_Contains(mode, state->str_w)) < 0 ||
        (parsed->reading = PySequence_Contains(mode, state->str_r)) < 0 ||
        (parsed->binary = PySequence_Contains(mode, state->str_b)) < 0) {
        return -1;
    }
    parsed->reading |= !parsed->writing;
    return 0;
}

/* The size of the buffer in bytes, as an object: a new reference, or NULL with an exception.
   *unbuffered: it is zero. */
static PyObject *
parse_buffering(const makefile_state *state, PyObject *io, PyObject *buffering, int *unbuffered)
{
    PyObject *size;
    Py_ssize_t nbytes;
    int negative =
        buffering == Py_None ? 1 : PyObject_RichCompareBool(buffering, state->zero, Py_LT);

    if (negative < 0) {
        return NULL;
    }
    size = negative ? io_attribute(io, state->str_default_buffer_size) : Py_NewRef(buffering);
    if (size == NULL) {
        return NULL;
    }
    *unbuffered = exact_int_as_ssize(size, &nbytes)
                      ? nbytes == 0
                      : PyObject_RichCompareBool(size, state->zero, Py_EQ);
    if (*unbuffered < 0) {
        Py_CLEAR(size);
    }
    return size;
}

/* ---- The stream ------------------------------------------------------------------------------ */

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
wrap_raw(const makefile_state *state, PyObject *io, PyObject *raw, const makefile_mode *mode,
         PyObject *size)
{
    const int pair = mode->reading && mode->writing;
    PyObject *const raw_size[] = {raw, size}, *const raw_raw_size[] = {raw, raw, size};
    PyObject *name = pair            ? state->str_buffered_rw_pair
                     : mode->writing ? state->str_buffered_writer
                                     : state->str_buffered_reader;
    PyObject *own = pair            ? state->buffered_rw_pair
                    : mode->writing ? state->buffered_writer
                                    : state->buffered_reader;
    PyObject *wrapper = io_attribute(io, name), *buffer;
    Py_ssize_t nbytes;

    if (wrapper == NULL) {
        return NULL;
    }
    /* Not with an `__index__` that could ask as well. */
    socketio_set_wrapping(raw, wrapper == own && exact_int_as_ssize(size, &nbytes));
    buffer = pair ? object_call(wrapper, raw_raw_size, 3) : object_call(wrapper, raw_size, 2);
    socketio_set_wrapping(raw, 0);
    Py_DECREF(wrapper);
    return buffer;
}

/* The stream that the arguments ask for, over `raw`: a new reference, or NULL with an exception. */
static PyObject *
compose(const makefile_state *state, PyObject *io, PyObject *raw, const makefile_mode *mode,
        PyObject *const args[N_ARGS])
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

/* The work of backport_makefile(), with all arguments in place and held.  A new reference, or NULL
   with an exception set and the sock's counter as it was. */
static PyObject *
makefile(makefile_state *state, PyObject *const args[N_ARGS])
{
    makefile_mode mode;
    PyObject *io, *raw, *stream;

    if (parse_mode(state, args[ARG_MODE], &mode) < 0) {
        return NULL;
    }
    raw = socketio_open(state, args[ARG_SELF], mode.reading, mode.writing);
    if (raw == NULL) {
        return NULL;
    }
    io = state_io_module(state);
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

/* ---- The callable: in C, but it binds as a function of Python does --------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *dict; /* Owned: what is set on it */
    PyObject *weakreflist;
    makefile_state *state; /* Owned by the module, which its type keeps */
#if HAVE_VECTORCALL
    vectorcallfunc vectorcall;
#endif
} makefile_callable;

/* The arguments of one call.  All are held: who calls may only borrow them, and let them go while a
   counter's setter or an `__index__` runs. */
typedef struct {
    PyObject *placed[N_ARGS]; /* Owned; NULL: not given */
} call_arguments;

static void
release_arguments(call_arguments *arguments)
{
    int i;

    for (i = 0; i < N_ARGS; i++) {
        Py_XDECREF(arguments->placed[i]);
    }
}

/* 0, or -1 with TypeError. */
static int
place_positional(call_arguments *arguments, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t i;

    if (nargs > N_ARGS) {
        PyErr_Format(PyExc_TypeError, "backport_makefile() takes at most %d arguments (%zd given)",
                     (int)N_ARGS, nargs);
        return -1;
    }
    for (i = 0; i < nargs; i++) {
        arguments->placed[i] = Py_NewRef(args[i]);
    }
    return 0;
}

/* The place of the argument of this name, N_ARGS if there is none, or -1 with an exception. */
static int
find_place(const makefile_state *state, PyObject *name)
{
    PyObject *const names[N_ARGS] = {state->str_arg_self,      state->str_mode,
                                     state->str_arg_buffering, state->str_arg_encoding,
                                     state->str_arg_errors,    state->str_arg_newline};
    int i;

    for (i = 0; i < N_ARGS; i++) {
        if (name == names[i]) {
            return i;
        }
    }
    for (i = 0; i < N_ARGS; i++) { /* not the interned string itself */
        int same = PyObject_RichCompareBool(name, names[i], Py_EQ);

        if (same != 0) {
            return same < 0 ? -1 : i;
        }
    }
    return N_ARGS;
}

/* 0, or -1 with TypeError. */
static int
place_keyword(const makefile_state *state, call_arguments *arguments, PyObject *name,
              PyObject *value)
{
    int i;

    Py_INCREF(value);
    i = find_place(state, name);
    if (i >= 0 && i < N_ARGS && arguments->placed[i] == NULL) {
        arguments->placed[i] = value;
        return 0;
    }
    Py_DECREF(value);
    if (i >= 0) {
        raise_formatted(PyExc_TypeError,
                        i == N_ARGS ? "backport_makefile() got an unexpected keyword argument %r"
                                    : "backport_makefile() got multiple values for argument %r",
                        name);
    }
    return -1;
}

/* Fills the places left, and does the work. */
static PyObject *
call_placed(makefile_state *state, call_arguments *arguments)
{
    PyObject **placed = arguments->placed;
    int i;

    if (placed[ARG_SELF] == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "backport_makefile() missing 1 required positional argument: 'self'");
        return NULL;
    }
    if (placed[ARG_MODE] == NULL) {
        placed[ARG_MODE] = Py_NewRef(state->str_r);
    }
    for (i = ARG_BUFFERING; i < N_ARGS; i++) {
        if (placed[i] == NULL) {
            placed[i] = Py_NewRef(Py_None);
        }
    }
    return makefile(state, placed);
}

#if HAVE_VECTORCALL
static PyObject *
callable_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    call_arguments arguments = {{NULL}};
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    makefile_state *state = ((makefile_callable *)op)->state;
    Py_ssize_t i, nkeywords = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    int status;
    PyObject *result = NULL;

    Py_INCREF(op);
    Py_XINCREF(kwnames);
    for (i = 0; i < nkeywords; i++) {
        Py_INCREF(args[nargs + i]); /* before a name is compared, which may run code */
    }
    status = place_positional(&arguments, args, nargs);
    for (i = 0; status == 0 && i < nkeywords; i++) {
        status = place_keyword(state, &arguments, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]);
    }
    if (status == 0) {
        result = call_placed(state, &arguments);
    }
    release_arguments(&arguments);
    for (i = 0; i < nkeywords; i++) {
        Py_DECREF(args[nargs + i]);
    }
    Py_XDECREF(kwnames);
    Py_DECREF(op);
    return result;
}
#else
static PyObject *
callable_call(PyObject *op, PyObject *args, PyObject *kwargs)
{
    call_arguments arguments = {{NULL}};
    makefile_state *state = ((makefile_callable *)op)->state;
    PyObject *name, *value, *result = NULL;
    Py_ssize_t position = 0;
    int status = place_positional(&arguments, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args));

    Py_INCREF(op);
    while (status == 0 && kwargs != NULL && PyDict_Next(kwargs, &position, &name, &value)) {
        Py_INCREF(name); /* the dict may be the caller's own, and be emptied meanwhile */
        status = place_keyword(state, &arguments, name, value);
        Py_DECREF(name);
    }
    if (status == 0) {
        result = call_placed(state, &arguments);
    }
    release_arguments(&arguments);
    Py_DECREF(op);
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

/* The dict is there from the start: 2.7 and 3.6 have no public way to make it when it is asked
   for. */
static PyObject *
callable_dict(PyObject *op, void *unused)
{
    (void)unused;
    return Py_NewRef(((makefile_callable *)op)->dict);
}

static const char callable_doc[] =
    "Return a file object over the socket object self, as Python 3's socket.makefile() does.\n"
    "\n"
    "self: the socket, or socket-like object; as an attribute of a class it is passed in as for "
    "any method.\n"
    "mode: 'r', 'w', 'rw', with or without 'b'; without 'b' the file is text.\n"
    "buffering: the size of the buffer, in bytes; 0 gives the raw stream, binary only; None or "
    "negative\n"
    "    means io.DEFAULT_BUFFER_SIZE; 1 is a buffer of one byte.\n"
    "encoding, errors, newline: as for io.TextIOWrapper; of no effect on binary files.\n"
    "\n"
    "Returns an io.BufferedReader, io.BufferedWriter, io.BufferedRWPair, io.TextIOWrapper or "
    "SocketIO.\n"
    "Raises ValueError for a mode with other letters, and for unbuffered text; TypeError for "
    "arguments of a\n"
    "wrong type; AttributeError if the socket has nothing that counts its open files; LookupError "
    "for an\n"
    "unknown encoding.  After any of them the socket's count is what it was before.\n"
    "\n"
    "**Source:** socket.socket.makefile of CPython 3.6 to 3.15, Doc/library/socket.rst.";

static PyGetSetDef callable_getset[] = {
    {"__name__", callable_string, NULL, NULL, (void *)"backport_makefile"},
    {"__qualname__", callable_string, NULL, NULL, (void *)"backport_makefile"},
#if PYTHON2 /* later types carry it, from their spec's name */
    {"__module__", callable_string, NULL, NULL, (void *)"backports.makefile"},
#endif
    {"__doc__", callable_string, NULL, NULL, (void *)callable_doc},
    {"__text_signature__", callable_string, NULL, NULL,
     (void *)"(self, mode='r', buffering=None, encoding=None, errors=None, newline=None)"},
    {"__dict__", callable_dict, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef callable_methods[] = {
    {"__reduce__", callable_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#if HAVE_VECTORCALL
static PyMemberDef callable_members[] = {
    {"__vectorcalloffset__", MEMBER_SSIZE_T, offsetof(makefile_callable, vectorcall),
     MEMBER_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
#define CALLABLE_FLAGS (Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR)
#else
#define CALLABLE_FLAGS 0
#endif

static int
callable_traverse(PyObject *op, visitproc visit, void *arg)
{
#if HAVE_TYPE_VISIT
    Py_VISIT(Py_TYPE(op));
#endif
    Py_VISIT(((makefile_callable *)op)->dict);
    return 0;
}

static int
callable_clear(PyObject *op)
{
    PyObject *dict = ((makefile_callable *)op)->dict;

    if (dict != NULL) {
        PyDict_Clear(dict); /* it stays: who still has the function may ask for it */
    }
    return 0;
}

static void
callable_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    if (((makefile_callable *)op)->weakreflist != NULL) {
        PyObject_ClearWeakRefs(op); /* unreached: it dies with its module, by the collector */
    }
    Py_CLEAR(((makefile_callable *)op)->dict);
    object_free(op, callable_dealloc);
}

static PyType_Slot callable_slots[] = {
    {Py_tp_dealloc, SLOT_FUNCTION(callable_dealloc)},
    {Py_tp_traverse, SLOT_FUNCTION(callable_traverse)},
    {Py_tp_clear, SLOT_FUNCTION(callable_clear)},
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
    "backports.makefile.makefile_function",
    sizeof(makefile_callable),
    0,
    Py_TPFLAGS_DEFAULT | CALLABLE_FLAGS | Py_TPFLAGS_HAVE_GC,
    callable_slots,
};

PyTypeObject *
makefile_type_new(PyObject *module)
{
    static PyTypeObject storage; /* 2.7 */
    PyTypeObject *type = type_from_spec(module, &callable_spec, NULL, &storage);

    if (type != NULL) {
        type->tp_weaklistoffset = offsetof(makefile_callable, weakreflist);
        type->tp_dictoffset = offsetof(makefile_callable, dict);
        type->tp_new = NULL; /* there is one, made below */
    }
    return type;
}

PyObject *
makefile_new(makefile_state *state)
{
    PyTypeObject *type = (PyTypeObject *)state->callable_type;
    makefile_callable *self = (makefile_callable *)type->tp_alloc(type, 0);
    PyObject *annotations = self == NULL ? NULL : PyDict_New();

    if (self != NULL) {
        self->state = state;
        self->dict = PyDict_New();
#if HAVE_VECTORCALL
        self->vectorcall = callable_vectorcall;
#endif
    }
    if (annotations == NULL || self->dict == NULL ||
        PyDict_SetItem(self->dict, state->str_annotations, annotations) < 0) {
        Py_CLEAR(self);
    }
    Py_XDECREF(annotations);
    return (PyObject *)self;
}
