package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// Losses are the moments at which subscriptions ended for good, in nanoseconds since 1970, as they came.
type Losses struct {
	At []int64 `json:"at"`
}

// watch opens every client of a file, as load does, and prints a Report; then it reads numbers, and for each prints Losses once there have
// been so many since the last, or patience is over. It ends with its input.
func watch(arguments []string) error {
	flags := flag.NewFlagSet("watch", flag.ContinueOnError)
	crowd, err := gather(flags, arguments)
	if err != nil {
		return err
	}
	tally := newTally()
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(crowd.storm(tally)); err != nil {
		return err
	}
	for seen := 0; ; {
		var wanted int
		if _, err := fmt.Fscan(os.Stdin, &wanted); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		losses := tally.losses(seen, wanted, crowd.patience)
		seen += len(losses.At)
		if err := answers.Encode(losses); err != nil {
			return err
		}
	}
}

// losses waits for so many more than were seen before, and gives all that there are.
func (tally *Tally) losses(seen, wanted int, patience time.Duration) Losses {
	for over := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		tally.mutex.Lock()
		found := tally.ended[seen:]
		tally.mutex.Unlock()
		if len(found) >= wanted || time.Now().After(over) {
			return Losses{At: found}
		}
	}
}
