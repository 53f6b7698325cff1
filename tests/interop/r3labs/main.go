// Reads a stream with github.com/r3labs/sse and prints every event as a line of JSON: its type, data and last id.
package main

import (
	"encoding/json"
	"os"

	"github.com/r3labs/sse/v2"
)

func main() {
	out := json.NewEncoder(os.Stdout)
	client := sse.NewClient(os.Args[1])
	err := client.SubscribeRaw(func(event *sse.Event) {
		kind := string(event.Event)
		if kind == "" {
			kind = "message"
		}
		if err := out.Encode([]string{kind, string(event.Data), string(event.ID)}); err != nil {
			panic(err)
		}
	})
	if err != nil {
		panic(err)
	}
}
