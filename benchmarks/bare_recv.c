/* The floor under every read: recv(2) itself, called and timed in C. */
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/* Seconds that `calls` reads of `size` bytes took; negative if one did not return `size`. */
double
bare_recv(int fd, void *buffer, size_t size, long calls)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long i = 0; i < calls; i++) {
        if (recv(fd, buffer, size, 0) != (ssize_t)size) {
            return -1.0;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
}
