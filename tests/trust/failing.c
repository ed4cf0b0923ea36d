/* Preloaded into the driver and its workers: counts the calls that open or change something below TRUST_PREFIX, and lets
   one of them fail. The counter and what is to fail are in the shared file TRUST_SHARED. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct shared {
    long count;
    long fail_at;
    long error;
    char what[4096];
};

static struct shared *shared;
static const char *prefix;
static size_t prefix_length;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TRUST_SHARED");
    prefix = getenv("TRUST_PREFIX");
    if (path == NULL || prefix == NULL) return;
    prefix_length = strlen(prefix);
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = real(path, O_RDWR);
    if (fd < 0) return;
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED) shared = memory;
}

static int fails(const char *call, const char *path) {
    if (shared == NULL || path == NULL || strncmp(path, prefix, prefix_length) != 0) return 0;
    long number = __sync_add_and_fetch(&shared->count, 1);
    if (number != shared->fail_at) return 0;
    snprintf(shared->what, sizeof shared->what, "%s %s", call, path + prefix_length);
    errno = (int)shared->error;
    return 1;
}

static int fails_on(const char *call, int fd) {
    char link[64], path[4096];
    if (shared == NULL || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return fails(call, path);
}

#define REAL(name) static __typeof__(&name) real; if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define MODE va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more)

int open(const char *path, int flags, ...) { REAL(open); MODE; return fails("open", path) ? -1 : real(path, flags, mode); }
int open64(const char *path, int flags, ...) { REAL(open64); MODE; return fails("open", path) ? -1 : real(path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { REAL(openat); MODE; return fails("open", path) ? -1 : real(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { REAL(openat64); MODE; return fails("open", path) ? -1 : real(at, path, flags, mode); }
ssize_t write(int fd, const void *data, size_t size) { REAL(write); return fails_on("write", fd) ? -1 : real(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { REAL(pwrite); return fails_on("write", fd) ? -1 : real(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { REAL(pwrite64); return fails_on("write", fd) ? -1 : real(fd, data, size, at); }
int fsync(int fd) { REAL(fsync); return fails_on("fsync", fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return fails_on("fsync", fd) ? -1 : real(fd); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); return fails_on("truncate", fd) ? -1 : real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); return fails_on("truncate", fd) ? -1 : real(fd, size); }
int rename(const char *from, const char *to) { REAL(rename); return fails("rename", to) ? -1 : real(from, to); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); return fails("mkdir", path) ? -1 : real(path, mode); }
int unlink(const char *path) { REAL(unlink); return fails("unlink", path) ? -1 : real(path); }
int rmdir(const char *path) { REAL(rmdir); return fails("unlink", path) ? -1 : real(path); }
int unlinkat(int at, const char *path, int flags) { REAL(unlinkat); return fails_on("unlink", at) ? -1 : real(at, path, flags); }
int chmod(const char *path, mode_t mode) { REAL(chmod); return fails("chmod", path) ? -1 : real(path, mode); }
