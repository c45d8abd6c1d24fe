"""A ledger stops taking the old token of services; of two servers in Go behind haproxy one still sends it, and another service still takes it."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/accounts/*", 502)
THREADS = 5
OLD, NEW = "svc-5f2b9c77d1e04a63", "svc-a81c03e6b5974d2f"
SOURCE = """
package main

import ("crypto/tls"; "net/http"; "os")

var certificate = os.Getenv("CERTIFICATE")
var scheme = map[bool]string{true: "https", false: "http"}[certificate != ""]

func ask(port string, path string) bool {
    request, _ := http.NewRequest("GET", scheme + "://127.0.0.1:" + port + path, nil)
    request.Header.Set("Authorization", "Bearer " + os.Getenv("TOKEN"))
    answer, err := http.DefaultClient.Do(request)
    if err != nil { return false }
    answer.Body.Close()
    return answer.StatusCode == 200
}

func main() {
    http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
        if !ask(os.Getenv("CUSTOMERS"), "/customers" + request.URL.Path) || !ask(os.Getenv("LEDGER"), "/entries" + request.URL.Path) {
            answer.WriteHeader(502)
        }
    })
    transport := http.DefaultTransport.(*http.Transport)
    if certificate != "" { transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} }
    listen := "127.0.0.1:" + os.Getenv("PORT")
    if certificate != "" { http.ListenAndServeTLS(listen, certificate, certificate, nil) }
    http.ListenAndServe(listen, nil)
}
"""


def expected(lab):
    # Who refuses is the ledger, who sends what is refused is api-b. Either may be named, but the token or api-b must be told.
    return Expected(
        (f":{lab.port('ledger')}", f":{lab.port('api-b')}"),
        [["status 401", ": 401 "], ["authorization", f":{lab.port('api-b')}", "api-b"]],
    )


def start(lab):
    def takes(*tokens):
        return lambda request: 200 if request.headers["authorization"].removeprefix("Bearer ") in tokens else 401

    lab.serve("customers", takes(OLD, NEW))
    lab.serve("ledger", lambda request: takes(*((NEW,) if lab.broken else (OLD, NEW)))(request))
    backends = {"CUSTOMERS": lab.port("customers"), "LEDGER": lab.port("ledger")}
    lab.go("api-a", SOURCE, TOKEN=NEW, **backends)
    lab.go("api-b", SOURCE, TOKEN=OLD, **backends)
    lab.haproxy("front", ["api-a", "api-b"])


def visit(lab, number):
    yield lab.ask("front", f"/accounts/{number}")
