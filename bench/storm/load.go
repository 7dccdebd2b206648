package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// Spare is how many descriptors this program needs besides those of its clients.
const spare = 256

// Report is what a storm came to. Seconds count from the first opening; waits are each client's own, from its opening.
type Report struct {
	Clients int            `json:"clients"`
	Served  int            `json:"served"`
	Seconds float64        `json:"seconds"`
	P50     float64        `json:"p50"`
	P99     float64        `json:"p99"`
	CPU     float64        `json:"cpu"`
	Errors  map[string]int `json:"errors"`
}

// Crowd is who comes, where to, how many of them at once, and how long the last of them is waited for.
type Crowd struct {
	target   Target
	members  []Member
	opening  int
	patience time.Duration
}

// load opens every client of a file of JSON lines and prints a Report.
//
// It ends when all are served, or when its patience is over; the clients stay connected until then.
func load(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	crowd, err := gather(flags, arguments)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(crowd.storm(newTally()))
}

// gather reads the flags and the clients, and makes room for them.
func gather(flags *flag.FlagSet, arguments []string) (Crowd, error) {
	target := Target{}
	flags.StringVar(&target.Address, "address", "", "Centrifugo's WebSocket endpoint")
	flags.StringVar(&target.Service, "service", "", "where clients ask for tokens; without it they show those that they have, if any")
	crew := flags.String("crew", "", "file of the clients, a JSON object a line")
	opening := flags.Int("opening", 0, "how many clients open at once; 0 is all of them")
	patience := flags.Duration("patience", time.Minute, "how long to wait for the last client")
	if err := flags.Parse(arguments); err != nil {
		return Crowd{}, err
	}
	members, err := read(*crew)
	if err != nil {
		return Crowd{}, err
	}
	if err := afford(len(members) + spare); err != nil {
		return Crowd{}, err
	}
	if *opening == 0 {
		*opening = len(members)
	}
	return Crowd{target: target, members: members, opening: *opening, patience: *patience}, nil
}

// read decodes the clients.
func read(name string) ([]Member, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var members []Member
	for decoder := json.NewDecoder(file); ; {
		var member Member
		switch err := decoder.Decode(&member); {
		case errors.Is(err, io.EOF):
			return members, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		members = append(members, member)
	}
}

// afford raises the limit of open files as far as needed, or says that it is too low.
func afford(files int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < uint64(files) {
		return fmt.Errorf("%d open files are needed and %d allowed: raise the hard limit (ulimit -Hn)", files, limit.Max)
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// storm opens the clients, so many at once, and waits for them.
func (crowd Crowd) storm(tally *Tally) Report {
	slots, served := make(chan struct{}, crowd.opening), make(chan time.Duration, len(crowd.members))
	began := time.Now()
	go func() {
		for _, member := range crowd.members {
			slots <- struct{}{}
			go func() {
				served <- crowd.target.open(member, tally)
				<-slots
			}()
		}
	}()
	report, over := Report{Clients: len(crowd.members)}, time.After(crowd.patience)
	var waits []time.Duration
	for waiting := true; waiting && len(waits) < len(crowd.members); {
		select {
		case wait := <-served:
			waits = append(waits, wait)
		case <-over:
			waiting = false
		}
	}
	report.Seconds = time.Since(began).Seconds()
	report.Served, report.Errors, report.CPU = len(waits), tally.copied(), spent()
	if slices.Sort(waits); len(waits) > 0 {
		report.P50, report.P99 = waits[len(waits)/2].Seconds(), waits[len(waits)*99/100].Seconds()
	}
	return report
}

// spent is the CPU time of this process in seconds.
func spent() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
