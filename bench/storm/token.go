package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// asking keeps the connections to the service, as the proxy before it would.
var asking = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: spare / 2}, Timeout: 5 * time.Second}

// header is what the client shows when it connects and when it asks for tokens.
func (member Member) header() http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	if member.Authorization != "" {
		header.Set("Authorization", member.Authorization)
	}
	return header
}

// ask gets a token from the service: for a channel, or without one for the connection.
func (member Member) ask(address, channel string) (string, error) {
	body, err := json.Marshal(map[string]string{"channel": channel})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequest(http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header = member.header()
	response, err := asking.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var reply struct {
		Token string `json:"token"`
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	err = json.NewDecoder(response.Body).Decode(&reply)
	return reply.Token, err
}
