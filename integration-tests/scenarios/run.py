"""Runs a scenario under a recorder, has it investigated, and compares the conclusion with what was truly at fault.

    run.py NAME [--healthy] [--decoy] [--tls http1|http2]     one run, one line of JSON
    run.py --all [--only NAME ...]        every scenario in three modes, a table and totals

HEADWATER_TEST_BINARY names the program (else the release build). Needs root, and the machine's only recorder.
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

from decoy import Decoy
from lab import Lab
from traffic import Traffic

HERE = Path(__file__).resolve().parent
HEADWATER = os.environ.get("HEADWATER_TEST_BINARY", str(HERE.parent.parent / "target/release/headwater"))
MODES = {"fault": [], "healthy": ["--healthy"], "decoy": ["--decoy"]}
# How many answers the client sees before the fault, and after it.
BEFORE, AFTER = 45, 60
MOST_CALLS, MOST_TOKENS = 5, 6000


def names():
    return sorted(file.stem for file in HERE.glob("*.py") if "\nSYMPTOM = " in file.read_text())


def record(folder):
    recorder = subprocess.Popen(
        [HEADWATER, "--db", f"{folder}/headwater.db", "record"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in recorder.stdout:
        if "(probes attached)" in line:
            return recorder
    raise RuntimeError("the recorder did not start")


def await_marker(lab, folder):
    """Sends a last request and waits until the store has it: what was before it is there, too."""
    lab.serve("marker", lambda request: 200)
    lab.ask("marker", "/the-last-request")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        question = [HEADWATER, "--db", f"{folder}/headwater.db", "search-exchanges", "--path", "=/the-last-request", "--json"]
        if json.loads(subprocess.run(question, capture_output=True, text=True, check=True).stdout).get("rows"):
            return
        time.sleep(0.05)
    raise TimeoutError("the store never had the last request")


def has_met(symptom, answers):
    """Whether the client itself has seen the symptom."""
    if symptom.what == "slow":
        return any(milliseconds > symptom.over_ms for _, milliseconds in answers)
    failure = {"gave_up": "timeout"}.get(symptom.what, str(symptom.what))
    return any(what == failure for what, _ in answers)


def play(scenario, lab, has_fault, has_decoy):
    """The traffic before and after the fault. Tells when it began, and what the client met since."""
    scenario.start(lab)
    decoy = None
    if has_decoy:
        system = Decoy(lab)
        decoy = Traffic(lab, system.visit, 1, 0.03, "decoy-client")
    client = Traffic(lab, lambda number: scenario.visit(lab, number), getattr(scenario, "THREADS", 3), 0.02)
    met = client.wait(getattr(scenario, "BEFORE", BEFORE))
    # What failed may have begun a little before, and users tell the time roughly.
    since = datetime.now(timezone.utc) - timedelta(seconds=0.5)
    if has_fault:
        getattr(scenario, "break_it", Lab.break_it)(lab)
    else:
        # What an operator does without doing harm is done in a healthy run, too.
        getattr(scenario, "change_without_fault", lambda lab: None)(lab)
    after = client.wait(getattr(scenario, "AFTER", AFTER))
    after += client.stop()
    if decoy:
        decoy.stop()
    return since, met, after


def investigate(folder, symptom):
    question = [sys.executable, HERE / "investigate.py", HEADWATER, f"{folder}/headwater.db", json.dumps(symptom)]
    done = subprocess.run(question, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def wrong(found, expected, has_fault):
    """What is wrong with a conclusion."""
    problems = []
    culprit, evidence = found["conclusion"]["culprit"], "\n".join(found["conclusion"]["evidence"]).lower()
    if not has_fault:
        if culprit is not None:
            problems.append(f"names {culprit}, and nothing was wrong")
    else:
        right = (expected.culprit,) if isinstance(expected.culprit, str) else expected.culprit
        if culprit is None or not any(culprit == name or culprit.endswith(name) for name in right):
            problems.append(f"names {culprit} instead of {expected.culprit}")
        for needle in expected.needles:
            if not any(text.lower() in evidence for text in ([needle] if isinstance(needle, str) else needle)):
                problems.append(f"evidence lacks {needle}")
    if found["calls"] > MOST_CALLS:
        problems.append(f"{found['calls']} calls")
    if found["tokens"] > MOST_TOKENS:
        problems.append(f"{found['tokens']} tokens")
    return problems


def one(name, has_fault, has_decoy, tls=None, keep=None):
    scenario = importlib.import_module(name)
    mode = "healthy" if not has_fault else "decoy" if has_decoy else "fault"
    began = time.monotonic()
    with contextlib.nullcontext(keep) if keep else tempfile.TemporaryDirectory(prefix="headwater-scenario-") as folder:
        recorder, lab = record(folder), Lab(folder, tls)
        try:
            since, met, after = play(scenario, lab, has_fault, has_decoy)
            await_marker(lab, folder)
            expected = scenario.expected(lab)
            url = f"{'https' if tls else 'http'}://127.0.0.1:{lab.port('front')}{scenario.SYMPTOM.path}"
            symptom = {**asdict(scenario.SYMPTOM), "url": url, "since": since.isoformat(timespec="milliseconds")}
            found = investigate(folder, symptom)
        finally:
            lab.end()
            recorder.send_signal(signal.SIGINT)
            recorder.communicate(timeout=20)
        problems = wrong(found, expected, has_fault)
        if has_met(scenario.SYMPTOM, met):
            problems.append("the scenario showed its symptom before the fault")
        if has_met(scenario.SYMPTOM, after) != has_fault:
            problems.append("the scenario did not show its symptom" if has_fault else "the scenario showed its symptom without the fault")
    if not keep:
        del found["answers"]
    ports = {f":{port}": service for service, port in lab.ports.items()}
    return {
        "scenario": name, "mode": mode, "ok": not problems, "problems": problems, "seconds": round(time.monotonic() - began, 1),
        **found, "expected": asdict(expected), "ports": ports,
    }  # fmt: skip


def everything(only):
    results = []
    for name in only or names():
        for mode, options in MODES.items():
            # A process each: what one run leaves behind is nothing to the next.
            done = subprocess.run([sys.executable, HERE / "run.py", name, *options], capture_output=True, text=True)
            try:
                result = json.loads(done.stdout)
            except ValueError:
                last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
                result = {"scenario": name, "mode": mode, "ok": False, "problems": [last], "calls": 0, "tokens": 0, "seconds": 0}
            results.append(result)
            print(
                f"{name:28} {mode:8} {'ok' if result['ok'] else 'WRONG':6} {result['calls']} calls {result['tokens']:5} tokens"
                f" {result['seconds']:4} s  {'; '.join(result['problems'])}",
                flush=True,
            )
    calls, tokens = [result["calls"] for result in results], [result["tokens"] for result in results]
    solved = sum(result["ok"] for result in results)
    print(
        f"{solved} of {len(results)} right; calls: median {statistics.median(calls)}, most {max(calls)};"
        f" tokens: median {statistics.median(tokens)}, most {max(tokens)}"
    )
    return solved == len(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=names())
    parser.add_argument("--all", action="store_true", help="every scenario in three modes")
    parser.add_argument("--names", action="store_true", help="print the names of all scenarios")
    parser.add_argument("--only", nargs="+", choices=names(), help="with --all: these alone")
    parser.add_argument("--healthy", action="store_true", help="without the fault")
    parser.add_argument("--fault", action="store_true", help="with the fault, which is so unless told")
    parser.add_argument("--decoy", action="store_true", help="beside another system, which fails too")
    parser.add_argument("--tls", choices=("http1", "http2"), help="every hop over TLS, and over HTTP/2 where both ends speak it")
    parser.add_argument("--keep", metavar="FOLDER", help="leave the store there, and print the answers, too")
    given = parser.parse_args()
    if given.names:
        print("\n".join(names()))
        return
    if given.all:
        sys.exit(0 if everything(given.only) else 1)
    if not given.name:
        parser.error("a scenario's name, or --all")
    result = one(given.name, not given.healthy, given.decoy, given.tls, given.keep)
    print(json.dumps(result))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
