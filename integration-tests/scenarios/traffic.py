"""A client that asks again and again, and tells what it met."""

import mmap
import os
import select
import threading
import time

from web import PATIENCE_S


class Traffic:
    """A client process. What each visit met comes as a line through a pipe, so that the rest of the lab can wait for it."""

    def __init__(self, lab, visit, threads, gap_s, name="client"):
        self.stopping = mmap.mmap(-1, 1)
        self.lines, told = os.pipe()
        self.lab, self.name = lab, name
        self.rest = b""

        def work():
            counter, lock = iter(range(1_000_000)), threading.Lock()

            def loop():
                while not self.stopping[0]:
                    with lock:
                        number = next(counter)
                    for answer in visit(number):
                        milliseconds = round(answer.seconds * 1000)
                        os.write(told, f"{answer.failure or answer.status} {milliseconds}\n".encode())
                    time.sleep(gap_s)

            workers = [threading.Thread(target=loop) for _ in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

        lab.fork(name, work)
        os.close(told)

    def wait(self, answers, seconds=4.0):
        """Waits for so many answers, or so long, and returns them: each a status or failure, and its milliseconds."""
        found, deadline = [], time.monotonic() + seconds
        while len(found) < answers and (left := deadline - time.monotonic()) > 0:
            if not select.select([self.lines], [], [], left)[0]:
                break
            piece = os.read(self.lines, 65536)
            if not piece:
                break
            *lines, self.rest = (self.rest + piece).split(b"\n")
            found += [(what, int(milliseconds)) for what, milliseconds in (line.decode().split() for line in lines)]
        return found

    def stop(self):
        """Ends the client after the visits that are under way, and returns what these met."""
        self.stopping[0] = 1
        found = self.wait(1_000_000, PATIENCE_S)
        os.close(self.lines)
        os.waitpid(self.lab.children.pop(self.name), 0)
        return found
