// A server and a client over Go's crypto/tls, HTTP/2 where both may. Usage: go-tls server ADDRESS CERTIFICATE KEY | client URL
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	if os.Args[1] == "server" {
		answer := func(writer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(writer, "fine") }
		panic(http.ListenAndServeTLS(os.Args[2], os.Args[3], os.Args[4], http.HandlerFunc(answer)))
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	response, err := (&http.Client{Transport: transport}).Get(os.Args[2])
	if err != nil {
		panic(err)
	}
	if _, err = io.Copy(os.Stdout, response.Body); err != nil {
		panic(err)
	}
}
