package main

import (
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// Member is one client: what it shows, and what it subscribes to.
//
// Channels have their tokens, or an empty text; Pushed are subscriptions that the server makes in its reply to the connect.
type Member struct {
	Authorization string            `json:"authorization"`
	Token         string            `json:"token"`
	Channels      map[string]string `json:"channels"`
	Pushed        int               `json:"pushed"`
}

// Target is where clients go: Centrifugo and, if they ask for tokens, the service.
type Target struct {
	Address string
	Service string
}

// open brings one client in by the real SDK, as patient as it is by itself, and returns when all of its subscriptions stand.
func (target Target) open(member Member, tally *Tally) time.Duration {
	began := time.Now()
	standing := Standing{seen: map[string]bool{}}
	standing.missing.Add(len(member.Channels) + member.Pushed)
	client := centrifuge.NewJsonClient(target.Address, target.connection(member))
	client.OnError(func(event centrifuge.ErrorEvent) { tally.add("connection", event.Error) })
	client.OnConnecting(func(event centrifuge.ConnectingEvent) { tally.lost("connection", event.Code) })
	client.OnDisconnected(func(event centrifuge.DisconnectedEvent) { tally.lost("connection for good", event.Code) })
	client.OnSubscribed(func(event centrifuge.ServerSubscribedEvent) { standing.add(event.Channel) })
	for channel, token := range member.Channels {
		subscription, err := client.NewSubscription(channel, target.subscription(member, token))
		if err != nil {
			tally.add("subscription", err)
			continue
		}
		subscription.OnError(func(event centrifuge.SubscriptionErrorEvent) { tally.add("subscription", event.Error) })
		subscription.OnUnsubscribed(func(event centrifuge.UnsubscribedEvent) {
			tally.end()
			tally.lost("subscription for good", event.Code)
		})
		subscription.OnSubscribed(func(centrifuge.SubscribedEvent) { standing.add(channel) })
		if err := subscription.Subscribe(); err != nil {
			tally.add("subscription", err)
		}
	}
	_ = client.Connect() // what fails is told to OnError, and tried again
	standing.missing.Wait()
	return time.Since(began)
}

// Standing waits for subscriptions, whichever stands first; one that is lost and comes back counts once.
type Standing struct {
	mutex   sync.Mutex
	seen    map[string]bool
	missing sync.WaitGroup
}

func (standing *Standing) add(channel string) {
	standing.mutex.Lock()
	defer standing.mutex.Unlock()
	if !standing.seen[channel] {
		standing.seen[channel] = true
		standing.missing.Done()
	}
}

// handshake is how long the WebSocket may take. The SDK's own second is too short where clients and servers share two cores; browsers give
// it five.
const handshake = 5 * time.Second

// connection is how a client connects: with the token that it has, with one that it asks for, or with none.
func (target Target) connection(member Member) centrifuge.Config {
	config := centrifuge.Config{Token: member.Token, Header: member.header(), HandshakeTimeout: handshake}
	if target.Service != "" {
		config.GetToken = func(centrifuge.ConnectionTokenEvent) (string, error) {
			return member.ask(target.Service+"/api/centrifugo/connection-token", "")
		}
	}
	return config
}

func (target Target) subscription(member Member, token string) centrifuge.SubscriptionConfig {
	config := centrifuge.SubscriptionConfig{Token: token}
	if target.Service != "" {
		config.GetToken = func(event centrifuge.SubscriptionTokenEvent) (string, error) {
			return member.ask(target.Service+"/api/centrifugo/subscription-token", event.Channel)
		}
	}
	return config
}
