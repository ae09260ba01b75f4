/*
 * Clients of a framed echo server on a Unix socket.
 *
 * A frame is a length of four bytes in the machine's order, which counts itself,
 * and a payload.  Every byte that comes back is compared with what was sent.
 *
 *   sockets_load run PATH SIZE CLIENTS WINDOW MILLISECONDS
 *       each client has WINDOW frames of SIZE bytes on their way all the time
 *   sockets_load connect PATH SIZE - - MILLISECONDS
 *       connects, sends one frame, gets it back, closes, and again
 *   sockets_load idle PATH SIZE CLIENTS - -
 *       each client gets one frame back; they stay until a line is read
 *   sockets_load slow PATH SIZE BYTES - -
 *       sends without reading until nothing more goes, waits for a line, then
 *       reads everything
 *
 * Prints one line of JSON; idle and slow print a line before they wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TURN = 64, READ = 1 << 18, SLOTS = 1 << 20 };

typedef struct {
    int fd;
    uint64_t sent, got; /* bytes */
    uint64_t *begun;    /* when the frames on their way were written */
    int blocked;
} Client;

static const char *path;
static size_t size;
static int window;
static unsigned char *block; /* as many frames as one write may have */
static size_t block_frames;
static unsigned char input[READ];
static uint64_t histogram[SLOTS]; /* of tenths of microseconds; the last is more */
static uint64_t frames;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "wrong");
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}


static void fill(void)
{
    uint32_t length = (uint32_t)size;
    block_frames = size >= 1 << 20 ? 1 : (1 << 20) / size;
    if (!(block = malloc(block_frames * size)))
        fail("malloc");
    memcpy(block, &length, 4);
    for (size_t i = 4; i < size; i++)
        block[i] = (unsigned char)(i * 73 + (i >> 8) * 31 + 11);
    for (size_t i = 1; i < block_frames; i++)
        memcpy(block + i * size, block, size);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    while (connect(fd, (struct sockaddr *)&address, sizeof address))
        if (errno != EINTR && errno != EAGAIN)
            fail("connect");
    return fd;
}

static void check(Client *c, const unsigned char *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        size_t at = (c->got + done) % size, part = block_frames * size - at;
        if (part > length - done)
            part = length - done;
        if (memcmp(block + at, data + done, part)) {
            errno = 0;
            fail("an echo");
        }
        done += part;
    }
}

static void note(Client *c, uint64_t before, uint64_t at)
{
    for (uint64_t frame = before / size; frame < c->got / size; frame++) {
        uint64_t took = (at - c->begun[frame % (uint64_t)window]) / 100;
        histogram[took < SLOTS ? took : SLOTS - 1]++;
        frames++;
    }
}

static void take(Client *c)
{
    ssize_t got = read(c->fd, input, sizeof input);
    uint64_t before = c->got;
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("read");
    check(c, input, (size_t)got);
    c->got += (uint64_t)got;
    note(c, before, now());
}

/* Write as much as the window lets and the kernel takes. */
static void give(Client *c, int more)
{
    uint64_t until = (c->got / size + (uint64_t)window) * size;
    if (!more)
        until = (c->sent + size - 1) / size * size;
    c->blocked = 0;
    while (c->sent < until) {
        size_t at = c->sent % size, part = block_frames * size - at;
        uint64_t begun = now(), frame;
        ssize_t sent;
        if (part > until - c->sent)
            part = until - c->sent;
        sent = write(c->fd, block + at, part);
        if (sent < 0 && errno == EAGAIN) {
            c->blocked = 1;
            return;
        }
        if (sent < 0)
            fail("write");
        for (frame = (c->sent + size - 1) / size;
             frame * size < c->sent + (uint64_t)sent; frame++)
            c->begun[frame % (uint64_t)window] = begun;
        c->sent += (uint64_t)sent;
    }
}

static double quantile(double part)
{
    uint64_t wanted = (uint64_t)(part * (double)frames), seen = 0;
    for (size_t i = 0; i < SLOTS; i++)
        if ((seen += histogram[i]) > wanted)
            return (double)i / 10;
    return 0;
}

static void tell(uint64_t nanoseconds)
{
    double seconds = (double)nanoseconds / 1e9;
    printf("{\"frames\": %llu, \"seconds\": %.6f, \"p50\": %.1f, \"p999\": %.1f}\n",
           (unsigned long long)frames, seconds, quantile(0.5), quantile(0.999));
}

static void wait_for(int epoll, Client *c, int change)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c->blocked)
        event.events |= EPOLLOUT;
    if (epoll_ctl(epoll, change, c->fd, &event))
        fail("epoll_ctl");
}

static void run(int clients, uint64_t milliseconds)
{
    Client *all = calloc((size_t)clients, sizeof *all);
    struct epoll_event events[TURN];
    int epoll = epoll_create1(0), open = clients;
    uint64_t begun = now(), end = begun + milliseconds * 1000000u;
    for (int i = 0; i < clients; i++) {
        all[i].fd = dial();
        all[i].begun = calloc((size_t)window, sizeof *all[i].begun);
        if (clients > 1 || window > 1)
            fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
    }
    if (clients == 1 && window == 1) { /* what a blocking client does */
        while (now() < end) {
            give(all, 1);
            while (all->got < all->sent)
                take(all);
        }
        tell(now() - begun);
        return;
    }
    for (int i = 0; i < clients; i++) {
        give(&all[i], 1);
        wait_for(epoll, &all[i], EPOLL_CTL_ADD);
    }
    while (open) {
        int more = now() < end, count = epoll_wait(epoll, events, TURN, 20000);
        if (count <= 0)
            fail("nothing came for 20 seconds");
        for (int i = 0; i < count; i++) {
            Client *c = events[i].data.ptr;
            int blocked = c->blocked;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                take(c);
            give(c, more);
            if (!more && c->got == c->sent && c->sent % size == 0) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
                open--;
            } else if (blocked != c->blocked) {
                wait_for(epoll, c, EPOLL_CTL_MOD);
            }
        }
    }
    tell(now() - begun);
}

static void once(Client *c)
{
    c->sent = c->got = 0;
    give(c, 1);
    while (c->got < size)
        take(c);
}

static void connecting(uint64_t milliseconds)
{
    Client c = {.begun = calloc(1, 8)};
    uint64_t begun = now(), end = begun + milliseconds * 1000000u;
    while (now() < end) {
        c.fd = dial();
        once(&c);
        close(c.fd);
    }
    tell(now() - begun);
}

static void pause_here(void)
{
    printf("waiting\n");
    fflush(stdout);
    if (getchar() == EOF)
        exit(1);
}

static void idle(int clients)
{
    Client c = {.begun = calloc(1, 8)};
    uint64_t begun = now();
    for (int i = 0; i < clients; i++) {
        c.fd = dial();
        once(&c);
    }
    pause_here();
    tell(now() - begun);
}

static void slow(uint64_t bytes)
{
    Client c = {.fd = dial(), .begun = calloc((size_t)window, 8)};
    struct pollfd poll_fd = {.fd = c.fd, .events = POLLOUT};
    uint64_t begun = now();
    fcntl(c.fd, F_SETFL, O_NONBLOCK);
    while (c.sent < bytes && poll(&poll_fd, 1, 500) > 0)
        give(&c, 1);
    pause_here();
    /* The rest of a frame that was sent in part goes first. */
    while (c.got < c.sent || c.sent % size) {
        poll_fd.events = POLLIN | (c.sent % size ? POLLOUT : 0);
        if (poll(&poll_fd, 1, 20000) <= 0)
            fail("nothing came for 20 seconds");
        if (poll_fd.revents & POLLOUT)
            give(&c, 0);
        if (poll_fd.revents & POLLIN)
            take(&c);
    }
    tell(now() - begun);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    if (argc != 7)
        return 64;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    path = argv[2];
    size = strtoull(argv[3], NULL, 10);
    window = strcmp(argv[1], "run") ? 1 : atoi(argv[5]);
    fill();
    if (!strcmp(argv[1], "run"))
        run(atoi(argv[4]), strtoull(argv[6], NULL, 10));
    else if (!strcmp(argv[1], "connect"))
        connecting(strtoull(argv[6], NULL, 10));
    else if (!strcmp(argv[1], "idle"))
        idle(atoi(argv[4]));
    else if (!strcmp(argv[1], "slow")) {
        window = 1 << 20; /* as many as there are */
        slow(strtoull(argv[4], NULL, 10));
    } else
        return 64;
    return 0;
}
