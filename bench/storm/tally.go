package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// address is what differs from one client to the next in the words of the same trouble.
var address = regexp.MustCompile(`[0-9.]+:[0-9]+`)

// Tally counts what went wrong, in words that are the same for the same trouble.
type Tally struct {
	mutex  sync.Mutex
	counts map[string]int
	ended  []int64
}

func newTally() *Tally {
	return &Tally{counts: map[string]int{}}
}

// end notes that a subscription has ended for good just now.
func (tally *Tally) end() {
	tally.mutex.Lock()
	defer tally.mutex.Unlock()
	tally.ended = append(tally.ended, time.Now().UnixNano())
}

func (tally *Tally) add(where string, err error) {
	var told *centrifuge.Error
	var late net.Error
	switch {
	case errors.As(err, &told):
		tally.count(fmt.Sprintf("%s: error %d", where, told.Code))
	case errors.Is(err, centrifuge.ErrTimeout), errors.As(err, &late) && late.Timeout():
		tally.count(where + ": too late")
	default:
		tally.count(fmt.Sprintf("%s: %s", where, address.ReplaceAllString(err.Error(), "…")))
	}
}

// lost counts a connection or subscription that ended with a code; that it begins has code 0 and is no trouble.
func (tally *Tally) lost(what string, code uint32) {
	if code != 0 {
		tally.count(fmt.Sprintf("%s: ended with %d", what, code))
	}
}

func (tally *Tally) count(trouble string) {
	tally.mutex.Lock()
	defer tally.mutex.Unlock()
	tally.counts[trouble]++
}

func (tally *Tally) copied() map[string]int {
	tally.mutex.Lock()
	defer tally.mutex.Unlock()
	return maps.Clone(tally.counts)
}
