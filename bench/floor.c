/* The least a server can do: one thread, epoll, and a plain send() loop over all streams, once a price.
 *
 *     cc -O2 -o floor bench/floor.c && ./floor PORT SECONDS_BETWEEN_PRICES
 *
 * No parsing, no history, no laggards, no deadlines: what our own server does beyond this is what its features cost.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536 /* descriptors */

static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                           "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
static const int ON = 1;

static int streams[MOST]; /* the descriptors of all open streams */
static int place[MOST];   /* where in `streams` a descriptor is; -1: it has sent no request yet */
static int count;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static int listener(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &ON, sizeof ON);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
        perror("floor");
        exit(1);
    }
    return fd;
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(int epoll, int listening) {
    int fd;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof ON);
        place[fd] = -1;
        watch(epoll, fd);
    }
}

static void leave(int fd) {
    if (place[fd] >= 0) {
        int last = streams[--count];
        streams[place[fd]] = last;
        place[last] = place[fd];
    }
    close(fd);
}

static void hear(int fd) {
    char request[4096];
    if (read(fd, request, sizeof request) <= 0) {
        leave(fd);
    } else if (place[fd] < 0) {
        send(fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL);
        place[fd] = count;
        streams[count++] = fd;
    }
}

static void broadcast(void) {
    char event[256], frame[300];
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    int size = snprintf(event, sizeof event,
                        "id: %ld%03ld\ndata: {\"timestamp\":%ld,\"price\":69420.25,\"status\":\"ok\",\"sources\":3,"
                        "\"spread\":3.10,\"age\":0,\"method\":\"vote3-ped/1\"}\n\n",
                        wall.tv_sec, wall.tv_nsec / 1000000, wall.tv_sec);
    int length = snprintf(frame, sizeof frame, "%x\r\n%s\r\n", size, event);
    for (int i = 0; i < count; i++)
        send(streams[i], frame, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int main(int words, char **word) {
    if (words != 3)
        return fprintf(stderr, "usage: floor PORT SECONDS_BETWEEN_PRICES\n"), 2;
    double interval = atof(word[2]), due = now() + interval;
    int epoll = epoll_create1(0), listening = listener(atoi(word[1]));
    struct epoll_event ready[1024];
    watch(epoll, listening);
    for (;;) {
        double wait = due - now();
        int events = epoll_wait(epoll, ready, 1024, wait > 0 ? (int)(wait * 1000) + 1 : 0);
        for (int i = 0; i < events; i++)
            ready[i].data.fd == listening ? accept_all(epoll, listening) : hear(ready[i].data.fd);
        if (now() >= due) {
            due += interval;
            broadcast();
        }
    }
}
