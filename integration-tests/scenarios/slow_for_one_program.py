"""A service two hops behind the front answers slowly to what one client program asked for alone; the program's name is handed on."""

import subprocess
import time

from lab import Expected, Symptom
from web import Answer

SYMPTOM = Symptom("/stock/*", "slow", over_ms=250)
THREADS, AFTER = 4, 40
SOURCE = """
package main

import ("net/http"; "os")

func main() {
    http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
        onward, _ := http.NewRequest("GET", "http://127.0.0.1:" + os.Getenv("LEVELS") + request.URL.Path, nil)
        onward.Header.Set("User-Agent", request.Header.Get("User-Agent"))
        got, err := http.DefaultClient.Do(onward)
        if err != nil { answer.WriteHeader(502); return }
        got.Body.Close()
        answer.WriteHeader(got.StatusCode)
    })
    http.ListenAndServe("127.0.0.1:" + os.Getenv("PORT"), nil)
}
"""


def expected(lab):
    return Expected(f":{lab.port('levels')}", [["user-agent", "curl"]])


def start(lab):
    def levels(request):
        time.sleep(0.35 if lab.broken and request.headers["user-agent"].startswith("curl/") else 0.01)
        return 200

    def portal(request):
        return lab.ask("inventory", request.path, headers={"user-agent": request.headers["user-agent"]}).status or 502

    lab.serve("levels", levels)
    lab.go("inventory", SOURCE, LEVELS=lab.port("levels"))
    lab.serve("portal", portal)
    lab.nginx("front", lab.to("portal"))


def visit(lab, number):
    if number % 3:
        yield lab.ask("front", f"/stock/{number % 7}", headers={"user-agent": ("ShopApp/7.1", "okhttp/4.9.3")[number % 2]})
        return
    began = time.monotonic()
    url = f"http://127.0.0.1:{lab.port('front')}/stock/{number % 7}"
    curl = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", "-m", "4", url], capture_output=True, text=True)
    status, seconds = curl.stdout.split()
    yield Answer(int(status), {}, b"", float(seconds), None if curl.returncode == 0 else "closed")
