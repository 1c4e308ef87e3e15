/* Preloaded into a 2.7 that is linked to a shared libpython: makes one allocation fail, the n-th
   after failmalloc_arm(n).

   Later Pythons have _testcapi.set_nomemory for that.  Interposed are libpython's own allocators,
   whose pools malloc never sees, and malloc itself.  Only what is allocated under our extension
   counts: 2.7's evaluation loop itself crashes when it gets no memory for the arguments of a
   call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static long countdown = -1; /* -1: not armed */
static long failures;

void
failmalloc_arm(long n)
{
    countdown = n;
}

/* How many allocations have failed since the last call. */
long
failmalloc_disarm(void)
{
    long failed = failures;

    countdown = -1;
    failures = 0;
    return failed;
}

/* backtrace() loads a library the first time. */
static void __attribute__((constructor))
prepare(void)
{
    void *frame;
    (void)backtrace(&frame, 1);
}

/* Is a function of our extension among the callers, nearer than the evaluation loop? */
static int
is_ours(void)
{
    static int busy;
    void *frames[60];
    int i, n, ours = 0;

    if (busy) {
        return 0;
    }
    busy = 1;
    n = backtrace(frames, 60);
    for (i = 0; i < n; i++) {
        Dl_info info;

        if (dladdr(frames[i], &info) == 0) {
            continue;
        }
        if (info.dli_fname != NULL && strstr(info.dli_fname, "_makefile") != NULL) {
            ours = 1;
            break;
        }
        if (info.dli_sname != NULL && strncmp(info.dli_sname, "PyEval_", 7) == 0) {
            break;
        }
    }
    busy = 0;
    return ours;
}

static int
fails(void)
{
    if (countdown < 0 || !is_ours()) {
        return 0;
    }
    if (countdown-- == 0) {
        failures++;
        errno = ENOMEM;
        return 1;
    }
    return 0;
}

void *
malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

/* The next definition of a libpython function, looked up once; dlsym itself allocates only when it
   fails. */
#define NEXT(name) (next_##name != NULL ? next_##name : (next_##name = dlsym(RTLD_NEXT, #name)))

void *
PyObject_Malloc(size_t size)
{
    static void *(*next_PyObject_Malloc)(size_t);
    return fails() ? NULL : NEXT(PyObject_Malloc)(size);
}

void *
PyObject_Realloc(void *old, size_t size)
{
    static void *(*next_PyObject_Realloc)(void *, size_t);
    return fails() ? NULL : NEXT(PyObject_Realloc)(old, size);
}
