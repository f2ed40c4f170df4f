/* A subscriber in C that takes messages from shared memory, written from docs/protocol.md alone.
 *
 *   peer DOMAIN NUMBER TOPIC COUNT
 *
 * DOMAIN is the domain's name, NUMBER its 64 bits in hexadecimal. Every byte of a message has one value, its number
 * modulo 256. The peer keeps the last ten messages, and looks at the bytes of each when it comes and when it lets go of
 * it. It ends after COUNT messages. It leaves out what a peer may leave out: fragments, questions of its own, a second
 * publisher, what happens when a node is lost.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER = 5, STARTED = 7, REPORT = 9, PLACED = 11, HELLO = 16, WELCOME, CONFIRM, TABLE, ALIVE };
enum { PROBE = 4, START = 6, POLL = 8, OFFER = 1, TAKEN = 2, RETIRED = 4 };
enum { ENTRIES = 1024, LEDGER = 8 * ENTRIES, SEGMENTS = 16, KEPT = 10, WINDOW = 212992 };
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | 0x10)
#define MAX_MAPPED (1u << 30)

typedef struct { uint64_t generation, seq; const uint8_t *body; uint64_t size; uint32_t entry; } message;
struct __attribute__((packed)) header {
    uint16_t length; uint8_t version, kind, codec, flags; uint16_t extra; uint64_t source, seq, sent_ns;
};
struct __attribute__((packed)) offer {
    char magic[4]; uint8_t version, kind; uint16_t segment; uint32_t entries;
    uint64_t publisher, subscriber, token, size;
};
struct __attribute__((packed)) spot { uint32_t segment, entry; uint64_t generation, offset, size; };

static uint64_t domain, node = 0x4e4e4e4e4e4e4e4e, subscriber = 0x5353535353535353, mapped;
static const uint64_t group_cookie = 0x6767676767676767, cookie = 0x6363636363636363, token = 0x7474747474747474;
static uint64_t their_token, their_version, first, publisher;
static struct sockaddr_in their_link, source;
static int link_socket, data_socket, listening, lease = -1, acknowledged;
static const uint8_t *segments[SEGMENTS];
static uint64_t sizes[SEGMENTS];
static int segment_count, most_segments;
static _Atomic uint64_t *ledger;
static const _Atomic uint64_t *table;
static message kept[KEPT];
static uint64_t taken, wrong, gone, copies, lies;
static uint8_t entries[512];
static size_t entries_size;

static void fail(const char *what) { perror(what); exit(1); }

static uint32_t crc(const uint8_t *data, size_t size) {
    uint32_t value = ~0u;
    while (size--) {
        value ^= *data++;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
    }
    return ~value;
}

static void send_frame(int sock, const struct sockaddr_in *to, int kind, uint64_t from, uint64_t seq, uint64_t sent_ns,
                       const void *body, size_t size) {
    uint8_t frame[1024];
    struct header head = {(uint16_t)(36 + size), 1, (uint8_t)kind, 0, 0, 0, from, seq, sent_ns};
    memcpy(frame, &head, 32);
    memcpy(frame + 32, body, size);
    uint32_t check = crc(frame, 32 + size);
    memcpy(frame + 32 + size, &check, 4);
    sendto(sock, frame, 36 + size, 0, (const struct sockaddr *)to, sizeof *to);
}

/* The link: one peer, our table of two entries, heartbeats. */

static uint8_t *text(uint8_t *at, const char *value) { /* msgpack, up to 31 bytes */
    *at++ = (uint8_t)(0xa0 | strlen(value));
    return (uint8_t *)memcpy(at, value, strlen(value)) + strlen(value);
}

static uint8_t *number(uint8_t *at, uint64_t value) { /* msgpack, u64 */
    *at++ = 0xcf;
    for (int shift = 56; shift >= 0; shift -= 8) *at++ = (uint8_t)(value >> shift);
    return at;
}

static void make_entries(const char *name_of_domain, const char *topic, uint16_t port) {
    uint8_t *at = entries, *length;
    *at++ = 0x94, *at++ = 0, *at++ = 2, *at++ = 0x94;                          /* [base 0, to 2, [ */
    *at++ = 0, *at++ = 0xc4, length = at++;                                    /* id 0: the node's own entry */
    *at++ = 0x86, at = text(text(at, "e"), "n"), at = text(text(at, "n"), "c"), at = text(text(at, "h"), "c");
    at = text(at, "p"), *at++ = 0, at = text(text(at, "v"), "1"), at = text(text(at, "d"), name_of_domain);
    *length = (uint8_t)(at - length - 1);
    at = number(at, subscriber), *at++ = 0xc4, length = at++;
    *at++ = 0x84, at = text(text(at, "e"), "s"), at = text(text(at, "t"), topic), at = text(text(at, "c"), "any");
    at = text(at, "p"), *at++ = 0xcd, *at++ = (uint8_t)(port >> 8), *at++ = (uint8_t)port;
    *length = (uint8_t)(at - length - 1);
    *at++ = 2;                                                                 /* ], 2 entries ] */
    entries_size = (size_t)(at - entries);
}

static void greet(const struct sockaddr_in *to, int kind, uint64_t echoed, uint64_t mine) {
    uint64_t body[] = {domain, mine};
    send_frame(link_socket, to, kind, node, echoed, 0, body, sizeof body);
}

static void send_alive(int ask) {
    uint8_t body[17] = {2};
    memcpy(body + 8, &their_version, 8);
    body[16] = (uint8_t)ask;
    send_frame(link_socket, &their_link, ALIVE, node, their_token, 0, body, sizeof body);
    if (!acknowledged) send_frame(link_socket, &their_link, TABLE, node, their_token, 0, entries, entries_size);
}

static uint64_t integer(const uint8_t **at) { /* msgpack */
    uint64_t value = **at;
    int bytes = value < 0x80 ? 0 : 1 << (value - 0xcc);
    if (bytes) value = 0;
    for (++*at; bytes; bytes--) value = value << 8 | *(*at)++;
    return value;
}

static void take_link(const struct header *head, const uint8_t *body, const struct sockaddr_in *from) {
    uint64_t words[2] = {0, 0};
    memcpy(words, body, 16);
    if (head->kind == HELLO && head->source != node) greet(from, WELCOME, words[1], cookie);
    else if (head->kind == WELCOME) greet(from, CONFIRM, words[1], cookie);
    else if (head->kind == CONFIRM && head->seq == cookie) {
        their_link = *from, their_token = words[1];
        greet(from, CONFIRM, words[1], cookie);
        send_alive(1);
    } else if (head->kind == TABLE && head->seq == cookie) {
        const uint8_t *at = body + 1;
        uint64_t base = integer(&at), to = integer(&at);
        if (base == their_version) their_version = to;
        send_alive(0);
    } else if (head->kind == ALIVE && head->seq == cookie) {
        acknowledged = words[1] == 2;
        if (body[16]) send_alive(0);
    }
}

/* The hand-over. */

static int make_ledger(void) {
    int fd = memfd_create("ledger", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, LEDGER) || posix_fallocate(fd, 0, LEDGER)) fail("ledger");
    ledger = mmap(NULL, LEDGER, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED || fcntl(fd, F_ADD_SEALS, SEALS)) fail("ledger");
    return fd;
}

static int map_segment(const struct offer *offer, int fd) {
    struct stat file;
    struct statfs system;
    if (fd < 0 || offer->segment != segment_count || segment_count == SEGMENTS || mapped + offer->size > MAX_MAPPED)
        return 0;
    if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || fstat(fd, &file) || fstatfs(fd, &system)) return 0;
    if ((uint64_t)file.st_size != offer->size || (uint64_t)file.st_blocks * 512 < offer->size) return 0;
    if (system.f_bsize != sysconf(_SC_PAGESIZE)) return 0;
    void *memory = mmap(NULL, offer->size, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return 0;
    segments[segment_count] = memory, sizes[segment_count++] = offer->size, mapped += offer->size;
    if (segment_count == 1) table = memory;
    if (segment_count > most_segments) most_segments = segment_count;
    return 1;
}

static int drop_segment(const struct offer *offer, int fd) {
    int last = segment_count - 1;
    if (fd >= 0 || last < 1 || offer->segment != last || offer->size != sizes[last]) return 0;
    for (int each = 0; each < KEPT; each++) /* the publisher must not say so while it is read: it stays mapped then */
        if (kept[each].generation && kept[each].body >= segments[last] && kept[each].body < segments[last] + sizes[last])
            return 0;
    munmap((void *)segments[last], sizes[last]);
    mapped -= sizes[last], segment_count = last;
    return 1;
}

static void take_offer(void) {
    struct offer offer;
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } rights;
    struct iovec data = {&offer, sizeof offer};
    struct msghdr envelope = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    ssize_t size = recvmsg(lease, &envelope, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (size < 0) return;
    struct cmsghdr *control = size ? CMSG_FIRSTHDR(&envelope) : NULL;
    int fd = -1;
    if (control) memcpy(&fd, CMSG_DATA(control), sizeof fd);
    int good = size == sizeof offer && !memcmp(offer.magic, "ipcM", 4) && offer.version == 1 &&
               offer.entries == ENTRIES && offer.subscriber == subscriber && offer.token == token &&
               offer.publisher == publisher;
    if (good && offer.kind == RETIRED && drop_segment(&offer, fd)) return;
    good = good && offer.kind == OFFER && map_segment(&offer, fd);
    if (fd >= 0) close(fd);
    if (!good) {
        close(lease);
        lease = -1;
        return;
    }
    int mine = offer.segment ? -1 : make_ledger();
    offer.kind = TAKEN;
    if (mine < 0) envelope.msg_control = NULL, envelope.msg_controllen = 0;
    else {
        envelope.msg_controllen = sizeof rights;
        *CMSG_FIRSTHDR(&envelope) = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof mine), .cmsg_level = SOL_SOCKET,
                                                     .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&envelope)), &mine, sizeof mine);
    }
    envelope.msg_flags = 0;
    if (sendmsg(lease, &envelope, 0) < 0) fail("TAKEN");
    if (mine >= 0) close(mine);
}

static void take_connection(void) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    int connection = accept(listening, NULL, NULL);
    if (connection < 0) return;
    if (lease >= 0 || getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid != geteuid())
        close(connection);
    else lease = connection;
}

/* Messages. */

static void look_at(const message *each) {
    for (uint64_t at = 0; at < each->size; at++)
        if (each->body[at] != (uint8_t)each->seq) { wrong++; return; }
}

static void let_go(message *each) {
    if (!each->generation) return;
    look_at(each); /* nobody has written to it meanwhile */
    atomic_store_explicit(&ledger[each->entry], 2 * each->generation, memory_order_release);
    each->generation = 0;
}

static void take_placed(uint64_t seq, const struct spot *at) {
    if (at->entry >= ENTRIES || !at->generation || !segment_count) { lies++; return; }
    if (atomic_load_explicit(&ledger[at->entry], memory_order_relaxed) >= 2 * at->generation) { copies++; return; }
    if (at->segment >= (uint32_t)segment_count || !at->size ||
        at->size > sizes[at->segment] || at->offset > sizes[at->segment] - at->size) { lies++; return; }
    for (int each = 0; each < KEPT; each++)
        if (kept[each].generation && kept[each].entry == at->entry) { lies++; return; }
    atomic_store_explicit(&ledger[at->entry], 2 * at->generation + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&table[at->entry], memory_order_acquire) != at->generation) {
        atomic_store_explicit(&ledger[at->entry], 2 * at->generation, memory_order_release);
        gone++;
        return;
    }
    message *slot = &kept[taken++ % KEPT];
    let_go(slot);
    *slot = (message){at->generation, seq, segments[at->segment] + at->offset, at->size, at->entry};
    look_at(slot);
}

static void take_data(const struct header *head, const uint8_t *body, const struct sockaddr_in *from) {
    uint64_t words[3];
    memcpy(words, body, 16);
    if (head->kind == PROBE) {
        uint32_t answer[] = {0, WINDOW, (uint32_t)token, (uint32_t)(token >> 32)};
        send_frame(data_socket, from, ANSWER, head->source, subscriber, head->sent_ns, answer, sizeof answer);
    } else if (head->kind == START && words[1] == token) {
        source = *from, publisher = head->source, first = head->seq;
        send_frame(data_socket, from, STARTED, publisher, subscriber, words[0], "", 0);
    } else if (head->source != publisher || from->sin_port != source.sin_port) return;
    else if (head->kind == POLL) {
        uint8_t report[12];
        uint64_t next = head->seq + 1;
        uint32_t window = WINDOW;
        memcpy(report, &next, 8), memcpy(report + 8, &window, 4);
        send_frame(data_socket, from, REPORT, publisher, subscriber, head->sent_ns, report, sizeof report);
    } else if (head->kind == PLACED && head->length == 68) {
        struct spot at;
        memcpy(&at, body, sizeof at);
        take_placed(head->seq, &at);
    }
}

static void read_socket(int sock, void (*take)(const struct header *, const uint8_t *, const struct sockaddr_in *)) {
    static uint8_t datagram[65536];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t size = recvfrom(sock, datagram, sizeof datagram - 64, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    struct header head;
    for (const uint8_t *at = datagram; size >= 36; at += head.length, size -= head.length) {
        memcpy(&head, at, sizeof head);
        if (head.version != 1 || head.length < 36 || head.length > size || head.kind == 2 || head.flags & 1) return;
        if (crc(at, head.length) != 0x2144DF1C) return;
        take(&head, at + 32, &from);
    }
}

static int udp(struct sockaddr_in *address) {
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *any = (struct sockaddr *)address;
    if (sock < 0 || bind(sock, any, size) || getsockname(sock, any, &size)) fail("socket");
    return sock;
}

static void listen_for_memory(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "ipcpy/%016llx", (unsigned long long)node);
    listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
    if (bind(listening, (struct sockaddr *)&name, length) || listen(listening, 8)) fail("listen");
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    struct sockaddr_in group = {.sin_family = AF_INET, .sin_port = htons(17769)}, mine, data;
    struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
    uint64_t count = strtoull(argv[4], NULL, 10);
    double end = now() + 50, next = 0;
    domain = strtoull(argv[2], NULL, 16);
    node ^= (uint64_t)getpid() << 32;
    inet_pton(AF_INET, "239.255.77.70", &group.sin_addr);
    link_socket = udp(&mine), data_socket = udp(&data);
    if (setsockopt(link_socket, IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback)) fail("multicast");
    make_entries(argv[1], argv[3], ntohs(data.sin_port));
    listen_for_memory();
    while (taken < count && now() < end) {
        struct pollfd files[] = {
            {link_socket, POLLIN, 0}, {data_socket, POLLIN, 0}, {listening, POLLIN, 0}, {lease, POLLIN, 0}};
        if (now() >= next) {
            next = now() + 0.3;
            if (their_token) send_alive(!acknowledged);
            else greet(&group, HELLO, 0, group_cookie);
        }
        if (poll(files, 4, 50) < 0) fail("poll");
        if (files[0].revents) read_socket(link_socket, take_link);
        if (files[2].revents) take_connection();
        if (files[3].revents) take_offer();
        if (files[1].revents) read_socket(data_socket, take_data);
    }
    for (int each = 0; each < KEPT; each++) let_go(&kept[each]);
    printf("taken %llu from %d segments, now %d, wrong %llu, gone %llu, copies %llu, lies %llu\n",
           (unsigned long long)taken, most_segments, segment_count, (unsigned long long)wrong,
           (unsigned long long)gone, (unsigned long long)copies, (unsigned long long)lies);
    return taken < count;
}
