/* transfer.c: see transfer.h.

   Both transfers go the same way:

     attempt   recv or send with MSG_DONTWAIT: what can proceed at once costs one system call
     await     only when nothing was there, by the socket's own timeout: 0 ends it, None makes one blocking call, a number
               polls until the deadline, after which comes the next attempt

   A send goes on after some bytes were taken.  It awaits first then, and ends where the socket has an error to tell: the kernel tells it
   once, and whoever uses the socket next should have it.  For the same reason a large send without a timeout is one blocking call.

   The descriptor is asked of the socket anew before every system call, since another thread may have closed the socket
   while this one waited, and the number may be another file's by now.

   A small attempt keeps the GIL: giving it up for a call of half a microsecond means to queue for it, up to the switch
   interval, behind every busy thread.  So that those are not starved, it is handed over after TURN_NS, before the next operation
   begins (see transfer_look), and at once if a transfer is back from its system call and wants it (see keep_gil).  A send, which
   takes longer, gives it up if there is such a one, or one that will soon be back. */
#include "transfer.h"

#if HAVE_DIRECT_PATH

#include <poll.h>
#include <pthread.h>
#include <pythread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL

/* Above this size the copy itself takes long enough for others to use the time. */
#define KEEP_GIL_NBYTES 16384

#define OPERATIONS_PER_LOOK 32 /* at signals and the clock */

/* Transfers leave the GIL alone for HANDOVER_NS when they had it for TURN_NS.  Where looks are further apart than GAP_NS, other code ran
   between, in which the interpreter may have switched threads, or not, if it was a loop of io's in C: they count for LONG_TURN_NS.  After
   IDLE_NS it was none of those. */
#define TURN_NS 500000LL
#define GAP_NS (1 * NS_PER_MS)
#define LONG_TURN_NS (10 * NS_PER_MS)
#define IDLE_NS (100 * NS_PER_MS)

/* A sleeping thread needs about 30 us to wake and take the GIL.  Python 3 leaves it to it for a switch interval; on Python 2 whoever
   asks gets it back, so that this is all the time there is. */
#define HANDOVER_NS (PYTHON2 ? 250000LL : 30000LL)

/* A send that comes this soon after one whose time was up is the rest of it, which a buffer sends. */
#define REST_NS (50 * NS_PER_MS)

typedef enum { DIRECTION_RECV, DIRECTION_SEND } direction;

typedef struct {
    transfer_context *context;
    PyObject *csock; /* borrowed */
    direction direction;
    char *buffer;
    Py_ssize_t nbytes;
    transfer_rest *rest;
    long long idle_ns;     /* monotonic: since when it waits for what moves next; 0 while it does not */
    long long deadline_ns; /* monotonic; 0 while no wait has begun */
    int blocking;          /* the last system call was one that waits by itself */
} transfer;

/* What came of one system call: bytes, or an errno that says why there were none; or RAISED, with an exception set, when it was not made. */
typedef struct {
    Py_ssize_t nbytes;
    int error;
} attempt;

enum { RAISED = -1 };

typedef enum { AWAIT_READY, AWAIT_BLOCKING, AWAIT_WOULD_BLOCK, AWAIT_TIMED_OUT, AWAIT_INTERRUPTED, AWAIT_ERROR } awaited;

long long
transfer_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* *fd is the descriptor, -1 for a closed socket (the system call then says EBADF).  0, or -1 with an exception set. */
static inline int
csocket_fileno(const transfer *self, int *fd)
{
    PyObject *number = self->context->methods.fileno(self->csock, NULL);

    if (number == NULL) {
        return -1; /* unreached: small ints take no memory */
    }
    *fd = (int)int_as_long(number);
    Py_DECREF(number);
    return 0;
}

#ifndef Py_GIL_DISABLED
static unsigned int forks; /* that led to this process */

static void
count_fork(void)
{
    forks++;
}

static void
watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork); /* without memory a child may hand the GIL over to nobody */
}

/* Those who wanted the GIL in the parent are not in the child. */
static void
forget_parent(gil_turn *turn)
{
    if (turn->forks != forks) {
        /* unreached: in a forked child, and those of the tests end without writing their counters */
        turn->forks = forks;
        turn->moving = turn->returning = 0;
    }
}
#endif

void
transfer_setup(void)
{
#ifndef Py_GIL_DISABLED
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, watch_forks);
#endif
}

/* Gives the GIL up, for a call that waits or takes long: others have their turn. */
static PyThreadState *
leave_gil(gil_turn *turn)
{
#ifndef Py_GIL_DISABLED
    turn->until_look = 1; /* whoever is next has little to lose by it */
    turn->kept = 0;
    turn->began_ns = 0;
    forget_parent(turn);
#else
    (void)turn;
#endif
    return PyEval_SaveThread();
}

/* Takes it back.  Meanwhile other transfers can see that somebody wants it. */
static void
enter_gil(gil_turn *turn, PyThreadState *thread)
{
    __atomic_add_fetch(&turn->returning, 1, __ATOMIC_RELAXED);
    PyEval_RestoreThread(thread);
    __atomic_sub_fetch(&turn->returning, 1, __ATOMIC_RELAXED);
}

#ifndef Py_GIL_DISABLED
/* Lets others have the GIL, who had to wait for the calls that kept it. */
static void
hand_over(gil_turn *turn, long long for_ns)
{
    PyThreadState *thread = leave_gil(turn);
    long long end_ns = for_ns == 0 ? 0 : transfer_clock_ns() + for_ns;

    do {
        sched_yield();
    } while (end_ns != 0 && transfer_clock_ns() < end_ns);
    enter_gil(turn, thread);
}

/* Are there others whom this attempt should let go first?  A transfer that is back wants the GIL; and on one machine a send does the
   receiver's part as well, which takes long enough to be the time of one that is under way. */
static inline int
others_return(const gil_turn *turn)
{
    return __atomic_load_n(&turn->returning, __ATOMIC_RELAXED) > 0;
}

static inline int
others_move(const gil_turn *turn)
{
    return __atomic_load_n(&turn->moving, __ATOMIC_RELAXED) > 0;
}

/* Does one of them speak against keeping it? */
static inline int
others_need(const gil_turn *turn, direction direction)
{
    return others_return(turn) || (direction == DIRECTION_SEND && others_move(turn));
}

/* keep_gil where somebody speaks against it. */
SELDOM static int
keep_gil_beside(gil_turn *turn, direction direction)
{
    forget_parent(turn);
    if (!others_need(turn, direction)) {
        return 1; /* unreached: it was the parent's, see there */
    }
    if (direction == DIRECTION_SEND) {
        return 0;
    }
    hand_over(turn, 0); /* it is awake: a moment will do */
    return 1;
}

/* Others have their turn if transfers had theirs. */
static void
end_turn(gil_turn *turn)
{
    long long now_ns, gap_ns;

    if (!turn->kept) {
        return;
    }
    turn->kept = 0;
    now_ns = transfer_clock_ns();
    gap_ns = now_ns - turn->looked_ns;
    if (turn->began_ns == 0 || gap_ns > IDLE_NS) {
        turn->began_ns = turn->dense_ns = now_ns;
    }
    else if (gap_ns > GAP_NS) {
        turn->dense_ns = now_ns;
    }
    turn->looked_ns = now_ns;
    if ((now_ns - turn->dense_ns >= TURN_NS || now_ns - turn->began_ns >= LONG_TURN_NS) && other_threads_exist()) {
        hand_over(turn, HANDOVER_NS);
    }
}
#endif

/* May this attempt keep the GIL?  Before it says yes, it lets a transfer have it that is back and waits for it. */
static inline int
keep_gil(const transfer *self)
{
    gil_turn *turn = &self->context->turn;

    if (self->nbytes > KEEP_GIL_NBYTES) {
        return 0;
    }
#ifndef Py_GIL_DISABLED
    if (others_need(turn, self->direction) && !keep_gil_beside(turn, self->direction)) {
        return 0;
    }
    turn->kept = 1;
#else
    (void)turn;
#endif
    return 1;
}

static inline attempt
system_call(const transfer *self, int fd, int flags)
{
    attempt result;

    result.nbytes = self->direction == DIRECTION_RECV ? recv(fd, self->buffer, (size_t)self->nbytes, flags)
                                                      : send(fd, self->buffer, (size_t)self->nbytes, flags);
    result.error = result.nbytes < 0 ? errno : 0;
    return result;
}

/* One system call while others have the GIL. */
SELDOM static attempt
attempt_without_gil(const transfer self, int flags)
{
    gil_turn *turn = &self.context->turn;
    int moves = flags != 0; /* a call without flags may wait */
    int fd;
    attempt result = {-1, RAISED};
    PyThreadState *thread;

    if (csocket_fileno(&self, &fd) < 0) {
        return result; /* unreached: see csocket_fileno */
    }
    thread = leave_gil(turn);
    __atomic_add_fetch(&turn->moving, moves, __ATOMIC_RELAXED);
    result = system_call(&self, fd, flags);
    enter_gil(turn, thread);
    __atomic_sub_fetch(&turn->moving, moves, __ATOMIC_RELAXED);
    return result;
}

/* One system call, which `blocking` says may wait. */
static inline attempt
transfer_attempt(transfer *self, int blocking)
{
    attempt result = {-1, RAISED};
    int fd;

    self->blocking = blocking;
    if (blocking || !keep_gil(self)) {
        return attempt_without_gil(*self, blocking ? 0 : MSG_DONTWAIT);
    }
    if (csocket_fileno(self, &fd) < 0) { /* last: whatever let go of the GIL before may have closed it */
        return result;                   /* unreached: see csocket_fileno */
    }
    return system_call(self, fd, MSG_DONTWAIT);
}

/* What a signal handler raised after some bytes were sent.  The count has to be told first; the exception follows as soon as the
   interpreter looks, or with the next transfer, if a buffer above goes on before.  Only the main thread runs handlers. */
static struct {
    raised_exception raised;
    unsigned long thread;
    int due;
} deferred;

static int
raise_deferred(void *unused)
{
    (void)unused;
    if (!deferred.due) {
        return 0;
    }
    deferred.due = 0;
    raised_restore(&deferred.raised);
    return -1;
}

/* Runs the handlers of signals that came.  0, or -1 with what one of them raised. */
static int
serve_signals(void)
{
    if (deferred.due && deferred.thread == (unsigned long)PyThread_get_thread_ident()) {
        return raise_deferred(NULL);
    }
    return PyErr_CheckSignals();
}

int
transfer_look(transfer_context *context)
{
#ifndef Py_GIL_DISABLED
    end_turn(&context->turn);
    context->turn.until_look = deferred.due ? 1 : OPERATIONS_PER_LOOK; /* 1: for the main thread's next */
#else
    (void)context;
#endif
    return serve_signals();
}

/* The same after progress: 1 if one of them raised, with no exception set now. */
static int
serve_signals_later(transfer_context *context)
{
    raised_exception older;

    if (PyErr_CheckSignals() == 0) {
        return 0;
    }
    older = deferred.raised; /* of two that raised before anybody looked, the last is told */
    raised_take(&deferred.raised);
    raised_drop(&older);
    deferred.thread = (unsigned long)PyThread_get_thread_ident();
    deferred.due = 1;
#ifndef Py_GIL_DISABLED
    context->turn.until_look = 1; /* the next transfer raises it, */
#else
    (void)context; /* the next transfer raises it, */
#endif
    (void)Py_AddPendingCall(raise_deferred, NULL); /* or the interpreter, if that has room for it and looks earlier */
    return 1;
}

/* The end of the time that the socket's timeout allows from `start_ns` on; no timeout of Python 2 is too odd for it. */
static long long
deadline_after(long long start_ns, double timeout_s)
{
    const double longest_s = 1e9;
    double ns = (timeout_s < longest_s ? timeout_s : longest_s) * (double)NS_PER_S; /* NaN is not below either */
    return start_ns + (long long)ns + 1;
}

/* Since when the stream has waited for what this transfer waits for: a send may be the rest of one whose time was up. */
static long long
waiting_since(const transfer *self)
{
    long long now_ns = transfer_clock_ns();
    long long stalled_ns = FIELD_LOAD(self->rest->stalled_ns);

    return self->direction == DIRECTION_SEND && stalled_ns != 0 && now_ns - FIELD_LOAD(self->rest->ended_ns) < REST_NS
               ? stalled_ns
               : now_ns;
}

/* Waits until the descriptor is worth another attempt, as the socket's timeout says.  AWAIT_ERROR has set an exception,
   AWAIT_INTERRUPTED has not looked at the signal yet, AWAIT_BLOCKING has not waited at all: the call itself will.  `resuming`, after
   progress, AWAIT_WOULD_BLOCK says too that there is an error, which is not for this transfer to take. */
static awaited
transfer_await(transfer *self, int resuming)
{
    struct pollfd pollfd;
    PyThreadState *thread;
    long long now_ns, remaining_ns;
    int n, error;

    if (resuming ? serve_signals_later(self->context)
                 : serve_signals() < 0) { /* those that came before this wait do not end it */
        return resuming ? AWAIT_INTERRUPTED : AWAIT_ERROR;
    }
    if (self->deadline_ns == 0) {
        PyObject *timeout = self->context->methods.gettimeout(self->csock, NULL);
        double timeout_s;

        if (timeout == NULL) {
            return AWAIT_ERROR; /* unreached: floats have a free list */
        }
        if (timeout == Py_None) {
            Py_DECREF(timeout);
            return AWAIT_BLOCKING;
        }
        timeout_s = PyFloat_AS_DOUBLE(timeout); /* the C socket's own method gives nothing else */
        Py_DECREF(timeout);
        if (timeout_s == 0.0) {
            return AWAIT_WOULD_BLOCK;
        }
        self->deadline_ns = deadline_after(waiting_since(self), timeout_s);
    }
    now_ns = transfer_clock_ns();
    if (self->idle_ns == 0) {
        self->idle_ns = now_ns;
    }
    remaining_ns = self->deadline_ns - now_ns;
    if (remaining_ns <= 0) {
        return AWAIT_TIMED_OUT;
    }
    if (csocket_fileno(self, &pollfd.fd) < 0) {
        return AWAIT_ERROR; /* unreached: see there */
    }
    if (pollfd.fd == -1) {
        return AWAIT_READY; /* unreached: a thread or a handler closed it since the attempt; the next one reports that */
    }
    pollfd.events = self->direction == DIRECTION_RECV ? POLLIN : POLLOUT;
    pollfd.revents = 0;
    if (remaining_ns > 1000000 * NS_PER_MS) {
        remaining_ns = 1000000 * NS_PER_MS; /* poll's int; the caller comes back */
    }
    thread = leave_gil(&self->context->turn);
    n = poll(&pollfd, 1, (int)((remaining_ns + NS_PER_MS - 1) / NS_PER_MS));
    error = errno;
    enter_gil(&self->context->turn, thread);
    if (n < 0) {
        if (error == EINTR) {
            return AWAIT_INTERRUPTED;
        }
        errno = error; /* unreached: poll has no other reason */
        PyErr_SetFromErrno(self->context->socket_error);
        return AWAIT_ERROR;
    }
    if (resuming && (pollfd.revents & (POLLERR | POLLHUP)) != 0) {
        return AWAIT_WOULD_BLOCK;
    }
    return AWAIT_READY; /* or it is time: then the attempt fails, and the next wait finds the deadline passed */
}

/* Is this for the kernel to do whole, and to wait meanwhile?  1, 0, or -1 with an exception set. */
static int
waits_in_kernel(const transfer *self)
{
    PyObject *timeout;

    if (self->direction == DIRECTION_RECV || self->nbytes <= KEEP_GIL_NBYTES) {
        return 0;
    }
    timeout = self->context->methods.gettimeout(self->csock, NULL);
    Py_XDECREF(timeout);
    return timeout == NULL ? -1 : timeout == Py_None;
}

/* Goes on after an attempt that ended with this errno, until one system call has moved something, or nothing can.  Returns the bytes
   moved, TRANSFER_WOULD_BLOCK, or TRANSFER_ERROR with an exception set.  `resuming`, after progress, what ends it is kept for the
   next transfer of the stream. */
SELDOM static Py_ssize_t
transfer_retry(transfer *self, int error, int resuming)
{
    int awaits = 0;

    for (;;) {
        int blocking = self->blocking;
        attempt next;

        if (error == EAGAIN || error == EWOULDBLOCK) {
            awaits = 1;
        }
        else if (error == EINTR) {
            if (resuming || PyErr_CheckSignals() < 0) {
                return TRANSFER_ERROR;
            }
        }
        else {
            if (error == RAISED) {
                return TRANSFER_ERROR; /* unreached: see csocket_fileno */
            }
            if (resuming) {
                FIELD_STORE(self->rest->error, error);
            }
            errno = error;
            PyErr_SetFromErrno(self->context->socket_error);
            return TRANSFER_ERROR;
        }
        switch (awaits ? transfer_await(self, resuming) : AWAIT_READY) {
            case AWAIT_READY:
                blocking = blocking && !awaits; /* a handler may have given the socket a timeout */
                break;
            case AWAIT_BLOCKING:
                if (blocking && error != EINTR) {
                    return TRANSFER_WOULD_BLOCK; /* the descriptor was made non-blocking behind the socket's back */
                }
                blocking = 1;
                break;
            case AWAIT_WOULD_BLOCK:
                return TRANSFER_WOULD_BLOCK;
            case AWAIT_TIMED_OUT:
                if (resuming) {
                    FIELD_STORE(self->rest->stalled_ns, self->idle_ns);
                    FIELD_STORE(self->rest->ended_ns, transfer_clock_ns());
                }
                PyErr_SetString(self->context->timeout_error, "timed out");
                return TRANSFER_ERROR;
            case AWAIT_INTERRUPTED:
                error = EINTR;
                continue;
            case AWAIT_ERROR:
                return TRANSFER_ERROR;
        }
        next = transfer_attempt(self, blocking);
        if (next.error == 0) {
            return next.nbytes;
        }
        error = next.error;
    }
}

/* Raises the error that ended the stream's last send, which was not told yet. */
SELDOM static Py_ssize_t
tell_rest(transfer_context *context, transfer_rest *rest)
{
    errno = FIELD_LOAD(rest->error);
    FIELD_STORE(rest->error, 0);
    PyErr_SetFromErrno(context->socket_error);
    return TRANSFER_ERROR;
}

/* Moves something once, or tells why nothing can be: what transfer_retry returns.  Nearly always the first attempt does, for which
   all of *self can stay in registers: what goes on works on a copy. */
static inline Py_ssize_t
transfer_once(transfer *self)
{
    transfer retried;
    Py_ssize_t moved;
    attempt first;
    int blocking;

    if (FIELD_LOAD(self->rest->error) != 0) {
        return tell_rest(self->context, self->rest);
    }
    blocking = waits_in_kernel(self);
    if (blocking < 0) {
        return TRANSFER_ERROR; /* unreached: floats have a free list */
    }
    first = transfer_attempt(self, blocking);
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

    /* A call that waits returns less than it was given only when a signal came: its handler is the caller's to run. */
    while (sent < nbytes && !self.blocking && !serve_signals_later(self.context)) {
        Py_ssize_t more;

        self.buffer = buffer + sent;
        self.nbytes = nbytes - sent;
        self.idle_ns = 0;
        more = transfer_retry(&self, EAGAIN, 1); /* as if it had been asked for more */
        if (more <= 0) {
            PyErr_Clear(); /* the next transfer has it: from the socket, or from `rest` */
            break;
        }
        sent += more;
    }
    return sent;
}

Py_ssize_t
transfer_recv(transfer_context *context, PyObject *csock, void *buffer, Py_ssize_t nbytes, transfer_rest *rest)
{
    transfer self = {context, csock, DIRECTION_RECV, buffer, nbytes, rest, 0, 0, 0};

    if (nbytes == 0) {
        return 0;
    }
    return transfer_once(&self);
}

Py_ssize_t
transfer_send(transfer_context *context, PyObject *csock, const void *buffer, Py_ssize_t nbytes, transfer_rest *rest)
{
    transfer self = {context, csock, DIRECTION_SEND, (char *)buffer, nbytes, rest, 0, 0, 0};
    Py_ssize_t sent = transfer_once(&self);

    if (FIELD_LOAD(rest->stalled_ns) != 0) {
        FIELD_STORE(rest->stalled_ns, 0);
    }
    return sent < 0 || sent == nbytes ? sent : transfer_resume(self, sent);
}

#else

long long
transfer_clock_ns(void)
{
    return 0;
}

void
transfer_setup(void)
{
}

int
transfer_look(transfer_context *context)
{
    (void)context;
    return 0;
}

Py_ssize_t
transfer_recv(transfer_context *context, PyObject *csock, void *buffer, Py_ssize_t nbytes, transfer_rest *rest)
{
    (void)context, (void)csock, (void)buffer, (void)nbytes, (void)rest;
    PyErr_BadInternalCall();
    return TRANSFER_ERROR;
}

Py_ssize_t
transfer_send(transfer_context *context, PyObject *csock, const void *buffer, Py_ssize_t nbytes, transfer_rest *rest)
{
    return transfer_recv(context, csock, (void *)buffer, nbytes, rest);
}

#endif
