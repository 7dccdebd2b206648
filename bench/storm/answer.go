package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

// answer serves until it is stopped.
//
// The hooks connect and subscribe are answered at once with what an allowing policy answers; what is got is a fact, which takes as long
// as -fact says.
func answer(arguments []string) error {
	flags := flag.NewFlagSet("answer", flag.ContinueOnError)
	address := flags.String("address", "127.0.0.1:0", "where to listen")
	slow := flags.Duration("fact", 0, "how long a fact takes")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	now := time.Now().Unix()
	routes := http.NewServeMux()
	routes.HandleFunc("POST /centrifugo/connect", constant(fmt.Sprintf(`{"result":{"user":"storm","expire_at":%d}}`, now+3600)))
	routes.HandleFunc("POST /centrifugo/subscribe", constant(fmt.Sprintf(`{"result":{"info":{"role":"editor"},"expire_at":%d}}`, now+300)))
	routes.HandleFunc("GET /", func(reply http.ResponseWriter, request *http.Request) {
		time.Sleep(*slow)
		constant(`{"suspended":false,"role":"editor"}`)(reply, request)
	})
	server := &http.Server{Addr: *address, Handler: routes, IdleTimeout: 5 * time.Minute}
	return server.ListenAndServe()
}

// constant reads what it is asked and answers the same to everything.
func constant(text string) http.HandlerFunc {
	body := []byte(text)
	return func(reply http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		reply.Header().Set("Content-Type", "application/json")
		_, _ = reply.Write(body)
	}
}
