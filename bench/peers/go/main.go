// A broadcaster on gorilla/websocket: one prepared message, written to every connection.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const update = `{"type":"reaction_update","topic":"messages/fan","version":"%d","reactions":` +
	`[{"emoji":"👍","count":"142"},{"emoji":"❤","count":"89"},{"emoji":"😆","count":"45"}],"storm":false,"recent":[]}`

func say(fields map[string]any) {
	line, _ := json.Marshal(fields)
	fmt.Println(string(line))
}

func main() {
	var mutex sync.Mutex
	var room []*websocket.Conn
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	handler := func(writer http.ResponseWriter, request *http.Request) {
		connection, err := upgrader.Upgrade(writer, request, nil)
		if err != nil {
			return
		}
		mutex.Lock()
		room = append(room, connection)
		mutex.Unlock()
		for {
			if _, _, err := connection.NextReader(); err != nil {
				return
			}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(listener, http.HandlerFunc(handler)) }()
	say(map[string]any{"port": listener.Addr().(*net.TCPAddr).Port})

	version := 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var rate, seconds float64
		if _, err := fmt.Sscanf(lines.Text(), "broadcast %f %f", &rate, &seconds); err != nil {
			panic(err)
		}
		began, rounds := time.Now(), int(rate*seconds+0.5)
		for index := 0; index < rounds; index++ {
			time.Sleep(time.Until(began.Add(time.Duration(float64(index) / rate * 1e9))))
			version++
			message, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte(fmt.Sprintf(update, version)))
			if err != nil {
				panic(err)
			}
			mutex.Lock()
			for _, connection := range room {
				if err := connection.WritePreparedMessage(message); err != nil {
					panic(err)
				}
			}
			mutex.Unlock()
		}
		say(map[string]any{"sent": rounds, "version": version, "seconds": time.Since(began).Seconds()})
	}
}
