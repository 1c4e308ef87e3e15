/* compat.h: everything that differs between the Pythons, and the only place that looks at
   PY_VERSION_HEX.

   Each shim names the version from which it can go.  The rest of src/ is written for the newest
   spelling. */
#ifndef BACKPORTS_MAKEFILE_COMPAT_H
#define BACKPORTS_MAKEFILE_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <frameobject.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#if defined(_WIN32)
#include <windows.h>
#endif

/* ---- What a version can carry ---------------------------------------------------------------- */

#if PY_VERSION_HEX >= 0x03090000
#define HAVE_MODULE_STATE 1 /* a heap type keeps its module alive, and finds its state */
#define HAVE_VECTORCALL 1   /* in public */
#define HAVE_TYPE_VISIT 1   /* an instance of a heap type visits its type */
#else
#define HAVE_MODULE_STATE 0
#define HAVE_VECTORCALL 0
#define HAVE_TYPE_VISIT 0
#endif

#if PY_VERSION_HEX >= \
    0x03000000 /* the collector finalises before it clears, and heap types come from a spec */
#define HAVE_FINALIZE 1
#else
#define HAVE_FINALIZE 0
#endif

#if PY_VERSION_HEX >= 0x030D0000
#define REPORTS_FINALIZER_ERRORS 1 /* always, through sys.unraisablehook */
#elif PY_VERSION_HEX >= 0x03080000
#define REPORTS_FINALIZER_ERRORS 2 /* in development mode, and in debug builds */
#else
#define REPORTS_FINALIZER_ERRORS 0
#endif

#if PY_VERSION_HEX >= 0x030A0000
#define WOULD_BLOCK_SOURCE \
    BY_ERRNO /* where the interpreter's SocketIO looks for EAGAIN in a socket's error */
#define HAVE_TEXT_ENCODING 1
#else
#define WOULD_BLOCK_SOURCE BY_FIRST_ARGUMENT
#define HAVE_TEXT_ENCODING 0
#endif

#if PY_VERSION_HEX >= 0x03000000
#define PYTHON2 0
#else
#define PYTHON2 1
#endif

#if PY_VERSION_HEX >= 0x030C0000
#define MEMBER_SSIZE_T Py_T_PYSSIZET
#define MEMBER_READONLY Py_READONLY
#elif PY_VERSION_HEX >= 0x03000000
#include <structmember.h>
#define MEMBER_SSIZE_T T_PYSSIZET
#define MEMBER_READONLY READONLY
#endif

/* Not for others to see, or to put their own in place of. */
#if defined(__GNUC__)
#define INTERNAL __attribute__((visibility("hidden")))
#else
#define INTERNAL
#endif

/* A function that a small read or write nearly always does without.  It stays out of their way. */
#if defined(__GNUC__)
#define SELDOM __attribute__((noinline, cold))
#else
#define SELDOM
#endif

/* ---- Spelling, 2 and 3 ----------------------------------------------------------------------- */

#if PYTHON2
#define Str_InternFromString PyString_InternFromString
#define Str_Format PyString_Format
#define Str_FromString PyString_FromString
#define Str_CheckExact PyString_CheckExact
#define Str_EqualsAscii(string, ascii) (strcmp(PyString_AS_STRING(string), (ascii)) == 0)
#define Int_FromLong PyInt_FromLong
#define Int_FromSsize_t PyInt_FromSsize_t
/* EINTR comes out of Python 2's own methods; from 3.5 they try again themselves (PEP 475). */
#define RETRIES_DELEGATED_EINTR 1
#define SOCKET_ERROR_BASE PyExc_EnvironmentError
#else
#define Str_InternFromString PyUnicode_InternFromString
#define Str_Format PyUnicode_Format
#define Str_FromString PyUnicode_FromString
#define Str_CheckExact PyUnicode_CheckExact
#define Str_EqualsAscii(string, ascii) (PyUnicode_CompareWithASCIIString((string), (ascii)) == 0)
#define Int_FromLong PyLong_FromLong
#define Int_FromSsize_t PyLong_FromSsize_t
#define RETRIES_DELEGATED_EINTR 0
#define SOCKET_ERROR_BASE PyExc_OSError
#endif

/* An int of exactly that type that fits: returns 1 and sets *value, else 0, never with an
   exception. */
static inline int
exact_int_as_ssize(PyObject *object, Py_ssize_t *value)
{
#if PYTHON2
    if (PyInt_CheckExact(object)) {
        *value = PyInt_AS_LONG(object);
        return 1;
    }
#endif
    if (!PyLong_CheckExact(object)) {
        return 0;
    }
    *value = PyLong_AsSsize_t(object);
    if (*value == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return 1;
}

static inline int
is_int(PyObject *object)
{
#if PYTHON2
    return PyInt_Check(object) || PyLong_Check(object);
#else
    return PyLong_Check(object);
#endif
}

/* ---- Names that are younger than some version ------------------------------------------------ */

#if PY_VERSION_HEX < 0x030A0000 && !defined(Py_NewRef)
static inline PyObject *
Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
#endif

#if PY_VERSION_HEX < 0x030A0000 && !defined(Py_XNewRef)
static inline PyObject *
Py_XNewRef(PyObject *object)
{
    Py_XINCREF(object);
    return object;
}
#endif

#if PY_VERSION_HEX < 0x03090000
#define PyObject_CallNoArgs(callable) PyObject_CallObject((callable), NULL)
#define PyObject_CallOneArg(callable, arg) PyObject_CallFunctionObjArgs((callable), (arg), NULL)
#define PyObject_CallMethodNoArgs(self, name) PyObject_CallMethodObjArgs((self), (name), NULL)
#endif

/* callable(*args): PyObject_Vectorcall without keywords, from 3.9 on. */
static inline PyObject *
object_call(PyObject *callable, PyObject *const *args, Py_ssize_t nargs)
{
#if HAVE_VECTORCALL
    return PyObject_Vectorcall(callable, args, (size_t)nargs, NULL);
#else
    PyObject *tuple = PyTuple_New(nargs), *result;
    Py_ssize_t i;

    if (tuple == NULL) {
        return NULL; /* unreached: small tuples have a free list */
    }
    for (i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    result = PyObject_CallObject(callable, tuple);
    Py_DECREF(tuple);
    return result;
#endif
}

/* dict[key], a new reference; NULL, where it is missing with no exception. */
static inline PyObject *
dict_get(PyObject *dict, PyObject *key)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *value;

    (void)PyDict_GetItemRef(dict, key, &value);
    return value;
#elif PYTHON2
    return Py_XNewRef(PyDict_GetItem(dict, key));
#else
    return Py_XNewRef(PyDict_GetItemWithError(dict, key));
#endif
}

/* Fields that another thread may write while this one reads; plain where a GIL orders the two. */
#ifdef Py_GIL_DISABLED
#define FIELD_LOAD(lvalue) __atomic_load_n(&(lvalue), __ATOMIC_RELAXED)
#define FIELD_STORE(lvalue, value) __atomic_store_n(&(lvalue), (value), __ATOMIC_RELAXED)
#else
#define FIELD_LOAD(lvalue) (lvalue)
#define FIELD_STORE(lvalue, value) ((lvalue) = (value))
#endif

/* Can no class of a Python program's change the attributes of this one? */
static inline int
type_is_immutable(PyTypeObject *type)
{
#ifdef Py_TPFLAGS_IMMUTABLETYPE /* 3.10 */
    return (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) != 0;
#else
    return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0;
#endif
}

/* A number that changes with every change of a class that derives from a C type alone, and that no
   other class ever has; 0 where there is none.  Up to 3.11 it is that of the class's dict (PEP
   509): the type's own is used again after sys._clear_type_cache(). */
static inline uint64_t
class_version(PyTypeObject *type)
{
#if PYTHON2
    (void)type;
    return 0;
#elif PY_VERSION_HEX >= 0x030C0000
    return FIELD_LOAD(type->tp_version_tag);
#else
    return ((PyDictObject *)type->tp_dict)->ma_version_tag;
#endif
}

/* The same, for a class that may have none yet. */
static inline uint64_t
class_version_of(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030C0000
    (void)PyUnstable_Type_AssignVersionTag(type); /* one that has changed too often gets none */
#endif
    return class_version(type);
}

#ifndef Py_BEGIN_CRITICAL_SECTION /* 3.13; without it a GIL guards the fields of an object */
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

/* Documented and public in spite of its name. */
#define bytes_resize _PyBytes_Resize

/* ---- Errors and look-ups that tell "absent" -------------------------------------------------- */

/* PyErr_ExceptionMatches, which on 2.7 needs memory to tell, and says no where there is none. */
static inline int
raised_matches(PyObject *wanted)
{
#if PYTHON2
    PyObject *type = PyErr_Occurred();

    return type != NULL && PyType_Check(type) &&
           PyType_IsSubtype((PyTypeObject *)type, (PyTypeObject *)wanted);
#else
    return PyErr_ExceptionMatches(wanted);
#endif
}

typedef enum { ATTR_ERROR = -1, ATTR_ABSENT, ATTR_FOUND } attr_found;

/* object.name.  ATTR_FOUND: *value is a new reference.  ATTR_ABSENT: AttributeError was raised, and
   is cleared.  ATTR_ERROR: any other exception, which is set.  Public from 3.13 on. */
static inline attr_found
object_get_optional_attr(PyObject *object, PyObject *name, PyObject **value)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (attr_found)PyObject_GetOptionalAttr(object, name, value);
#elif PY_VERSION_HEX >= 0x03070000 && PY_VERSION_HEX < 0x030C0000
    return (attr_found)_PyObject_LookupAttr(object, name, value);
#else
#if PYTHON2
    PyTypeObject *type = Py_TYPE(object);

    if (type->tp_getattro == PyObject_GenericGetAttr && _PyType_Lookup(type, name) == NULL) {
        PyObject **dict = _PyObject_GetDictPtr(object);

        if (dict == NULL || *dict == NULL || PyDict_GetItem(*dict, name) == NULL) {
            *value = NULL; /* without an exception, whose message takes as long as all the rest */
            return ATTR_ABSENT;
        }
    }
#endif
    *value = PyObject_GetAttr(object, name);
    if (*value != NULL) {
        return ATTR_FOUND;
    }
    if (!raised_matches(PyExc_AttributeError)) {
        return ATTR_ERROR;
    }
    PyErr_Clear();
    return ATTR_ABSENT;
#endif
}

/* ---- The exception in flight: taken, looked at, put back.  3.12 has one object for it. ------- */

#if PY_VERSION_HEX >= 0x030C0000
typedef struct {
    PyObject *value;
} raised_exception;

static inline void
raised_take(raised_exception *raised)
{
    raised->value = PyErr_GetRaisedException();
}

/* Makes `value` the exception object itself, as it always is from 3.12 on. */
static inline void
raised_normalize(raised_exception *raised)
{
    (void)raised;
}

static inline void
raised_restore(raised_exception *raised)
{
    PyErr_SetRaisedException(raised->value);
    raised->value = NULL;
}

static inline void
raised_drop(raised_exception *raised)
{
    Py_CLEAR(raised->value);
}
#else
typedef struct {
    PyObject *type, *value, *traceback;
} raised_exception;

static inline void
raised_take(raised_exception *raised)
{
    PyErr_Fetch(&raised->type, &raised->value, &raised->traceback);
}

static inline void
raised_normalize(raised_exception *raised)
{
    if (raised->type == NULL) {
        return;
    }
    PyErr_NormalizeException(&raised->type, &raised->value, &raised->traceback);
#if !PYTHON2
    if (raised->traceback != NULL) {
        PyException_SetTraceback(raised->value, raised->traceback);
    }
#endif
}

static inline void
raised_restore(raised_exception *raised)
{
    PyErr_Restore(raised->type, raised->value, raised->traceback);
    raised->type = raised->value = raised->traceback = NULL;
}

static inline void
raised_drop(raised_exception *raised)
{
    Py_CLEAR(raised->type);
    Py_CLEAR(raised->value);
    Py_CLEAR(raised->traceback);
}
#endif

#if !PYTHON2
/* Cuts `value` out of the contexts of `other`, where it would close a cycle: 3.6 hangs in the next
   `raise` then.  A cycle that is there already is followed once: `slow` goes half as fast, and is
   met. */
static inline void
exception_cut_context(PyObject *other, PyObject *value)
{
    PyObject *slow = other, *context;
    int steps = 0;

    while ((context = PyException_GetContext(other)) != NULL) {
        Py_DECREF(context); /* `other` holds it */
        if (context == value) {
            PyException_SetContext(other, NULL);
            return;
        }
        other = context;
        if (++steps % 2 == 0) {
            slow = PyException_GetContext(slow);
            Py_DECREF(slow); /* as above */
        }
        if (other == slow) {
            return;
        }
    }
}
#endif

/* Puts back what was taken.  If an exception was set meanwhile, that one stays, with the older as
   its context. */
static inline void
raised_restore_as_context(raised_exception *raised)
{
    raised_exception newer;

    if (!PyErr_Occurred()) {
        raised_restore(raised);
        return;
    }
    raised_take(&newer); /* first: to normalise needs memory, and without it sets an exception */
#if !PYTHON2
    raised_normalize(raised);
    raised_normalize(&newer);
    if (raised->value != NULL && newer.value != raised->value) {
        exception_cut_context(raised->value, newer.value);
        PyException_SetContext(newer.value, Py_NewRef(raised->value));
    }
#endif
    raised_restore(&newer);
    raised_drop(raised);
}

/* Tells of the exception that a finalizer left, which is set, and clears it. */
static inline void
report_finalizer_error(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030E0000
    PyErr_FormatUnraisable("Exception ignored while finalizing file %R", object);
#else
    PyErr_WriteUnraisable(object);
#endif
}

/* ---- Where a Python function is, to tell one look of the interpreter from the next ----------- */

/* The position in the code of a frame, the innermost one; -1 for none. */
static inline int
frame_position(PyFrameObject *frame)
{
    if (frame == NULL) {
        return -1;
    }
#if PY_VERSION_HEX >= 0x030B0000
    return PyFrame_GetLasti(frame);
#else
    return frame->f_lasti;
#endif
}

/* Makes the interpreter look at once at what it looks at now and then.  Python 3 is told by whoever
   wants something; 2.7 counts bytecodes. */
#if PYTHON2
#define EXPECT_INTERPRETER_CHECK() ((void)(_Py_Ticker = 0))
#define INSTRUCTIONS_TO_CHECK() _Py_Ticker
#else
#define EXPECT_INTERPRETER_CHECK() ((void)0)
#endif

/* From 3.15 on PyErr_CheckSignals() raises asynchronous exceptions too, in all threads. */
#if PY_VERSION_HEX >= 0x030F0000
#define ONLY_SIGNALS_ARE_CHECKED 0
#else
#define ONLY_SIGNALS_ARE_CHECKED 1
#endif

/* Is there more than one interpreter?  A new one is put before the others. */
#if PY_VERSION_HEX >= 0x03070000
#define FIRST_INTERPRETER_IS_MAIN() (PyInterpreterState_Head() == PyInterpreterState_Main())
#else
#define FIRST_INTERPRETER_IS_MAIN() (PyInterpreterState_Next(PyInterpreterState_Head()) == NULL)
#endif

/* From 3.13 on a thread that wants the GIL asks whoever has it.  Before, it asks its own
   interpreter alone, so that those who share the GIL with others have to give it up by
   themselves. */
#if PY_VERSION_HEX >= 0x030D0000
#define GIL_IS_ASKED_FOR_BY_OTHER_INTERPRETERS 1
#else
#define GIL_IS_ASKED_FOR_BY_OTHER_INTERPRETERS 0
#endif

/* ---- The clock ------------------------------------------------------------------------------- */

/* A monotonic clock of our own, in nanoseconds: a library that freezes Python's does not reach
   it. */
static inline long long
clock_ns(void)
{
#if defined(_WIN32)
    return (long long)GetTickCount64() * 1000000;
#else
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
#endif
}

/* ---- The bytes that a readinto() put into a bytearray ---------------------------------------- */

/* A new bytes object of the first nbytes, or NULL with an exception.  3.15 takes them out of the
   bytearray, and refuses to where it is exported. */
static inline PyObject *
bytes_from_bytearray(PyObject *bytearray, Py_ssize_t nbytes)
{
#if PY_VERSION_HEX >= 0x030F0000
    if (PyByteArray_Resize(bytearray, nbytes) < 0) {
        return NULL;
    }
    return PyObject_CallMethod(bytearray, "take_bytes", NULL);
#else
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(bytearray), nbytes);
#endif
}

/* A size as the interpreter's own read() takes it from an object that is no plain int: 1; 0 if it
   would refuse it; -1 with an exception.  2.7 takes what has `__int__`, but for floats, and not
   `__index__`. */
static inline int
size_argument(PyObject *object, Py_ssize_t *size)
{
#if PYTHON2
    if (PyFloat_Check(object) || !PyNumber_Check(object)) {
        return 0;
    }
    *size = PyInt_AsLong(object);
#else
    PyObject *index;

    if (!PyIndex_Check(object)) {
        return 0;
    }
    index = PyNumber_Index(object);
    if (index == NULL) {
        return -1;
    }
    *size = PyLong_AsSsize_t(index);
    Py_DECREF(index);
#endif
    return *size == -1 && PyErr_Occurred() ? -1 : 1;
}

/* The exception of read(size) for a size that no bytes object can have is OverflowError from 3.15
   on, which PyBytes_FromStringAndSize raises, and was MemoryError.  0, or -1 with that. */
static inline int
check_read_size(Py_ssize_t size)
{
#if PY_VERSION_HEX < 0x030F0000
    if (size > PY_SSIZE_T_MAX - 4096) {
        PyErr_NoMemory();
        return -1;
    }
#else
    (void)size;
#endif
    return 0;
}

/* ---- Methods that take positional arguments only: METH_FASTCALL as it is from 3.7 on --------- */

#if PY_VERSION_HEX >= 0x03070000
#define FASTCALL_PROTOTYPE(name) \
    INTERNAL PyObject *name(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
#define FASTCALL_METHOD(name, function)                                   \
    PyObject *name(PyObject *op, PyObject *const *args, Py_ssize_t nargs) \
    {                                                                     \
        return function(op, args, nargs);                                 \
    }
#define FASTCALL_FLAG METH_FASTCALL
#else
#define FASTCALL_PROTOTYPE(name) INTERNAL PyObject *name(PyObject *op, PyObject *args)
#define FASTCALL_METHOD(name, function)                                          \
    PyObject *name(PyObject *op, PyObject *args)                                 \
    {                                                                            \
        return function(op, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args)); \
    }
#define FASTCALL_FLAG METH_VARARGS
#endif
#define FASTCALL_FUNCTION(name) ((PyCFunction)(void (*)(void))(name))

/* A function in a slot: ISO C knows no way from a function pointer to `void *` but through an
   integer. */
#define SLOT_FUNCTION(function) ((void *)(uintptr_t)(function))

/* The name of an object's type, without the module that static C types carry in front. */
static inline const char *
type_name(PyObject *object)
{
    const char *name = Py_TYPE(object)->tp_name;
    const char *dot = strrchr(name, '.');

    return dot == NULL ? name : dot + 1;
}

/* Raises type(format % values). */
static inline void
raise_formatted(PyObject *type, const char *format, PyObject *values)
{
    PyObject *string = Str_FromString(format);
    PyObject *message = string == NULL ? NULL : Str_Format(string, values);

    if (message != NULL) {
        PyErr_SetObject(type, message);
    }
    Py_XDECREF(message);
    Py_XDECREF(string);
}

/* The object's class, borrowed: for instances of 2.7's old-style classes not their type. */
static inline PyObject *
object_class(PyObject *object)
{
#if PYTHON2
    if (PyInstance_Check(object)) {
        return (PyObject *)((PyInstanceObject *)object)->in_class;
    }
#endif
    return (PyObject *)Py_TYPE(object);
}

/* Is this a type whose buffers a Python function may make (`__buffer__`, 3.12)?  To ask such a one
   twice can be told from asking once. */
static inline int
has_python_buffer(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyObject_CheckBuffer(object) && PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HEAPTYPE);
#else
    (void)object;
    return 0;
#endif
}

/* ---- Types: a spec makes a heap type on 3, and fills a static type on 2.7 -------------------- */

#if PYTHON2
enum {
    Py_tp_dealloc = 1,
    Py_tp_traverse,
    Py_tp_clear,
    Py_tp_init,
    Py_tp_new,
    Py_tp_methods,
    Py_tp_getset,
    Py_tp_doc,
    Py_tp_repr,
    Py_tp_call,
    Py_tp_descr_get
};

typedef struct {
    int slot;
    void *pfunc;
} PyType_Slot;

typedef struct {
    const char *name;
    int basicsize;
    int itemsize;
    unsigned int flags;
    PyType_Slot *slots;
} PyType_Spec;

#define Py_TPFLAGS_HAVE_FINALIZE 0

static inline int
type_fill(PyTypeObject *type, const PyType_Spec *spec, PyTypeObject *base)
{
    const PyType_Slot *slot;

    if (type->tp_flags & Py_TPFLAGS_READY) {
        return 0; /* made by an earlier import */
    }
    Py_REFCNT(type) = 1;
    type->tp_basicsize = spec->basicsize;
    type->tp_itemsize = spec->itemsize;
    type->tp_flags = spec->flags;
    type->tp_base = base;
    for (slot = spec->slots; slot->slot != 0; slot++) {
        void *pfunc = slot->pfunc;
        switch (slot->slot) {
            case Py_tp_dealloc:
                type->tp_dealloc = (destructor)(uintptr_t)pfunc;
                break;
            case Py_tp_traverse:
                type->tp_traverse = (traverseproc)(uintptr_t)pfunc;
                break;
            case Py_tp_clear:
                type->tp_clear = (inquiry)(uintptr_t)pfunc;
                break;
            case Py_tp_init:
                type->tp_init = (initproc)(uintptr_t)pfunc;
                break;
            case Py_tp_new:
                type->tp_new = (newfunc)(uintptr_t)pfunc;
                break;
            case Py_tp_methods:
                type->tp_methods = pfunc;
                break;
            case Py_tp_getset:
                type->tp_getset = pfunc;
                break;
            case Py_tp_doc:
                type->tp_doc = pfunc;
                break;
            case Py_tp_repr:
                type->tp_repr = (reprfunc)(uintptr_t)pfunc;
                break;
            case Py_tp_call:
                type->tp_call = (ternaryfunc)(uintptr_t)pfunc;
                break;
            case Py_tp_descr_get:
                type->tp_descr_get = (descrgetfunc)(uintptr_t)pfunc;
                break;
            default: /* unreached: the specs have no other slots */
                PyErr_BadInternalCall();
                return -1;
        }
    }
    type->tp_name = spec->name;
    return PyType_Ready(type);
}
#endif

/* A new reference to the type the spec describes, derived from `base` (NULL: object); NULL with an
   exception.  On 2.7 it is `storage`, which lives as long as the process. */
static inline PyTypeObject *
type_from_spec(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject *storage)
{
    PyObject *type;
#if PYTHON2

    (void)module;
    type = type_fill(storage, spec, base) < 0 ? NULL : Py_NewRef((PyObject *)storage);
#else
    PyObject *bases = base == NULL ? NULL : PyTuple_Pack(1, base);

    (void)storage, (void)module;
    if (base != NULL && bases == NULL) {
        return NULL; /* unreached: small tuples have a free list */
    }
#if HAVE_MODULE_STATE
    type = PyType_FromModuleAndSpec(module, spec, bases);
#else
    type = PyType_FromSpecWithBases(spec, bases);
#endif
    Py_XDECREF(bases);
#endif
    if (type == NULL && !PyErr_Occurred()) {
        PyErr_NoMemory(); /* some versions forget to say so */
    }
    return (PyTypeObject *)type;
}

/* Frees the memory of an object whose fields are gone, and the reference that a heap type's
   instance holds to its type. Up to 3.7 `subtype_dealloc` drops that reference itself when it
   called us for a subclass. */
static inline void
object_free(PyObject *self, destructor own_dealloc)
{
    PyTypeObject *type = Py_TYPE(self);
#if PYTHON2
    (void)own_dealloc;
    type->tp_free(self);
#elif PY_VERSION_HEX < 0x03080000
    int owned = type->tp_dealloc == own_dealloc;
    type->tp_free(self);
    if (owned) {
        Py_DECREF(type);
    }
#else
    (void)own_dealloc;
    type->tp_free(self);
    Py_DECREF(type);
#endif
}

/* Around the deallocation of an untracked container, so that a long chain of them is not taken
   apart by recursion. */
#if PY_VERSION_HEX >= 0x030E0000 /* the interpreter does it for every container */
#define TRASHCAN_BEGIN(op, own_dealloc) {
#define TRASHCAN_END(op) }
#elif PY_VERSION_HEX >= 0x03080000
#define TRASHCAN_BEGIN(op, own_dealloc) Py_TRASHCAN_BEGIN(op, own_dealloc)
#define TRASHCAN_END(op) Py_TRASHCAN_END
#else
#define TRASHCAN_BEGIN(op, own_dealloc) Py_TRASHCAN_SAFE_BEGIN(op)
#define TRASHCAN_END(op) Py_TRASHCAN_SAFE_END(op)
#endif

/* Runs `finalize` on an object whose count has reached zero.  -1: it was brought back to life, and
   stays. */
static inline int
object_finalize_from_dealloc(PyObject *self, destructor finalize)
{
#if HAVE_FINALIZE
    (void)finalize; /* it is the type's tp_finalize, or a subclass's __del__ that replaced it */
    return PyObject_CallFinalizerFromDealloc(self);
#else
    Py_ssize_t refcnt;

    Py_REFCNT(self) = 1;
    finalize(self);
    refcnt = --Py_REFCNT(self);
    if (refcnt == 0) {
        return 0;
    }
    _Py_NewReference(self);
    Py_REFCNT(self) = refcnt;
    if (Py_TYPE(self)->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        Py_INCREF(Py_TYPE(self)); /* subtype_dealloc drops it when we return */
    }
    return -1;
#endif
}

#endif
