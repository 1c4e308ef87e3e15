"""What .ci/mutants.py makes of src/: file, description, a piece, what replaces it, and the tests.

White space in a piece stands for any white space.
"""
import collections

Mutation = collections.namedtuple("Mutation", "file what old new tests on")
MUTATIONS = []


def mutate(file, what, old, new, *tests, on=None):
    """`on`: the only major version of Python that can notice."""
    MUTATIONS.append(Mutation(file, what, old, new, tests, on))


BLOCKING = "test_blocking.py::"
EXCEPTIONS = "test_exceptions.py::"
LIFETIME = "test_lifetime.py::"
MEMORY = "test_memory.py::"
PATHS = "test_paths.py::"
REFERENCES = "test_references.py::"
REGRESSIONS = "test_regressions.py::"
SIGNALS = "test_signals.py::"
SOCKETIO = "test_socketio.py::"
TURNS = "test_turns.py::"
C_PATHS = "test_c_paths.py::"
WAITS = "test_waits.py::"
DEFERRED = "test_deferred.py::"
LOOKED_UP = "test_looked_up.py::"
OWNERSHIP = "test_ownership.py::"


# ---- transfer.c: the attempt

mutate(
    "transfer.c", "a reset is not told once",
    "return error == ECONNRESET ||",
    "return",
    TURNS + "test_answer_of_a_tcp_peer_that_resets_the_connection_is_read_before_the_error",
    REGRESSIONS + "test_error_of_a_small_write_that_sent_something_is_told_to_the_next_operation",
)
mutate(
    "transfer.c", "a broken pipe is told once",
    "return error == ECONNRESET ||",
    "return error == EPIPE || error == ECONNRESET ||",
    WAITS + "test_broken_pipe_after_progress_is_not_told_to_a_read",
)
mutate(
    "transfer.c", "the descriptor is read before the GIL is given up",
    "PyThreadState *thread = gil_release(); attempt result = system_call(&self, flags);",
    "int fd = csocket_descriptor(&self.state->csocket, self.csocket); PyThreadState "
    "*thread = gil_release(); attempt result; result.nbytes = send(fd, self.buffer, "
    "(size_t)self.nbytes, flags); result.error = errno;",
    WAITS + "test_number_that_is_used_again_while_the_gil_changes_hands_is_not_written_to",
)
mutate(
    "transfer.c", "the GIL is kept whatever others do",
    "if (!waits_in_call && gil_is_kept(",
    "if (!waits_in_call && 1 | gil_is_kept(",
    C_PATHS + "test_send_gives_the_gil_up_while_another_transfer_is_under_way",
)
mutate(
    "transfer.c", "the GIL is never kept",
    "if (!waits_in_call && gil_is_kept(",
    "if (0 && gil_is_kept(",
    BLOCKING + "TestLock::test_small_ready_reads_and_writes_keep_the_gil",
)
mutate(
    "transfer.c", "an attempt without the GIL waits",
    "waits_in_call ? 0 : MSG_DONTWAIT",
    "0",
    WAITS + "test_full_non_blocking_socket_does_not_wait_while_another_thread_does",
)
mutate(
    "transfer.c", "an attempt with the GIL waits",
    "return system_call(self, MSG_DONTWAIT);",
    "return system_call(self, 0);",
    BLOCKING + "TestRead::test_non_blocking_read_on_a_descriptor_made_"
    "blocking_behind_its_back_gives_none",
)
mutate(
    "transfer.c", "a send of ten times the size is tried first",
    "SEND_AT_ONCE_NBYTES 16384",
    "SEND_AT_ONCE_NBYTES 163840",
    C_PATHS + "test_send_without_a_timeout_waits_in_the_call_from_16_kib_on",
)
mutate(
    "transfer.c", "a send of a tenth of the size waits in the call",
    "SEND_AT_ONCE_NBYTES 16384",
    "SEND_AT_ONCE_NBYTES 1638",
    C_PATHS + "test_send_without_a_timeout_waits_in_the_call_from_16_kib_on",
)
mutate(
    "transfer.c", "a large receive waits in the call",
    "self->direction == DIRECTION_RECV || self->nbytes <= SEND_AT_ONCE_NBYTES",
    "self->nbytes <= SEND_AT_ONCE_NBYTES",
    C_PATHS + "test_ready_receive_of_any_size_keeps_the_gil",
)
mutate(
    "transfer.c", "a large send with a timeout waits in the call",
    "timeout == NULL ? -1 : timeout == Py_None",
    "timeout == NULL ? -1 : 1",
    WAITS + "test_large_timed_write_on_a_full_descriptor_that_waits_times_out",
)

# ---- transfer.c: deadlines

mutate(
    "transfer.c", "timeouts are not clamped",
    "(timeout_s < longest_s ? timeout_s : longest_s)",
    "timeout_s",
    BLOCKING + "TestTimeout::test_huge_timeout_waits",
    on=2,
)
mutate(
    "transfer.c", "timeouts are clamped to ten times as much",
    "longest_s = 1e9",
    "longest_s = 1e10",
    BLOCKING + "TestTimeout::test_huge_timeout_waits",
    on=2,
)
mutate(
    "transfer.c", "a timeout of less than a millisecond is none",
    "if (timeout_s == 0.0)",
    "if ((long long)(timeout_s * 1e3) == 0)",
    BLOCKING + "TestTimeout::test_tiny_timeout_is_a_timeout_and_not_non_blocking",
)
mutate(
    "transfer.c", "the rest of a short write has ten times as long to come",
    "REST_NS (50 * NS_PER_MS)",
    "REST_NS (500 * NS_PER_MS)",
    REGRESSIONS + "test_write_some_time_after_one_whose_time_was_up_waits_anew",
)
mutate(
    "transfer.c", "the rest of a short write has a tenth of the time to come",
    "REST_NS (50 * NS_PER_MS)",
    "REST_NS (5 * NS_PER_MS)",
    WAITS + "test_rest_that_comes_some_milliseconds_later_has_no_time_left",
)
mutate(
    "transfer.c", "the rest of a short write waits anew",
    "return stalled_ns;",
    "return now_ns;",
    WAITS + "test_rest_that_comes_some_milliseconds_later_has_no_time_left",
)
mutate(
    "transfer.c", "the wait of a rest begins with its last look",
    "if (self->idle_ns == 0) {",
    "if (1) {",
    WAITS + "test_rest_that_comes_some_milliseconds_later_has_no_time_left",
)
mutate(
    "transfer.c", "the wait of a rest begins with the first byte",
    "self.idle_ns = 0;",
    "",
    WAITS + "test_rest_of_a_write_whose_peer_took_something_late_has_the_time_since_then",
)
mutate(
    "transfer.c", "a short write that has gone on is still one",
    "sent = transfer_once(&self); if (FIELD_LOAD(history->stalled_ns) != 0) {",
    "sent = transfer_once(&self); if (0) {",
    WAITS + "test_write_after_the_rest_was_taken_waits_anew",
)
mutate(
    "transfer.c", "a read does not end a short write",
    "FIELD_STORE(history->stalled_ns, 0); /* a program that reads",
    "; /* a program that reads",
    TURNS + "test_write_after_a_short_write_and_a_read_waits_anew",
)
mutate(
    "transfer.c", "each wait has the whole timeout",
    "if (self->deadline_ns == 0) {",
    "if (1) {",
    BLOCKING + "TestTimeout::test_signals_during_a_wait_do_not_put_the_deadline_off",
)
mutate(
    "transfer.c", "what the first wait learned is lost",
    "*self = retried;",
    "",
    WAITS + "test_timed_write_counts_its_first_wait_too",
    BLOCKING + "TestSignals::test_signal_after_progress_of_a_waiting_write_ends_it_at_once",
)

# ---- transfer.c: the wait

mutate(
    "transfer.c", "a wait in poll is not clamped",
    "if (remaining_ns > 1000000 * NS_PER_MS) {",
    "if (0) {",
    WAITS + "test_wait_in_poll_is_as_long_as_the_timeout_but_no_longer_than_a_thousand_seconds",
)
mutate(
    "transfer.c", "a wait in poll is clamped to a tenth",
    "remaining_ns = 1000000 * NS_PER_MS;",
    "remaining_ns = 100000 * NS_PER_MS;",
    WAITS + "test_wait_in_poll_is_as_long_as_the_timeout_but_no_longer_than_a_thousand_seconds",
)
mutate(
    "transfer.c", "a wait in poll is clamped to ten times as much",
    "remaining_ns = 1000000 * NS_PER_MS;",
    "remaining_ns = 10000000 * NS_PER_MS;",
    WAITS + "test_wait_in_poll_is_as_long_as_the_timeout_but_no_longer_than_a_thousand_seconds",
)
mutate(
    "transfer.c", "the last millisecond of a wait is not waited",
    "(remaining_ns + NS_PER_MS - 1) / NS_PER_MS",
    "remaining_ns / NS_PER_MS",
    C_PATHS + "test_wait_of_less_than_a_millisecond_is_one_wait",
)
mutate(
    "transfer.c", "a write waits for data",
    "? POLLIN : POLLOUT",
    "? POLLIN : POLLIN",
    BLOCKING + "TestWrite::test_timed_write_waits_for_room_and_goes_on",
)
mutate(
    "transfer.c", "a closed socket is waited for",
    "if (pollfd.fd >= 0) {",
    "if (1) {",
    PATHS + "TestNothingCached::test_socket_detached_by_a_signal_handler_"
    "during_a_read_its_number_is_not_read_again",
    WAITS + "test_socket_detached_by_a_handler_during_a_long_timed_read_ends_it",
)
mutate(
    "transfer.c", "a signal in poll is taken for an event",
    "return AWAIT_INTERRUPTED;",
    "return AWAIT_READY;",
    WAITS + "test_signal_that_returns_ends_a_timed_write_that_has_sent_something",
)
mutate(
    "transfer.c", "an error after progress is asked for",
    "(POLLERR | POLLHUP)",
    "0",
    REGRESSIONS + "test_error_of_a_write_that_sent_something_is_told_to_who_uses_the_socket_next",
)
mutate(
    "transfer.c", "a peer gone after progress is written to",
    "(POLLERR | POLLHUP)",
    "POLLERR",
    WAITS + "test_socket_shut_during_a_timed_write_is_told_to_the_next",
)
mutate(
    "transfer.c", "an error before progress is no event",
    "if (resuming && (pollfd.revents",
    "if ((pollfd.revents",
    BLOCKING + "TestRead::test_timed_read_of_a_reset_connection_gives_its_error",
)
mutate(
    "transfer.c", "no check before a wait",
    "else if (gil_check(self->state) < 0) {",
    "else if (0) {",
    SIGNALS + "test_read_when_signal_comes_just_before_its_wait_does_not_wait",
)
mutate(
    "transfer.c", "a handler that gives the socket a timeout is not believed",
    "waits_in_call = 0; /*",
    "; /*",
    WAITS + "test_timeout_of_a_handler_ends_a_read_on_a_descriptor_that_waits",
)
mutate(
    "transfer.c", "a descriptor that does not wait is asked for ever",
    "if (waits_in_call && error != EINTR) {",
    "if (0) {",
    BLOCKING + "TestRead::test_blocking_read_on_a_descriptor_made_non_"
    "blocking_behind_its_back_gives_none",
)
mutate(
    "transfer.c", "a signal is taken for a descriptor that does not wait",
    "if (waits_in_call && error != EINTR) {",
    "if (waits_in_call) {",
    BLOCKING + "TestSignals::test_read_goes_on_after_handlers_that_return",
)
mutate(
    "transfer.c", "no look at signals before a large send is made again",
    "if (PyErr_CheckSignals() < 0) {",
    "if (0) {",
    WAITS + "test_large_write_of_which_nothing_went_out_raises_what_a_handler_raises",
)
mutate(
    "transfer.c", "what follows progress is taken for a beginning",
    "transfer_retry(&self, EAGAIN, 1)",
    "transfer_retry(&self, EAGAIN, 0)",
    WAITS + "test_rest_that_comes_some_milliseconds_later_has_no_time_left",
)

# ---- transfer.c: bytes

mutate(
    "transfer.c", "the rest is sent with bytes behind it",
    "self.nbytes = nbytes - sent;",
    "",
    BLOCKING + "TestWrite::test_timed_write_waits_for_room_and_goes_on",
    BLOCKING + "TestWrite::test_write_of_more_than_fits_sends_all",
)
mutate(
    "transfer.c", "the rest begins a byte early",
    "self.buffer = buffer + sent;",
    "self.buffer = buffer + sent - 1;",
    BLOCKING + "TestWrite::test_timed_write_waits_for_room_and_goes_on",
)
mutate(
    "transfer.c", "nothing is received into nothing",
    "if (nbytes == 0) { return 0; }",
    "",
    SOCKETIO + "test_readinto_an_empty_buffer_makes_no_system_call",
)
mutate(
    "transfer.c", "the end comes before the kept error",
    "return rest.nbytes > 0 ?",
    "return rest.nbytes >= 0 ?",
    REGRESSIONS + "test_error_of_a_small_write_that_sent_something_is_told_to_the_next_operation",
)
mutate(
    "transfer.c", "a read does not know of the kept error",
    "kept_error(history, csocket) == 0 ? transfer_once(&self)",
    "1 ? transfer_once(&self)",
    REGRESSIONS + "test_error_of_a_small_write_that_sent_something_is_told_to_the_next_operation",
)
mutate(
    "transfer.c", "a write does not know of the kept error",
    "if (kept_error(history, csocket) != 0) {",
    "if (0) {",
    REGRESSIONS + "test_error_of_a_small_write_that_sent_something_is_told_to_the_next_operation",
)
mutate(
    "transfer.c", "the kept error is told each time",
    "FIELD_STORE(history->error, 0); state_raise_errno(state, error);",
    "state_raise_errno(state, error);",
    REGRESSIONS + "test_error_of_a_small_write_that_sent_something_is_told_to_the_next_operation",
)

mutate(
    "transfer.c", "what was kept of another socket is told",
    "if (FIELD_LOAD(history->csocket) != csocket) {",
    "if (0) {",
    TURNS + "test_stream_made_anew_after_a_short_write_waits_with_the_whole_timeout",
)

# ---- gil.h, gil.c

mutate(
    "gil.h", "a check every 320th operation",
    "OPERATIONS_PER_CHECK 32",
    "OPERATIONS_PER_CHECK 320",
    C_PATHS + "test_every_32nd_operation_is_a_check",
)
mutate(
    "gil.h", "a check every 3rd operation",
    "OPERATIONS_PER_CHECK 32",
    "OPERATIONS_PER_CHECK 3",
    C_PATHS + "test_every_32nd_operation_is_a_check",
)
mutate(
    "gil.h", "the operation after a deferred exception does not check",
    "FIELD_STORE(*operations, OPERATIONS_PER_CHECK - 1);",
    "",
    DEFERRED + "test_exception_put_by_in_a_loop_in_c_comes_with_the_next_operation",
)
mutate(
    "gil.h", "what shares its GIL with other interpreters keeps it",
    "return state->is_only_interpreter &&",
    "return",
    C_PATHS + "test_gil_that_interpreters_share_is_given_up",
)
mutate(
    "gil.h", "a receive is for a send",
    "!(sends && __atomic",
    "!(1 && __atomic",
    C_PATHS + "test_receive_keeps_the_gil_while_another_transfer_is_under_way",
)
mutate(
    "gil.c", "a transfer that ended is still under way",
    "__atomic_sub_fetch(&gil_transfers_under_way, 1, __ATOMIC_RELAXED);",
    "",
    C_PATHS + "test_send_keeps_the_gil_once_the_other_transfer_is_over",
)
mutate(
    "gil.c", "transfers of the parent are under way in the child",
    "__atomic_store_n(&gil_transfers_under_way, 0, __ATOMIC_RELAXED);",
    "",
    C_PATHS + "test_send_keeps_the_gil_in_the_child_of_a_process_with_a_transfer_under_way",
)
mutate(
    "gil.c", "the first operations do not know of the only interpreter",
    "state->is_only_interpreter = is_only_interpreter();",
    "",
    C_PATHS + "test_first_operation_of_a_process_keeps_the_gil",
)
mutate(
    "gil.c", "a check raises nothing that was put by",
    "if (signals_raise_deferred(state) < 0) {",
    "if (0) {",
    DEFERRED + "test_exception_put_by_without_a_pending_call_comes_with_the_next_operation",
)

# ---- signals.c

mutate(
    "signals.c", "any thread raises what was put by",
    "deferred.thread != this_thread() || deferred.state != state",
    "deferred.state != state",
    DEFERRED + "test_exception_put_by_is_not_raised_in_another_thread",
)
mutate(
    "signals.c", "any interpreter raises what was put by",
    "deferred.thread != this_thread() || deferred.state != state",
    "deferred.thread != this_thread()",
    DEFERRED + "test_exception_put_by_is_not_raised_in_another_interpreter",
)
mutate(
    "signals.c", "what was put by comes before the count is stored",
    "frame == deferred.frame && frame_position(frame) == deferred.position",
    "0",
    "test_interrupted_write.py::test_count_of_an_interrupted_"
    "write_is_told_and_the_exception_follows",
)
mutate(
    "signals.c", "what was put by waits for the frame to end",
    "frame == deferred.frame && frame_position(frame) == deferred.position",
    "frame == deferred.frame",
    DEFERRED + "test_exception_put_by_comes_in_the_function_that_wrote",
)
mutate(
    "signals.c", "the older of two exceptions leaks",
    "raised_drop(&older);",
    "",
    DEFERRED + "test_older_of_two_exceptions_put_by_is_let_go",
)
mutate(
    "signals.c", "nobody is asked to look",
    "(void)Py_AddPendingCall(raise_elsewhere, NULL);",
    "",
    "test_interrupted_write.py::test_count_of_an_interrupted_"
    "write_is_told_and_the_exception_follows",
)

# ---- who sends the rest of a short write

mutate(
    "transfer.c", "the rest of a short write comes before what came meanwhile",
    "gil_check_next(&history->operations); /* what came",
    "/* what came",
    DEFERRED + "test_asynchronous_exception_comes_before_the_error_of_the_next_write",
)
mutate(
    "transfer.c", "a writer does not send the rest by itself",
    "return caller_goes_on ? sent : transfer_resume(self, sent);",
    "return transfer_resume(self, sent);",
    DEFERRED + "test_asynchronous_exception_ends_a_flush_to_a_slow_peer",
    DEFERRED + "test_pending_call_is_made_while_a_flush_waits_for_a_slow_peer",
)
mutate(
    "writing.c", "whoever has a view sends the rest by himself",
    "PyMemoryView_GET_BUFFER(buffer)->obj == NULL",
    "1",
    DEFERRED + "test_view_that_no_writer_has_lent_is_sent_whole",
)

# ---- csocket.h, csocket.c: which methods are the interpreter's own

mutate(
    "csocket.h", "any C method is taken for the one",
    "((PyCFunctionObject *)method)->m_ml == definition",
    "1",
    PATHS + "TestBinding::test_another_method_in_place_of_recv_into_does_what_it_does",
)
mutate(
    "csocket.h", "a way of look-up of one's own is passed over",
    "return type->tp_getattro == PyObject_GenericGetAttr &&",
    "return",
    PATHS + "TestOverrides::test_methods_found_by_getattribute_are_called",
    LOOKED_UP + "test_way_of_look_up_of_a_class_below_the_c_socket_is_taken",
)
mutate(
    "csocket.h", "an instance's dict is passed over",
    "type->tp_dictoffset == 0 &&",
    "",
    LOOKED_UP + "test_method_of_an_instance_below_the_c_socket_is_called",
)
mutate(
    "csocket.h", "what does not derive from the C socket is taken for one",
    "PyTuple_GET_ITEM(mro, 1) == (PyObject *)known->type;",
    "1;",
    LOOKED_UP + "test_class_of_one_base_that_is_no_socket_is_asked",
)
mutate(
    "csocket.h", "a class that has changed is as it was",
    "known->unchanged_version == class_version(type)",
    "1",
    LOOKED_UP + "test_method_of_a_class_below_the_c_socket_is_called",
    LOOKED_UP + "test_way_of_look_up_of_a_class_below_the_c_socket_is_taken",
)
mutate(
    "csocket.h", "no class is remembered",
    "if (known->unchanged_version != 0 &&",
    "if (0 &&",
    C_PATHS + "test_class_of_a_socket_is_remembered",
)
mutate(
    "csocket.c", "an odd key in a class is no name",
    "if (!Str_CheckExact(key)) { return 0;",
    "if (!Str_CheckExact(key)) { continue;",
    REGRESSIONS + "test_bases_that_change_while_they_are_searched_are_not_lost",
    REGRESSIONS + "test_key_that_begins_to_be_the_name_of_the_method_is_found",
)
mutate(
    "csocket.c", "a class's own send is passed over",
    "{\"recv_into\", \"send\"}",
    "{\"recv_into\"}",
    LOOKED_UP + "test_method_of_a_class_below_the_c_socket_is_called",
    REGRESSIONS + "test_class_that_gets_the_version_of_another_is_not_taken_for_it",
)
mutate(
    "csocket.c", "methods of a class that can change are taken",
    "Py_TYPE(descriptor) == descriptor_type && type_is_immutable(type)",
    "Py_TYPE(descriptor) == descriptor_type",
    LOOKED_UP + "test_c_socket_that_can_change_is_refused",
)

# ---- endpoint.c

mutate(
    "endpoint.c", "what is read-only is read into",
    "kind == OPERATION_READ ? PyBUF_WRITABLE : PyBUF_SIMPLE",
    "PyBUF_SIMPLE",
    SOCKETIO + "test_readinto_something_that_is_no_writable_buffer_refused_as_recv_into_does",
)
mutate(
    "endpoint.c", "a buffer is measured by its items",
    "found->nbytes = found->view.len;",
    "found->nbytes = found->view.len / found->view.itemsize;",
    SOCKETIO + "test_readinto_an_array_counts_bytes",
    BLOCKING + "TestWrite::test_write_of_any_buffer_counts_bytes_and_lets_go_of_it",
)
mutate(
    "endpoint.h", "a buffer is never let go",
    "if (found->has_view) {",
    "if (0) {",
    LIFETIME + "TestBuffers::test_buffer_read_into_can_be_resized_afterwards",
)
mutate(
    "endpoint.h", "a method is never let go",
    "Py_XDECREF(found->method);",
    "",
    LOOKED_UP + "test_method_of_a_sock_is_let_go_after_each_operation",
)
mutate(
    "endpoint.c", "a delegated time-out ends no reading",
    "if (is_timeout > 0) { stream_poison(self); }",
    "",
    BLOCKING + "TestTimeout::test_delegated_read_that_times_out_poisons_too",
)
mutate(
    "endpoint.c", "a write that times out ends reading",
    "if (kind == OPERATION_READ) { int is_timeout",
    "if (1) { int is_timeout",
    LOOKED_UP + "test_delegated_write_that_times_out_does_not_end_reading",
)
mutate(
    "endpoint.c", "would-block of a fake comes out",
    "PyErr_Clear(); Py_RETURN_NONE;",
    "return NULL;",
    BLOCKING + "TestWouldBlock::test_delegated_would_block_gives_none",
)

# ---- stream.h, stream.c

mutate(
    "stream.h", "errno is what it was",
    "errno = EAGAIN;",
    "errno = 0;",
    BLOCKING + "TestWouldBlock::test_buffered_writer_on_a_full_fake_raises_"
    "blocking_io_error_with_eagain",
    BLOCKING + "TestWouldBlock::test_buffered_writer_on_a_full_socket_"
    "raises_blocking_io_error_with_eagain",
)
mutate(
    "stream.h", "the argument of a method is borrowed",
    "Py_INCREF(argument); \\ result = function((SocketIO *)op, argument); \\ "
    "Py_DECREF(argument);",
    "result = function((SocketIO *)op, argument);",
    OWNERSHIP + "test_bytes_of_a_waiting_write_whose_caller_lets_go_of_them_are_sent",
)
mutate(
    "stream.h", "attributes of an instance are passed over",
    "(self->dict == NULL || PyDict_Size(self->dict) == 0)",
    "1",
    SOCKETIO + "test_override_of_readable_on_the_instance_decides_the_direction",
)
mutate(
    "stream.h", "a closed stream works on",
    "stream_is_plain(self) && !FIELD_LOAD(self->closed) && ",
    "stream_is_plain(self) && ",
    SOCKETIO + "test_closed_each_method_says_so",
)
mutate(
    "stream.h", "a stream for writing is read",
    "return FIELD_LOAD(self->reading) == Py_True &&",
    "return",
    SOCKETIO + "test_read_of_a_stream_for_writing_refused",
)
mutate(
    "stream.h", "a stream that timed out is read",
    "FIELD_LOAD(self->timeout_occurred) == Py_False;",
    "1;",
    BLOCKING + "TestTimeout::test_after_a_timeout_every_read_fails_even_"
    "with_data_and_writes_and_new_files_work",
)
mutate(
    "stream.c", "the old value of a field dies first",
    "FIELD_STORE(*field, Py_XNewRef(value));",
    "Py_XDECREF(old); old = NULL; FIELD_STORE(*field, Py_XNewRef(value));",
    OWNERSHIP + "test_value_of_a_field_that_dies_sees_the_next_one",
)
mutate(
    "stream.c", "a method of another stream is taken for our own",
    "PyCFunction_GET_SELF(method) == (PyObject *)self;",
    "1;",
    LOOKED_UP + "test_readinto_of_another_stream_reads_from_that_one",
)
mutate(
    "compat.h", "the first exception is dropped",
    "PyException_SetContext(newer.value, Py_NewRef(raised->value));",
    "",
    OWNERSHIP + "test_time_out_stays_the_context_of_what_marking_it_raises",
)
mutate(
    "compat.h", "contexts of exceptions form a cycle",
    "exception_cut_context(raised->value, newer.value);",
    "",
    EXCEPTIONS + "test_contexts_of_what_flush_and_the_counter_raise_form_no_cycle",
)

# ---- reading.c

mutate(
    "reading.c", "messages of up to ten times the size are copied",
    "MAPPED_NBYTES (128 * 1024)",
    "MAPPED_NBYTES (1280 * 1024)",
    C_PATHS + "test_message_is_copied_out_of_its_room_if_it_is_small",
)
mutate(
    "reading.c", "messages of a tenth of the size keep their room",
    "MAPPED_NBYTES (128 * 1024)",
    "MAPPED_NBYTES (12 * 1024)",
    C_PATHS + "test_message_is_copied_out_of_its_room_if_it_is_small",
)
mutate(
    "reading.c", "a time-out ends no reading",
    "if (received == TRANSFER_ERROR && state_timeout_is_raised(self->state) > 0) {",
    "if (0) {",
    BLOCKING + "TestTimeout::test_after_a_timeout_every_read_fails_even_"
    "with_data_and_writes_and_new_files_work",
)
mutate(
    "reading.c", "room grows by a chunk",
    "room / 2 > nbytes ? room / 2 : nbytes",
    "nbytes",
    C_PATHS + "test_readall_of_what_is_there_takes_more_each_time",
)
mutate(
    "reading.c", "readall receives a chunk",
    "if (all) { nbytes =",
    "if (0) { nbytes =",
    C_PATHS + "test_readall_of_what_is_there_takes_more_each_time",
)
mutate(
    "reading.c", "more is received than there is room for",
    "nbytes = PyBytes_GET_SIZE(into->bytes) - into->used;",
    "nbytes = PyBytes_GET_SIZE(into->bytes);",
    SOCKETIO + "test_readall_gives_any_parts_up_to_the_end_in_one",
    SOCKETIO + "test_readall_of_megabytes_over_tcp_gives_every_byte",
    C_PATHS + "test_readall_that_has_a_part_of_its_room_left_takes_no_more_than_that",
)
mutate(
    "reading.c", "a claim of less than nothing is believed",
    "if (used < 0 || used > nbytes ||",
    "if (used > nbytes ||",
    MEMORY + "test_read_into_which_more_is_claimed_than_was_offered_is_a_value_error",
    LOOKED_UP + "test_claim_of_less_than_nothing_is_a_value_error",
)
mutate(
    "reading.c", "a claim of more than was asked for is believed",
    "used > nbytes || used > PyByteArray_GET_SIZE(scratch)",
    "used > PyByteArray_GET_SIZE(scratch)",
    MEMORY + "test_buffer_that_the_sock_grows_does_not_make_a_read_longer",
)
mutate(
    "reading.c", "a claim of more than there is is believed",
    "used > nbytes || used > PyByteArray_GET_SIZE(scratch)",
    "used > nbytes",
    LOOKED_UP + "test_claim_of_more_than_the_sock_left_is_a_value_error",
)
mutate(
    "reading.c", "what is received is not cut",
    "if (self->used != PyBytes_GET_SIZE(bytes)) { (void)bytes_resize",
    "if (0) { (void)bytes_resize",
    C_PATHS + "test_message_is_copied_out_of_its_room_if_it_is_small",
)
mutate(
    "reading.c", "data before a would-block is lost",
    "if (outcome == COLLECT_NONE && into.used == 0) {",
    "if (outcome == COLLECT_NONE) {",
    SOCKETIO + "test_readall_of_a_non_blocking_socket_gives_the_data_so_far",
)
mutate(
    "reading.c", "an interrupted call of a fake ends readall",
    "endpoint_error_is(state, state->interrupted_errno, BY_ERRNO)",
    "0",
    REGRESSIONS + "test_interrupted_call_of_a_fake_within_readall_is_made_again",
)

# ---- writing.c

mutate(
    "writing.c", "sendall is counted by items",
    "nbytes = view.len;",
    "nbytes = view.len / view.itemsize;",
    PATHS + "TestSendall::test_write_calls_sendall_with_the_object_and_"
    "returns_its_length_in_bytes",
)
mutate(
    "writing.c", "a send that is not ready is replaced by sendall",
    "found == ATTR_ERROR ? -1 : found == ATTR_ABSENT",
    "1",
    REGRESSIONS + "test_send_of_a_fake_that_is_not_ready_is_not_replaced_by_its_sendall",
)

# ---- reference.c

mutate(
    "reference.c", "a count-down with other code is taken for the own",
    "PyFunction_GET_CODE(decref) == state->socket_decref_code",
    "1",
    REFERENCES + "TestOwnSocket::test_count_down_whose_code_is_another_runs_it",
)
mutate(
    "reference.c", "the largest count is added to",
    "exact_int_as_ssize(value, count) && *count < PY_SSIZE_T_MAX",
    "exact_int_as_ssize(value, count)",
    OWNERSHIP + "test_count_of_a_socket_goes_beyond_the_largest_size",
)
mutate(
    "reference.c", "a count of zero goes down",
    "if (count > 0 && set_plain_count",
    "if (set_plain_count",
    OWNERSHIP + "test_count_of_a_socket_does_not_go_below_zero",
)
mutate(
    "reference.c", "the last file of a closed socket leaves it open",
    "return close_if_closed(state, sock) < 0 ? -1 : 1;",
    "return 1;",
    REFERENCES + "TestOwnSocket::test_last_file_of_a_closed_socket_closes_it_by_its_close",
)
mutate(
    "reference.c", "a counter of any kind counts",
    "is_int(value) ? counts_as_socket(state, sock) : 1",
    "counts_as_socket(state, sock)",
    REFERENCES + "TestCounter::test_makefile_refs_that_is_no_int_is_passed_over",
)
mutate(
    "reference.c", "a close that counts is not called",
    "return done < 0 ? -1 : call_method(sock, state->str_close);",
    "return done < 0 ? -1 : count_down(state, sock, kind);",
    EXCEPTIONS + "test_closing_a_stream_never_closes_the_socket_under_another",
)
mutate(
    "reference.c", "a close that does not count is called",
    "done = counts_by_close(state, sock);",
    "done = 1;",
    EXCEPTIONS + "test_closing_a_stream_never_closes_the_socket_under_another",
)
mutate(
    "reference.c", "a socket closed while makefile fails stays open",
    "kind == REFERENCE_IO_REFS && counts_as_socket(state, sock) > 0",
    "0",
    REGRESSIONS + "test_socket_closed_while_makefile_fails_is_closed",
)
mutate(
    "reference.c", "a method that came later is not called",
    "done = call_if_there(sock, state->str_decref_socketios);",
    "done = kind == REFERENCE_MAKEFILE_REFS ? call_if_there(sock, "
    "state->str_decref_socketios) : 0;",
    REFERENCES + "TestCounter::test_raw_stream_made_directly_leaves_the_counter_and_releases_once",
)

# ---- socketio.c

mutate(
    "socketio.c", "a stream is closed twice",
    "return !was_closed;",
    "return 1;",
    OWNERSHIP + "test_half_made_stream_that_is_closed_says_nothing_to_the_sock",
)
mutate(
    "socketio.c", "a half-made stream tells the sock",
    "if (self->unfinished) {",
    "if (0) {",
    OWNERSHIP + "test_half_made_stream_that_is_closed_says_nothing_to_the_sock",
)
mutate(
    "socketio.c", "a release that raises loses the sock",
    "if (status == 0) { stream_set_field",
    "if (1) { stream_set_field",
    SOCKETIO + "test_close_when_releasing_the_reference_raises_stays_closed_with_its_sock_set",
)
mutate(
    "socketio.c", "an overridden flush is not called",
    "if (!stream_is_plain(self)) { flush_overridden(self); }",
    "",
    SOCKETIO + "test_override_of_flush_is_called_once_by_close_before_the_reference_goes",
)
mutate(
    "socketio.c", "a stream without a sock complains when it dies",
    "return found == ATTR_ABSENT;",
    "return 0;",
    OWNERSHIP + "test_stream_of_a_subclass_without_a_sock_dies_in_silence",
)
mutate(
    "socketio.c", "a sock that cannot be had is left as an exception",
    "if (found == ATTR_ERROR) { PyErr_Clear(); }",
    "",
    OWNERSHIP + "test_stream_that_never_had_its_sock_is_flushed_when_it_dies",
)
mutate(
    "socketio.c", "a finalizer drops the exception on its way",
    "raised_restore(&raised);",
    "raised_drop(&raised);",
    OWNERSHIP + "test_exception_on_its_way_while_a_stream_dies_stays",
)
mutate(
    "socketio.c", "a stream that dies does not say so",
    "PyObject_SetAttr(op, self->state->str_finalizing, Py_True) < 0",
    "0",
    "test_as_own.py::test_stream_that_dies_says_so_in_its_close",
)
mutate(
    "socketio.c", "the collector does not see the dict",
    "Py_VISIT(self->dict);",
    "",
    LIFETIME + "TestCollection::test_cycle_through_the_stream_s_own_dict_is_"
    "collected_and_released",
)
mutate(
    "socketio.c", "the collector does not see the fields",
    "#define VISIT(field) Py_VISIT(self->field);",
    "#define VISIT(field)",
    LIFETIME + "TestCollection::test_cycle_through_any_attribute_is_collected",
)
mutate(
    "socketio.c", "the collector does not see the type",
    "Py_VISIT(Py_TYPE(op));",
    "",
    OWNERSHIP + "test_collector_sees_the_type_and_the_module_of_a_stream",
)
mutate(
    "socketio.c", "the collector does not see the module",
    "Py_VISIT(self->state->module);",
    "",
    OWNERSHIP + "test_collector_sees_the_type_and_the_module_of_a_stream",
)
mutate(
    "socketio.c", "fields leak",
    "#define CLEAR(field) Py_CLEAR(self->field);",
    "#define CLEAR(field)",
    OWNERSHIP + "test_stream_lets_go_of_all_that_it_holds",
)
mutate(
    "socketio.c", "weak references outlive the stream",
    "PyObject_ClearWeakRefs(op);",
    "",
    SOCKETIO + "test_weakref_lives_as_long_as_the_stream",
)
mutate(
    "socketio.c", "a stream keeps the module",
    "Py_XDECREF(module);",
    "",
    OWNERSHIP + "test_stream_lets_go_of_all_that_it_holds",
)
mutate(
    "socketio.c", "a stream made anew counts as before",
    "self->reference = REFERENCE_NONE;",
    "",
    SOCKETIO + "test_init_again_of_a_stream_from_makefile_releases_the_new_socket",
    OWNERSHIP + "test_stream_made_anew_is_closed_as_one_made_directly",
)
mutate(
    "socketio.c", "a stream made anew has a past",
    "self->history = no_past;",
    "",
    TURNS + "test_stream_made_anew_after_a_short_write_waits_with_the_whole_timeout",
)
mutate(
    "socketio.c", "a patched initialiser is not called",
    "type->tp_init == socketio_init ?",
    "1 ?",
    "test_as_own.py::test_initialiser_that_is_patched_is_called_by_makefile",
)

# ---- makefile.c

mutate(
    "makefile.c", "b alone reads nothing",
    "parsed->reading |= !parsed->writing;",
    "",
    "test_arguments.py::test_mode_every_combination_of_rwb_gives_its_stream",
)
mutate(
    "makefile.c", "the default size is asked for with zero",
    "PyObject_RichCompareBool(buffering, state->zero, Py_LT)",
    "PyObject_RichCompareBool(buffering, state->zero, Py_LE)",
    "test_arguments.py::test_buffering_zero_gives_the_raw_stream",
)
mutate(
    "makefile.c", "an EncodingWarning points elsewhere",
    "encoding, state->one, NULL)",
    "encoding, state->interrupted_errno, NULL)",
    "test_arguments.py::test_encoding_left_out_under_warn_"
    "default_encoding_warns_once_at_the_caller",
)
mutate(
    "makefile.c", "io.text_encoding is not called",
    "if (function == state->text_encoding && encoding != Py_None) {",
    "if (encoding != Py_None) {",
    "test_arguments.py::test_encoding_goes_through_text_encoding_for_text_only",
)
mutate(
    "makefile.c", "tell answers a stranger",
    "wrapper == own && exact_int_as_ssize(size, &nbytes)",
    "exact_int_as_ssize(size, &nbytes)",
    SOCKETIO + "test_tell_is_unsupported_to_any_buffer_that_asks",
)
mutate(
    "makefile.c", "tell answers a size",
    "wrapper == own && exact_int_as_ssize(size, &nbytes)",
    "wrapper == own",
    SOCKETIO + "test_tell_is_unsupported_to_a_buffer_size_that_asks",
)
mutate(
    "makefile.c", "tell answers for ever",
    "socketio_set_wrapping(raw, 0);",
    "",
    SOCKETIO + "test_seek_tell_and_truncate_unsupported_open_or_closed",
    OWNERSHIP + "test_tell_of_a_stream_from_makefile_is_unsupported",
)
mutate(
    "makefile.c", "a keyword has to be the interned string",
    "if (same != 0) {",
    "if (same < 0) {",
    "test_arguments.py::test_keyword_made_at_run_time_is_the_argument",
)
mutate(
    "makefile.c", "an argument given twice is taken",
    "&& arguments->placed[i] == NULL) {",
    ") {",
    "test_arguments.py::test_arguments_too_many_unknown_or_twice_refused",
)
mutate(
    "makefile.c", "a failed makefile keeps its count",
    "socketio_abandon(state, raw, args[ARG_SELF]);",
    "socketio_finish(raw);",
    OWNERSHIP + "test_makefile_that_fails_says_nothing_to_the_sock",
)
mutate(
    "makefile.c", "arguments leak",
    "Py_XDECREF(arguments->placed[i]);",
    "",
    OWNERSHIP + "test_makefile_lets_go_of_its_arguments",
)

# ---- state.c

mutate(
    "state.c", "a count-down of other names is taken for the own",
    "PyObject_RichCompareBool(used, names, Py_EQ)",
    "1",
    REFERENCES + "TestOwnSocket::test_count_down_replaced_before_the_import_is_called",
)
mutate(
    "state.c", "an error in a finalizer is never told",
    "PyObject_IsTrue(dev_mode)",
    "0",
    OWNERSHIP + "test_error_of_a_finalizer_is_told_where_the_interpreter_tells_its_own",
)
mutate(
    "state.c", "an error in a finalizer is always told",
    "PyObject_IsTrue(dev_mode)",
    "1",
    OWNERSHIP + "test_error_of_a_finalizer_is_told_where_the_interpreter_tells_its_own",
)

# ---- waits that begin with the GIL

mutate(
    "transfer.c", "no wait begins with the GIL",
    "&& await_for_a_moment(self)) {",
    "&& 0) {",
    C_PATHS + "test_answer_of_another_process_comes_with_the_gil",
)
mutate(
    "gil.c", "a moment is tried again at once",
    "between = 2 * between + 1;",
    "between = 0;",
    C_PATHS + "test_waits_that_bring_nothing_seldom_begin_with_the_gil",
)
mutate(
    "gil.c", "moments do not come back",
    "between /= 2;",
    "",
    C_PATHS + "test_answer_of_another_process_comes_with_the_gil",
)
mutate(
    "gil.c", "the GIL is kept in a wait while others are under way",
    "if (!gil_is_kept(state, 1)) {",
    "if (!gil_is_kept(state, 0)) {",
    C_PATHS + "test_wait_while_another_transfer_is_under_way_gives_the_gil_up_at_once",
)
mutate(
    "gil.h", "the moment is ten times as long",
    "#define MOMENT_NS 100000",
    "#define MOMENT_NS 1000000",
    C_PATHS + "test_answer_that_takes_longer_comes_without_the_gil",
)
mutate(
    "gil.h", "the moment is a tenth as long",
    "#define MOMENT_NS 100000",
    "#define MOMENT_NS 10000",
    C_PATHS + "test_answer_of_another_process_comes_with_the_gil",
)
mutate(
    "gil.h", "ten times as few waits are between",
    "#define MOST_WAITS_BETWEEN 255",
    "#define MOST_WAITS_BETWEEN 25",
    C_PATHS + "test_waits_that_bring_nothing_seldom_begin_with_the_gil",
)
mutate(
    "gil.h", "ten times as many waits are between",
    "#define MOST_WAITS_BETWEEN 255",
    "#define MOST_WAITS_BETWEEN 2550",
    C_PATHS + "test_waits_that_bring_nothing_seldom_begin_with_the_gil",
)

# ---- tls.c

TLS = "test_tls.py::"
mutate(
    "tls.c", "the class of a TLS socket is remembered whatever it becomes",
    "version == state->tls_version &&",
    "",
    TLS + "test_look_ups_that_the_class_answers_are_as_many",
)
mutate(
    "tls.c", "the class below that of TLS sockets is not looked at",
    "version_below(type) == state->tls_version_below",
    "1",
    TLS + "test_exception_of_a_look_up_in_a_base_class_comes_out",
    TLS + "test_look_ups_that_the_base_answers_are_as_many",
)
mutate(
    "tls.c", "classes of other names are looked at",
    "&& strcmp(type->tp_name, \"SSLSocket\") == 0",
    "",
    TLS + "test_class_is_looked_at_once",
)
mutate(
    "tls.c", "a class that is not known is looked at each time",
    "state->tls_refused = version;",
    "",
    TLS + "test_class_is_looked_at_once",
)
mutate(
    "tls.c", "a class that has changed meanwhile is known",
    "class_version(type) == version && version_below(type) == below ? TLS_KNOWN : TLS_UNKNOWN",
    "TLS_KNOWN",
    TLS + "test_class_that_changes_while_it_is_looked_at_is_not_known",
)
mutate(
    "tls.c", "attributes of other ways are not seen",
    "if (type->tp_getattro != PyObject_GenericGetAttr) {",
    "if (0) {",
    TLS + "test_look_ups_that_the_class_answers_are_as_many",
)
mutate(
    "tls.c", "a function with other code is taken for the own",
    "PyFunction_GET_CODE(function) == PyTuple_GET_ITEM(state->tls_functions, 3 * which + 1) &&",
    "",
    TLS + "test_what_is_changed_in_the_class_is_honoured",
)
mutate(
    "tls.c", "a function with other defaults is taken for the own",
    "PyFunction_GET_DEFAULTS(function) == PyTuple_GET_ITEM(state->tls_functions, 3 * which + 2)",
    "1",
    TLS + "test_what_is_changed_in_the_class_is_honoured",
)
mutate(
    "tls.c", "_checkClosed is not asked for",
    "? answers_with(state, tls, state->str_check_closed, TLS_CHECK_CLOSED)",
    "? TLS_KNOWN",
    TLS + "test_what_is_set_on_the_socket_is_honoured",
)
mutate(
    "tls.c", "read is not asked for",
    "known = answers_with(state, tls, state->str_read, TLS_READ);",
    "",
    TLS + "test_what_is_set_on_the_socket_is_honoured",
)
mutate(
    "tls.c", "what a look-up raises is an absence",
    "return found == ATTR_ERROR ? TLS_ERROR : known",
    "if (found == ATTR_ERROR) { PyErr_Clear(); } return known",
    TLS + "test_exception_of_a_key_in_the_dict_of_the_socket_comes_out",
)
mutate(
    "tls.c", "an empty buffer is read into",
    "(nbytes = argument_nbytes(argument)) == 0",
    "(nbytes = argument_nbytes(argument)) < 0",
    TLS + "test_size_that_is_asked_for_is_the_interpreters",
)
mutate(
    "tls.c", "a socket that is unwrapped is asked for TLS",
    "known == TLS_KNOWN && *sslobj == Py_None",
    "0 && *sslobj == Py_None",
    TLS + "test_after_unwrap_the_stream_reads_and_writes_what_the_socket_does",
)
mutate(
    "tls.c", "the object in C is not let go",
    "Py_DECREF(sslobj); return 1;",
    "return 1;",
    "test_leaks.py::test_operation_done_many_times_leaves_nothing",
)
mutate(
    "tls.c", "an error of any class is judged",
    "if (ssl_error != NULL && raised_matches(ssl_error)) {",
    "if (ssl_error != NULL) {",
    TLS + "test_errors_of_the_tls_object_are_those_of_the_interpreters_stream",
)
mutate(
    "tls.c", "a ragged end is an error",
    "suppress == NULL ? -1 : PyObject_IsTrue(suppress)",
    "suppress == NULL ? -1 : 0",
    TLS + "test_end_of_the_peer_is_the_end_of_the_stream_or_an_error",
)
mutate(
    "tls.c", "any number is that of a ragged end",
    "PyObject_RichCompareBool(number, Py_NewRef(wanted), Py_EQ)",
    "(Py_NewRef(wanted), 1)",
    TLS + "test_errors_of_the_tls_object_are_those_of_the_interpreters_stream",
)
mutate(
    "endpoint.c", "a TLS read is not followed by the interpreter's check",
    "gil_check_next(&self->history.operations);",
    "",
    C_PATHS + "test_operations_on_a_tls_socket_are_done_by_its_object_in_c",
)
