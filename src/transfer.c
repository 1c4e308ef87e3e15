/* transfer.c: see transfer.h.

   transfer_recv, transfer_send
       transfer_once          one attempt, and nearly always that is all
           transfer_attempt   the system call, with the GIL or without
           transfer_retry     after EAGAIN or EINTR: wait and try again
               transfer_await what the socket's timeout says: would block, poll, or a call that
   waits transfer_resume        the rest of a send of which a part was taken */
#include "transfer.h"

#if HAVE_DIRECT_PATH
#include <poll.h>
#include <sys/socket.h>

#include "gil.h"
#include "paths.h"
#include "signals.h"

/* A larger send without a timeout is one call that waits: it nearly never fits, and if the
   connection is lost meanwhile, the error stays with the socket for whoever uses it next. */
#define SEND_AT_ONCE_NBYTES 16384

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL

/* A send that comes this soon after one whose time was up is the rest of it: its time is up too, or
   a program that sends on would wait for the timeout twice. */
#define REST_NS (50 * NS_PER_MS)

typedef enum { DIRECTION_RECV, DIRECTION_SEND } transfer_direction;

typedef struct {
    makefile_state *state;
    PyObject *csocket; /* Borrowed from the caller */
    transfer_direction direction;
    char *buffer;
    Py_ssize_t nbytes;
    transfer_history *history;
    long long idle_ns; /* monotonic: since when it waits for the next byte; 0: it does not wait */
    long long deadline_ns; /* monotonic; 0: no wait has begun */
    int waits_in_call;     /* the last system call was one that waits by itself */
} transfer;

/* What came of one system call: bytes, or with -1 an errno. */
typedef struct {
    Py_ssize_t nbytes;
    int error;
} attempt;

typedef enum {
    AWAIT_READY,       /* try again */
    AWAIT_IN_CALL,     /* there is no timeout: try again with a call that waits */
    AWAIT_WOULD_BLOCK, /* the timeout is zero; or, after progress, the socket has an error to tell
                        */
    AWAIT_TIMED_OUT,   /* the deadline has passed; no exception is set */
    AWAIT_INTERRUPTED, /* a signal came; its handlers were not run */
    AWAIT_ERROR        /* an exception is set; after progress it was put by */
} await_outcome;

/* Errors that a socket keeps until it is asked, and tells once.  All others it tells each time. */
static int
is_told_once(int error)
{
    return error == ECONNRESET || error == ECONNABORTED || error == ETIMEDOUT ||
           error == EHOSTUNREACH || error == ENETUNREACH || error == ENETDOWN ||
           error == ECONNREFUSED;
}

static inline attempt
system_call(const transfer *self, int flags)
{
    int fd = csocket_descriptor(&self->state->csocket, self->csocket);
    size_t nbytes = (size_t)self->nbytes;
    attempt result;

    result.nbytes = self->direction == DIRECTION_RECV ? recv(fd, self->buffer, nbytes, flags)
                                                      : send(fd, self->buffer, nbytes, flags);
    result.error = result.nbytes < 0 ? errno : 0;
    return result;
}

SELDOM static attempt
system_call_without_gil(const transfer self, int flags)
{
    PyThreadState *thread = gil_release();
    attempt result = system_call(&self, flags);

    gil_acquire(thread);
    return result;
}

/* One system call; `waits_in_call` says whether it may wait. */
static inline attempt
transfer_attempt(transfer *self, int waits_in_call)
{
    self->waits_in_call = waits_in_call;
    if (!waits_in_call && gil_is_kept(self->state, self->direction == DIRECTION_SEND) &&
        !(self->direction == DIRECTION_RECV && gil_loop_is_of_c(&self->history->instruction))) {
        COUNT_PATH(gil_kept);
        return system_call(self, MSG_DONTWAIT);
    }
    return system_call_without_gil(*self, waits_in_call ? 0 : MSG_DONTWAIT);
}

/* The end of the time that the socket's timeout allows from `start_ns` on.  No timeout of Python 2
   is too odd for it: 1e300, infinity and NaN are the longest. */
static long long
deadline_after(long long start_ns, double timeout_s)
{
    const double longest_s = 1e9;
    double ns = (timeout_s < longest_s ? timeout_s : longest_s) * (double)NS_PER_S;

    return start_ns + (long long)ns + 1;
}

/* Since when the stream waits for what this transfer waits for. */
static long long
waiting_since(const transfer *self, long long now_ns)
{
    long long stalled_ns = FIELD_LOAD(self->history->stalled_ns);

    if (self->direction == DIRECTION_SEND && stalled_ns != 0 &&
        now_ns - FIELD_LOAD(self->history->ended_ns) < REST_NS) {
        return stalled_ns;
    }
    return now_ns;
}

/* Reads the socket's timeout, and sets the deadline if there is to be one.  AWAIT_READY: it is
   set. */
static await_outcome
begin_wait(transfer *self)
{
    PyObject *timeout = self->state->csocket.gettimeout(self->csocket, NULL);
    double timeout_s;

    if (timeout == NULL) {
        return AWAIT_ERROR;
    }
    if (timeout == Py_None) {
        Py_DECREF(timeout);
        return AWAIT_IN_CALL;
    }
    timeout_s = PyFloat_AS_DOUBLE(timeout); /* the C socket's own method gives nothing else */
    Py_DECREF(timeout);
    if (timeout_s == 0.0) {
        return AWAIT_WOULD_BLOCK;
    }
    self->deadline_ns = deadline_after(waiting_since(self, clock_ns()), timeout_s);
    return AWAIT_READY;
}

/* What poll() is asked for.  The descriptor is -1 once the socket is closed. */
static inline struct pollfd
wanted_event(const transfer *self)
{
    struct pollfd wanted;

    wanted.fd = csocket_descriptor(&self->state->csocket, self->csocket);
    wanted.events = self->direction == DIRECTION_RECV ? POLLIN : POLLOUT;
    wanted.revents = 0;
    return wanted;
}

/* Waits in poll() for the descriptor, until the deadline at the latest. */
static await_outcome
poll_descriptor(const transfer *self, long long remaining_ns, int resuming)
{
    struct pollfd pollfd;
    PyThreadState *thread;
    int n = 0, error = 0;

    if (remaining_ns > 1000000 * NS_PER_MS) {
        remaining_ns = 1000000 * NS_PER_MS; /* poll counts in an int; the caller comes back */
    }
    thread = gil_release();
    pollfd = wanted_event(self);
    if (pollfd.fd >= 0) { /* else it was closed: the attempt says so */
        n = poll(&pollfd, 1, (int)((remaining_ns + NS_PER_MS - 1) / NS_PER_MS));
        error = errno;
    }
    gil_acquire(thread);
    if (n < 0 && error == EINTR) {
        return AWAIT_INTERRUPTED;
    }
    if (n < 0) { /* unreached: poll has no other reason but want of memory */
        state_raise_errno(self->state, error);
        return AWAIT_ERROR;
    }
    if (resuming && (pollfd.revents & (POLLERR | POLLHUP)) != 0) {
        return AWAIT_WOULD_BLOCK;
    }
    return AWAIT_READY; /* also when it is time: then the attempt fails, and the next wait sees it
                         */
}

/* Waits for a moment with the GIL.  Is another attempt worth it? */
static int
await_for_a_moment(const transfer *self)
{
    const struct timespec moment = {0, MOMENT_NS};
    struct pollfd pollfd = wanted_event(self);
    int n;

    COUNT_PATH(moment);
    n = ppoll(&pollfd, 1, &moment, NULL);
    gil_moment_ended(n > 0);
    return n != 0; /* a signal too: the wait after the attempt runs its handlers */
}

/* Waits until the descriptor is worth another attempt, as the socket's timeout says.  `resuming`:
   some bytes of a send were taken. */
static await_outcome
transfer_await(transfer *self, int resuming)
{
    long long now_ns;

    if (resuming) {
        if (signals_serve_deferring(self->state)) {
            return AWAIT_ERROR;
        }
    }
    else if (gil_check(self->state) < 0) { /* what came before this wait does not end it */
        return AWAIT_ERROR;
    }
    if (self->deadline_ns == 0) {
        await_outcome outcome = begin_wait(self);

        if ((outcome == AWAIT_READY || outcome == AWAIT_IN_CALL) &&
            self->direction == DIRECTION_RECV && gil_is_kept_for_a_moment(self->state) &&
            await_for_a_moment(self)) {
            return AWAIT_READY;
        }
        if (outcome != AWAIT_READY) {
            return outcome;
        }
    }
    now_ns = clock_ns();
    if (self->idle_ns == 0) {
        self->idle_ns = now_ns;
    }
    if (now_ns >= self->deadline_ns) {
        return AWAIT_TIMED_OUT;
    }
    return poll_descriptor(self, self->deadline_ns - now_ns, resuming);
}

/* Sets the exception for an errno.  After progress it is kept for the stream's next transfer, if
   the kernel will not tell it again. */
static Py_ssize_t
fail(const transfer *self, int error, int resuming)
{
    if (resuming) {
        if (is_told_once(error)) {
            FIELD_STORE(self->history->csocket, self->csocket);
            FIELD_STORE(self->history->error, error);
        }
    }
    else {
        state_raise_errno(self->state, error);
    }
    return TRANSFER_ERROR;
}

static Py_ssize_t
time_out(const transfer *self, int resuming)
{
    if (resuming) {
        FIELD_STORE(self->history->csocket, self->csocket);
        FIELD_STORE(self->history->stalled_ns, self->idle_ns);
        FIELD_STORE(self->history->ended_ns, clock_ns());
    }
    else {
        state_raise_timeout(self->state);
    }
    return TRANSFER_ERROR;
}

/* Goes on after an attempt that ended with this errno, until a system call has moved something, or
   nothing can.  Returns the bytes moved, TRANSFER_WOULD_BLOCK, or TRANSFER_ERROR: with an exception
   set, but after progress (`resuming`) with none. */
SELDOM static Py_ssize_t
transfer_retry(transfer *self, int error, int resuming)
{
    int has_waited = 0;

    assert(error != 0 && !PyErr_Occurred());
    for (;;) {
        int waits_in_call = self->waits_in_call;
        attempt next;

        if (error == EINTR) {
            if (resuming) {
                (void)signals_serve_deferring(self->state);
                return TRANSFER_ERROR;
            }
            if (PyErr_CheckSignals() < 0) {
                return TRANSFER_ERROR;
            }
        }
        else if (error != EAGAIN && error != EWOULDBLOCK) {
            return fail(self, error, resuming);
        }
        else {
            has_waited = 1;
        }
        if (has_waited) {
            switch (transfer_await(self, resuming)) {
                case AWAIT_READY:
                    waits_in_call = 0; /* a handler may have given the socket a timeout */
                    break;
                case AWAIT_IN_CALL:
                    if (waits_in_call && error != EINTR) {
                        /* The descriptor was made non-blocking behind the socket's back. */
                        return TRANSFER_WOULD_BLOCK;
                    }
                    waits_in_call = 1;
                    break;
                case AWAIT_WOULD_BLOCK:
                    return TRANSFER_WOULD_BLOCK;
                case AWAIT_TIMED_OUT:
                    return time_out(self, resuming);
                case AWAIT_INTERRUPTED:
                    error = EINTR;
                    continue;
                case AWAIT_ERROR:
                    return TRANSFER_ERROR;
            }
        }
        next = transfer_attempt(self, waits_in_call);
        if (next.error == 0) {
            return next.nbytes;
        }
        error = next.error;
    }
}

/* Does the first system call wait by itself?  1, 0, or -1 with an exception set. */
static int
begins_with_waiting(const transfer *self)
{
    PyObject *timeout;

    if (self->direction == DIRECTION_RECV || self->nbytes <= SEND_AT_ONCE_NBYTES) {
        return 0;
    }
    timeout = self->state->csocket.gettimeout(self->csocket, NULL);
    Py_XDECREF(timeout);
    return timeout == NULL ? -1 : timeout == Py_None;
}

/* Moves something once: what transfer_retry returns.  Nearly always the first attempt does, for
   which all of *self can stay in registers: what goes on works on a copy. */
static inline Py_ssize_t
transfer_once(transfer *self)
{
    int waits_in_call = begins_with_waiting(self);
    attempt first;
    transfer retried;
    Py_ssize_t moved;

    if (waits_in_call < 0) {
        return TRANSFER_ERROR;
    }
    first = transfer_attempt(self, waits_in_call);
    if (first.error == 0) {
        return first.nbytes;
    }
    retried = *self;
    moved = transfer_retry(&retried, first.error, 0);
    *self = retried;
    return moved;
}

/* Goes on with a send of which so many bytes were taken.  Returns how many were in all. */
SELDOM static Py_ssize_t
transfer_resume(transfer self, Py_ssize_t sent)
{
    const Py_ssize_t nbytes = self.nbytes;
    char *const buffer = self.buffer;

    for (;;) {
        Py_ssize_t more;

        assert(sent > 0 && sent < nbytes && !PyErr_Occurred());
        if (self.waits_in_call) {
            /* Less than all: a signal came, or the socket has an error to tell. */
            (void)signals_serve_deferring(self.state);
            return sent;
        }
        self.buffer = buffer + sent;
        self.nbytes = nbytes - sent;
        self.idle_ns = 0;
        more = transfer_retry(&self, EAGAIN, 1); /* as if more had been tried */
        if (more <= 0) {
            PyErr_Clear(); /* want of memory while the timeout was read */
            return sent;
        }
        sent += more;
        if (sent == nbytes) {
            return sent;
        }
    }
}

/* Raises the error that a send met after some bytes, which the kernel has told already. */
SELDOM static Py_ssize_t
raise_kept_error(makefile_state *state, transfer_history *history)
{
    int error = FIELD_LOAD(history->error);

    FIELD_STORE(history->error, 0);
    state_raise_errno(state, error);
    return TRANSFER_ERROR;
}

/* The errno that is kept for this C socket, or 0.  Of another, which the stream had before, nothing
   is kept. */
static inline int
kept_error(transfer_history *history, PyObject *csocket)
{
    if (FIELD_LOAD(history->csocket) != csocket) {
        FIELD_STORE(history->error, 0);
        FIELD_STORE(history->stalled_ns, 0);
    }
    return FIELD_LOAD(history->error);
}

/* A receive while an error is kept: what came before the error is read first. */
SELDOM static Py_ssize_t
recv_before_error(const transfer *self)
{
    attempt rest = system_call_without_gil(*self, MSG_DONTWAIT);

    return rest.nbytes > 0 ? rest.nbytes : raise_kept_error(self->state, self->history);
}

Py_ssize_t
transfer_recv(makefile_state *state, PyObject *csocket, void *buffer, Py_ssize_t nbytes,
              transfer_history *history)
{
    transfer self = {state, csocket, DIRECTION_RECV, buffer, nbytes, history, 0, 0, 0};

    assert(nbytes >= 0 && !PyErr_Occurred());
    COUNT_PATH(direct);
    if (nbytes == 0) {
        return 0;
    }
    if (FIELD_LOAD(history->stalled_ns) != 0) {
        FIELD_STORE(history->stalled_ns, 0); /* a program that reads does not send the rest */
    }
    return kept_error(history, csocket) == 0 ? transfer_once(&self) : recv_before_error(&self);
}

Py_ssize_t
transfer_send(makefile_state *state, PyObject *csocket, const void *buffer, Py_ssize_t nbytes,
              int caller_goes_on, transfer_history *history)
{
    transfer self = {state, csocket, DIRECTION_SEND, (char *)buffer, nbytes, history, 0, 0, 0};
    Py_ssize_t sent;

    assert(nbytes >= 0 && !PyErr_Occurred());
    COUNT_PATH(direct);
    if (kept_error(history, csocket) != 0) {
        return raise_kept_error(state, history);
    }
    sent = transfer_once(&self);
    if (FIELD_LOAD(history->stalled_ns) != 0) {
        FIELD_STORE(history->stalled_ns, 0);
    }
    if (sent < 0 || sent == nbytes) {
        return sent;
    }
    gil_check_next(&history->operations); /* what came meanwhile comes before the rest */
    return caller_goes_on ? sent : transfer_resume(self, sent);
}

#else

Py_ssize_t
transfer_recv(makefile_state *state, PyObject *csocket, void *buffer, Py_ssize_t nbytes,
              transfer_history *history)
{
    (void)state, (void)csocket, (void)buffer, (void)nbytes, (void)history;
    PyErr_BadInternalCall();
    return TRANSFER_ERROR;
}

Py_ssize_t
transfer_send(makefile_state *state, PyObject *csocket, const void *buffer, Py_ssize_t nbytes,
              int caller_goes_on, transfer_history *history)
{
    (void)caller_goes_on;
    return transfer_recv(state, csocket, (void *)buffer, nbytes, history);
}

#endif
