/* Loaded before a node: while the file STORE_STALLS_WHILE_THERE_IS exists, its store stands still.
 *
 * Syncs, reads and writes of files wait, as on a disk that is stuck, and so do the threads of the
 * store's actors, as under a store that blocks them: those whose name begins with "store-". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

static void stand_still(void) {
    const char *file = getenv("STORE_STALLS_WHILE_THERE_IS");
    while (file && access(file, F_OK) == 0)
        usleep(5000);
}

static int is_of_the_store(void) {
    char name[16] = "";
    return prctl(PR_GET_NAME, name) == 0 && strncmp(name, "store-", 6) == 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int epoll_wait(int queue, struct epoll_event *events, int count, int timeout) {
    int found = REAL(epoll_wait)(queue, events, count, timeout);
    if (is_of_the_store())
        stand_still();
    return found;
}

int fdatasync(int file) {
    stand_still();
    return REAL(fdatasync)(file);
}

int fsync(int file) {
    stand_still();
    return REAL(fsync)(file);
}

ssize_t pread64(int file, void *to, size_t bytes, off64_t at) {
    stand_still();
    return REAL(pread64)(file, to, bytes, at);
}

ssize_t pwrite64(int file, const void *from, size_t bytes, off64_t at) {
    stand_still();
    return REAL(pwrite64)(file, from, bytes, at);
}
