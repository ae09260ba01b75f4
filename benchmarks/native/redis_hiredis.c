/* The load of benchmarks/redis.py on hiredis' asynchronous API and libevent.
 *
 *     cc -O2 redis_hiredis.c -o redis_hiredis -lhiredis -levent
 *     redis_hiredis SOCKET sequential|concurrent|bulk|pipeline|pubsub COUNT
 *
 * Prints seconds, and seconds of CPU time, on one line. */

#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { OUTSTANDING = 64 };
static const char VALUE[] = "0123456789abcdef";
static const char BURST[] =
    "for i = 1, tonumber(ARGV[1]) do redis.call('PUBLISH', 'bench:channel', ARGV[2]) end";

static struct event_base *loop;
static redisAsyncContext *publisher;
static long wanted, asked, answered;
static double wall_start, cpu_start;

static double wall(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec * 1e-9;
}

static double cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void begin(void) {
    wall_start = wall();
    cpu_start = cpu();
}

static void count(void) {
    if (++answered == wanted) {
        printf("%.9f %.9f\n", wall() - wall_start, cpu() - cpu_start);
        event_base_loopbreak(loop);
    }
}

static void die(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void check(redisReply *reply) {
    if (reply == NULL) die("the connection was lost");
    if (reply->type == REDIS_REPLY_ERROR) die(reply->str);
}

static void ask(redisAsyncContext *context);

static void on_value(redisAsyncContext *context, void *reply, void *unused) {
    (void)unused;
    check(reply);
    count();
    if (asked < wanted) ask(context);
}

static void ask(redisAsyncContext *context) {
    asked++;
    redisAsyncCommand(context, on_value, NULL, "GET %s", "bench:key");
}

static void on_bulk(redisAsyncContext *context, void *reply, void *unused) {
    (void)context;
    (void)unused;
    check(reply);
    count();
}

static void ask_all(redisAsyncContext *context) {
    char key[32];
    for (long number = 0; number < wanted / 2; number++) {
        int length = snprintf(key, sizeof key, "bench:%ld", number);
        redisAsyncCommand(context, on_bulk, NULL, "SET %b %b", key, (size_t)length,
                          VALUE, sizeof VALUE - 1);
    }
    for (long number = 0; number < wanted / 2; number++) {
        int length = snprintf(key, sizeof key, "bench:%ld", number);
        redisAsyncCommand(context, on_bulk, NULL, "GET %b", key, (size_t)length);
    }
}

static void on_message(redisAsyncContext *context, void *answer, void *unused) {
    redisReply *reply = answer;
    (void)context;
    (void)unused;
    check(reply);
    if (strcmp(reply->element[0]->str, "message") == 0) {
        count();
        return;
    }
    begin();
    redisAsyncCommand(publisher, NULL, NULL, "EVAL %s 0 %ld %s", BURST, wanted, VALUE);
}

static redisAsyncContext *connected(const char *path) {
    redisAsyncContext *context = redisAsyncConnectUnix(path);
    if (context == NULL || context->err) die("cannot connect");
    redisLibeventAttach(context, loop);
    return context;
}

int main(int argc, char **argv) {
    if (argc != 4) die("usage: redis_hiredis SOCKET SCENARIO COUNT");
    wanted = atol(argv[3]);
    loop = event_base_new();
    redisAsyncContext *context = connected(argv[1]);
    event_base_loop(loop, EVLOOP_ONCE);
    begin();
    if (strcmp(argv[2], "sequential") == 0) {
        ask(context);
    } else if (strcmp(argv[2], "concurrent") == 0) {
        for (int each = 0; each < OUTSTANDING; each++) ask(context);
    } else if (strcmp(argv[2], "pubsub") == 0) {
        publisher = connected(argv[1]);
        redisAsyncCommand(context, on_message, NULL, "SUBSCRIBE %s", "bench:channel");
    } else {
        ask_all(context);
    }
    event_base_dispatch(loop);
    return 0;
}
