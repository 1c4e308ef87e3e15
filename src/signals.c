/* signals.c: see signals.h. */
#include "signals.h"

#include <pythread.h>

static struct {
    int due;               /* atomic; written by the main thread alone, as all of this */
    unsigned long thread;  /* the main thread */
    makefile_state *state; /* Borrowed, only compared: that of its interpreter */
    raised_exception raised;
    PyFrameObject *frame; /* Borrowed, only compared: where the write was called, */
    int position;         /* at which instruction */
} deferred;

#if defined(__GNUC__)
#define LOAD(lvalue) __atomic_load_n(&(lvalue), __ATOMIC_ACQUIRE)
#define STORE(lvalue, value) __atomic_store_n(&(lvalue), (value), __ATOMIC_RELEASE)
#else
#define LOAD(lvalue) (lvalue)
#define STORE(lvalue, value) ((lvalue) = (value))
#endif

static unsigned long
this_thread(void)
{
    return (unsigned long)PyThread_get_thread_ident();
}

static int
raise_now(void)
{
    assert(!PyErr_Occurred());
    STORE(deferred.due, 0);
    raised_restore(&deferred.raised);
    assert(PyErr_Occurred());
    return -1;
}

/* A pending call, which the interpreter makes when it looks next. */
static int
raise_elsewhere(void *unused)
{
    PyFrameObject *frame;

    (void)unused;
    if (!LOAD(deferred.due) || deferred.thread != this_thread()) {
        return 0;
    }
    frame = PyEval_GetFrame();
    if (frame != NULL && frame == deferred.frame && frame_position(frame) == deferred.position) {
        /* The write has just returned, and its count is not stored yet. */
        if (Py_AddPendingCall(raise_elsewhere, NULL) == 0) {
            return 0;
        }
    }
    return raise_now();
}

int
signals_raise_deferred(makefile_state *state)
{
    if (!LOAD(deferred.due) || deferred.thread != this_thread() || deferred.state != state) {
        return 0;
    }
    return raise_now();
}

#if !ONLY_SIGNALS_ARE_CHECKED
/* Is this the thread that runs handlers of signals?  With an exception set, which is kept. */
static int
is_main_thread(void)
{
    raised_exception raised;
    PyObject *module, *number = NULL;
    unsigned long main_thread = 0;

    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        return 0;
    }
    raised_take(&raised);
    module = PyImport_ImportModule("_thread");
    if (module != NULL) {
        number = PyObject_CallMethod(module, "_get_main_thread_ident", NULL);
        Py_DECREF(module);
    }
    if (number != NULL) {
        main_thread = PyLong_AsUnsignedLong(number);
        Py_DECREF(number);
    }
    PyErr_Clear();
    raised_restore(&raised);
    return main_thread == this_thread();
}

/* The asynchronous exception that is set, which is a class, becomes one again. */
static void
raise_asynchronously(void)
{
    PyObject *type = PyErr_Occurred();

    Py_INCREF(type);
    PyErr_Clear();
    (void)PyThreadState_SetAsyncExc(this_thread(), type);
    Py_DECREF(type);
}
#endif

int
signals_serve_deferring(makefile_state *state)
{
    raised_exception older;

    assert(!PyErr_Occurred());
    if (PyErr_CheckSignals() == 0) {
        return 0;
    }
#if !ONLY_SIGNALS_ARE_CHECKED
    if (!is_main_thread()) {
        raise_asynchronously();
        return 1;
    }
#endif
    older = deferred.raised; /* of two that nobody has seen yet the last is told */
    raised_take(&deferred.raised);
    deferred.thread = this_thread();
    deferred.state = state;
    deferred.frame = PyEval_GetFrame();
    deferred.position = frame_position(deferred.frame);
    STORE(deferred.due, 1);
    (void)Py_AddPendingCall(raise_elsewhere,
                            NULL); /* without room the stream's next operation tells */
    raised_drop(&older);
    assert(!PyErr_Occurred());
    return 1;
}
