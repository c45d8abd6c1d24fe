"""A service in Go, whose work moves between threads, asks two backends at once, and one of them fails for some requests."""

from lab import Expected, Symptom

SYMPTOM = Symptom("/offers/*", 502)
THREADS = 6
SOURCE = """
package main

import ("crypto/tls"; "net/http"; "os"; "sync/atomic")

func main() {
    scheme, certificate := "http", os.Getenv("CERTIFICATE")
    if certificate != "" {
        scheme = "https"
        http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
    }
    http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
        var failed int32
        done := make(chan bool)
        for _, backend := range []string{os.Getenv("STOCK"), os.Getenv("PRICES")} {
            go func(port string) {
                got, err := http.Get(scheme + "://127.0.0.1:" + port + request.URL.Path)
                if err != nil || got.StatusCode != 200 { atomic.StoreInt32(&failed, 1) }
                if err == nil { got.Body.Close() }
                done <- true
            }(backend)
        }
        <-done; <-done
        if failed != 0 { answer.WriteHeader(502) }
    })
    listen := "127.0.0.1:" + os.Getenv("PORT")
    if certificate != "" { http.ListenAndServeTLS(listen, certificate, certificate, nil) }
    http.ListenAndServe(listen, nil)
}
"""


def expected(lab):
    return Expected(f":{lab.port('prices')}", [["status 500", ": 500 "]])


def start(lab):
    def prices(request):
        return 500 if lab.broken and int(request.path.rsplit("/", 1)[1]) % 3 == 0 else 200

    lab.serve("stock-levels", lambda request: 200)
    lab.serve("prices", prices)
    lab.go("offers", SOURCE, STOCK=lab.port("stock-levels"), PRICES=lab.port("prices"))
    lab.nginx("front", lab.to("offers"))


def visit(lab, number):
    yield lab.ask("front", f"/offers/{number}")
