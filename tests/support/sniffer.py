"""A program that takes down what leaves a host by one of its cards: UDP datagrams by source address."""

from __future__ import annotations

SNIFFER = """if True:
    import json, select, socket, sys
    # what leaves by a card, as (its source, is it UDP), until a line comes
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sniffer.bind((sys.argv[1], 0))
    print("sniffing", flush=True)
    counts = {}
    while True:
        ready = select.select([sniffer, sys.stdin], [], [])[0]
        if sniffer in ready:
            data, (_, kind, direction, *_) = sniffer.recvfrom(2048)
            if kind == 0x0800 and direction == 4 and data[23] == 17:  # IPv4, outgoing, UDP
                source = socket.inet_ntoa(data[26:30])
                counts[source] = counts.get(source, 0) + 1
        elif sys.stdin in ready:
            print(json.dumps(counts), flush=True)
            break
"""
"""Its argument is the card. It prints ``sniffing``, and after a line on standard input a JSON object of counts."""
