#!/usr/bin/env python3
"""Prints labels from Kafka, each once: an example of a consumer.

A record may be in the topic more than once, with the same event.id. Repeats follow each
other soon, so it is enough to remember the last ids of each partition. Offsets are
committed after a record was dealt with: this program, too, is at-least-once.
"""

import argparse
import collections
import json
import sys

import confluent_kafka


class Seen:
    """The ids that came last, as many as there is room for."""

    def __init__(self, room):
        self.room, self.ids = room, collections.OrderedDict()

    def add(self, one):
        """Says whether the id is new."""
        if one in self.ids:
            return False
        self.ids[one] = None
        if len(self.ids) > self.room:
            self.ids.popitem(last=False)
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", default="127.0.0.1:9092")
    parser.add_argument("--topic", default="serveflow-labels")
    parser.add_argument("--group", default="serveflow-example")
    parser.add_argument("--remember", type=int, default=1_000_000, help="ids for each partition")
    parser.add_argument("--idle", type=float, help="end after so many seconds without a record")
    args = parser.parse_args()

    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": args.brokers,
            "group.id": args.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([args.topic])
    seen = collections.defaultdict(lambda: Seen(args.remember))
    records = repeats = broken = 0
    try:
        while True:
            message = consumer.poll(args.idle or 1)
            if message is None:
                if args.idle:
                    break
                continue
            if message.error():
                print(message.error(), file=sys.stderr)
                continue
            records += 1
            try:
                flow = json.loads(message.value())
                event = flow["event"]["id"]
            except (ValueError, KeyError, TypeError):
                broken += 1
                continue
            if not seen[message.partition()].add(event):
                repeats += 1
                continue
            print(flow["host"], flow["sensor"], flow["flow"], flow["label"], flow["score"], sep="\t")
            consumer.commit(message, asynchronous=True)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
        print(f"{records} records, {repeats} repeats dropped, {broken} not read", file=sys.stderr)


if __name__ == "__main__":
    main()
