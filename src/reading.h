/* reading.h: readinto, read, readall. */
#ifndef BACKPORTS_MAKEFILE_READING_H
#define BACKPORTS_MAKEFILE_READING_H

#include "stream.h"

INTERNAL extern const char readinto_doc[], read_doc[], readall_doc[];

INTERNAL PyObject *socketio_readinto(PyObject *op, PyObject *buffer);
FASTCALL_PROTOTYPE(socketio_read);
INTERNAL PyObject *socketio_readall(PyObject *op, PyObject *unused);

#endif
