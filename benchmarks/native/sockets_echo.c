/*
 * A framed echo server with epoll, as a measure.
 *
 *   sockets_echo batch PATH    one read, all its frames, one write
 *   sockets_echo packet PATH   reads the length, then the rest, then writes: a
 *                              frame at a time, each in memory of its own
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TURN = 256, READ = 1 << 18, HIGH = 1 << 18, LOW = 1 << 16 };

typedef struct {
    unsigned char *data;
    size_t length, room;
} Bytes;

typedef struct {
    int fd, writing, reading;
    Bytes in, out;
    size_t sent; /* of out */
} Client;

static int epoll;
static unsigned char input[READ];

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void append(Bytes *bytes, const void *data, size_t length)
{
    if (bytes->length + length > bytes->room) {
        bytes->room = (bytes->length + length) * 2;
        bytes->data = must(realloc(bytes->data, bytes->room));
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void empty(Bytes *bytes)
{
    free(bytes->data);
    *bytes = (Bytes){0};
}

static void watch(Client *c)
{
    size_t queued = c->out.length - c->sent;
    int writing = queued > 0, reading = queued <= (c->reading ? HIGH : LOW);
    struct epoll_event event = {.data.ptr = c};
    if (writing == c->writing && reading == c->reading)
        return;
    c->writing = writing;
    c->reading = reading;
    event.events = (reading ? EPOLLIN : 0) | (writing ? EPOLLOUT : 0);
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static int put(Client *c, const unsigned char *data, size_t length)
{
    ssize_t sent = 0;
    if (!c->out.length) {
        sent = write(c->fd, data, length);
        if (sent < 0 && errno != EAGAIN)
            return -1;
        if (sent < 0)
            sent = 0;
    }
    if ((size_t)sent < length)
        append(&c->out, data + sent, length - (size_t)sent);
    return 0;
}

static int flush(Client *c)
{
    ssize_t sent = write(c->fd, c->out.data + c->sent, c->out.length - c->sent);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    c->sent += (size_t)sent;
    if (c->sent == c->out.length) {
        empty(&c->out);
        c->sent = 0;
    }
    return 0;
}

/* All the whole frames, which an echo may leave where they are. */
static int batch(Client *c)
{
    ssize_t got = read(c->fd, input, sizeof input);
    const unsigned char *data = input;
    size_t length, whole = 0;
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    length = (size_t)got;
    if (c->in.length) {
        append(&c->in, input, length);
        data = c->in.data;
        length = c->in.length;
    }
    while (length - whole >= 4) {
        uint32_t frame;
        memcpy(&frame, data + whole, 4);
        if (frame < 4)
            return -1;
        if (frame > length - whole)
            break;
        whole += frame;
    }
    if (whole && put(c, data, whole))
        return -1;
    if (data == input) {
        if (whole < length)
            append(&c->in, data + whole, length - whole);
    } else if (whole == length) {
        empty(&c->in);
    } else {
        memmove(c->in.data, c->in.data + whole, length - whole);
        c->in.length = length - whole;
    }
    return 0;
}

static int packet(Client *c)
{
    uint32_t frame = 4;
    ssize_t got;
    if (c->in.length >= 4)
        memcpy(&frame, c->in.data, 4);
    if (frame > c->in.room) {
        c->in.data = must(realloc(c->in.data, frame));
        c->in.room = frame;
    }
    got = read(c->fd, c->in.data ? c->in.data + c->in.length : input,
               frame - c->in.length);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    c->in.length += (size_t)got;
    if (c->in.length == 4) {
        memcpy(&frame, c->in.data, 4);
        if (frame < 4)
            return -1;
        if (frame > 4)
            return packet(c);
    }
    if (c->in.length < frame)
        return 0;
    if (put(c, c->in.data, frame))
        return -1;
    empty(&c->in);
    return 0;
}

static void drop(Client *c)
{
    close(c->fd);
    empty(&c->in);
    empty(&c->out);
    free(c);
}

static void let_in(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        Client *c = must(calloc(1, sizeof *c));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        c->fd = fd;
        c->reading = 1;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event events[TURN], event = {.events = EPOLLIN};
    struct rlimit limit;
    int listener, (*readable)(Client *);
    if (argc != 3)
        return 64;
    readable = strcmp(argv[1], "batch") ? packet : batch;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, 1024))
        return 1;
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, TURN, -1);
        for (int i = 0; i < count; i++) {
            Client *c = events[i].data.ptr;
            if (!c) {
                let_in(listener);
                continue;
            }
            if ((events[i].events & EPOLLOUT && flush(c)) ||
                (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
                 readable(c)))
                drop(c);
            else
                watch(c);
        }
    }
}
