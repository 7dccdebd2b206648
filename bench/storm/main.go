// Command storm measures clients that come to a Centrifugo all at once.
//
// "storm load" opens the clients of a file and prints one JSON object: how many were served, how long it took, what went wrong.
// "storm watch" opens them in the same way and tells when subscriptions end.
// "storm answer" is the least that a backend can do: every hook gets the same answer, and every other question a fact.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 1 {
		run, known := map[string]func([]string) error{"load": load, "watch": watch, "answer": answer}[os.Args[1]]
		if known {
			if err := run(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "storm:", err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: storm load|watch|answer FLAGS")
	os.Exit(2)
}
