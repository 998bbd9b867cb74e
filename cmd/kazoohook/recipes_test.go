//go:build real

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/delivery/brokertest"
)

// port returns an unused port. It stays unused until the test listens there.
func port(t *testing.T) string {
	t.Helper()
	_, port, _ := strings.Cut(freeAddrs(t, 1)[0], ":")
	return port
}

// TestRecipeStopBilling runs each of the page's receivers. Each takes signed requests
// only.
func TestRecipeStopBilling(t *testing.T) {
	t.Parallel()
	for language, command := range map[string][]string{
		"Python": {"python3", "receiver.py"},
		"Node":   {"node", "receiver.mjs"},
		"Go":     {"go", "receiver.go"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			addr := freeAddrs(t, 1)[0]
			host, port, _ := strings.Cut(addr, ":")
			r := newRecipe(t, "stop-billing.md", "127.0.0.1", host, "9000", port)
			key := exec.CommandContext(t.Context(), "sh", "-c", r.replace.Replace(keyCommand(t))) //nolint:gosec // the page's own
			if out, err := key.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			program := command[0]
			args := []string{r.path(command[1]), r.path("billing.key")}
			if program == "go" { // go run would leave the program behind when it is killed
				program = r.path("receiver")
				build := exec.CommandContext(t.Context(), "go", "build", "-o", program, r.path("receiver.go")) //nolint:gosec // the page's own
				if out, err := build.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				args = args[1:]
			}
			users := r.start("Ann", "Lee")
			r.deleteUser(users[0])
			r.lastError("connection refused") // it gets the event at a retry
			output := r.run(program, args...)
			r.deleteUser(users[1])
			for _, id := range users {
				r.until(output, "stop billing user.deleted "+id)
			}

			for name, headers := range map[string]map[string]string{
				"without a signature": {"webhook-id": "x", "webhook-timestamp": fmt.Sprint(time.Now().Unix())},
				"with a wrong one":    {"webhook-id": "x", "webhook-timestamp": fmt.Sprint(time.Now().Unix()), "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
				"of long ago":         {"webhook-id": "x", "webhook-timestamp": "1614265330", "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
				"with nothing":        nil,
			} {
				if status := post(t, "http://"+addr+"/kazoo", `{"event":"user.deleted","object_id":"forged"}`, headers); status != http.StatusUnauthorized {
					t.Errorf("%s: a forged event was answered %d", name, status)
				}
			}
			if strings.Contains(output(), "forged") {
				t.Errorf("a forged event was believed: %s", output())
			}
		})
	}
}

// keyCommand returns the page's command that makes a key.
func keyCommand(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "recipes", "stop-billing.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n").FindSubmatch(text)
	if m == nil {
		t.Fatal("the page says not how to make a key")
	}
	return string(m[1])
}

func post(t *testing.T, url, body string, headers map[string]string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // only the status matters
	return resp.StatusCode
}

// database starts a PostgreSQL for a page, and creates the page's user.
func database(t *testing.T) *brokertest.Postgres {
	t.Helper()
	db := brokertest.StartPostgres(t)
	db.Exec(newRecipe(t, "postgresql.md").text("setup.sql"))
	return db
}

// places returns the page's address of its database, and the real one.
func places(db *brokertest.Postgres) []string {
	return []string{"db.example.com:5432/billing", fmt.Sprintf("127.0.0.1:%d/%s", db.Port, brokertest.PostgresDatabase)}
}

// TestRecipePostgres: the program creates the table and inserts rows.
func TestRecipePostgres(t *testing.T) {
	t.Parallel()
	db := database(t)
	r := newRecipe(t, "postgresql.md", places(db)...)
	id := r.start("Ann", "Lee")[0]
	r.deleteUser(id)
	query := "SELECT object_id || ' ' || name FROM (" + strings.TrimSuffix(r.text("query.sql"), ";") + ") AS deleted"
	r.process.until("the deletion is a row", func() bool {
		if got := db.Texts(`SELECT count(*)::text FROM pg_tables WHERE schemaname = 'kazoo'`); got[0] == "0" {
			return false
		}
		return slices.Equal(db.Texts(query), []string{id + " Ann Lee"})
	})
}

// TestRecipeCalls makes calls and counts their rows and minutes.
func TestRecipeCalls(t *testing.T) {
	t.Parallel()
	db := database(t)
	r := newRecipe(t, "calls.md", places(db)...)
	r.put("postgres.dsn", r.replace.Replace(newRecipe(t, "postgresql.md", places(db)...).text("postgres.dsn")))
	r.start("Ann", "Lee")
	const calls = 3
	for range calls {
		if status := post(t, r.kazoo.control+"/calls", `{"account":"acme"}`, map[string]string{"Content-Type": "application/json"}); status != http.StatusOK {
			t.Fatalf("a call was answered %d", status)
		}
	}
	r.process.until("the calls have rows", func() bool {
		if got := db.Texts(`SELECT count(*)::text FROM pg_tables WHERE schemaname = 'kazoo'`); got[0] == "0" {
			return false
		}
		return db.Texts(`SELECT count(*)::text FROM kazoo.call_legs`)[0] == fmt.Sprint(calls)
	})
	db.Exec(r.text("view.sql"))
	for _, row := range db.Texts(`SELECT concat_ws('|', caller, callee, cause, duration IS NOT NULL, user_id IS NOT NULL, account_id) FROM kazoo.calls`) {
		if parts := strings.Split(row, "|"); len(parts) != 6 || parts[0] == "" || parts[1] == "" || parts[2] == "" || parts[3] != "t" {
			t.Errorf("a call is %q", row)
		}
	}
	got := db.Texts("SELECT calls::text || ' ' || (minutes >= 0)::text FROM (" + strings.TrimSuffix(r.text("query.sql"), ";") + ") AS month")
	if !slices.Equal(got, []string{fmt.Sprintf("%d true", calls)}) {
		t.Errorf("calls of the month: %q", got)
	}
}

// TestRecipeRabbitMQ creates users and permissions as the page says, and consumes with
// the page's program. It also gets events from before the queue was bound.
func TestRecipeRabbitMQ(t *testing.T) {
	t.Parallel()
	broker := brokertest.StartRabbitMQ(t, "")
	address := fmt.Sprintf("127.0.0.1:%d", broker.Port)
	r := newRecipe(t, "rabbitmq.md", "mq.example.com:5672", address)
	broker.Script(r.text("setup.sh"))
	consumer := r.path("consumer")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", consumer, r.path("consumer.go")) //nolint:gosec // the page's own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	id := r.start("Ann", "Lee")[0]
	r.deleteUser(id)
	r.lastError("no queue is bound")
	output := r.run(consumer, "amqp://billing:change%20me,%20too@"+address+"/events")
	r.until(output, `"object_id":"`+id+`"`)
	if strings.Contains(r.text("log"), "change me") || strings.Contains(r.text("log"), "change%20me") {
		t.Error("the log has the password")
	}
}

// TestRecipeShell runs the page's script.
func TestRecipeShell(t *testing.T) {
	t.Parallel()
	spool := t.TempDir()
	r := newRecipe(t, "shell.md", "/var/spool/billing", spool)
	config := r.text("config.yaml")
	r.put("config.yaml", strings.Replace(config, "/usr/local/bin/", r.dir+"/", 1))
	id := r.start("Ann", "Lee")[0]
	r.deleteUser(id)
	r.process.until("the script wrote a file", func() bool {
		files, err := filepath.Glob(filepath.Join(spool, "*.json"))
		return err == nil && len(files) == 1
	})
	files, err := filepath.Glob(filepath.Join(spool, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var event struct {
		ID     string `json:"event_id"`
		Object string `json:"object_id"`
		Name   string `json:"object_name"`
	}
	if err := json.Unmarshal(content, &event); err != nil || event.Object != id || event.Name != "Ann Lee" || event.ID+".json" != filepath.Base(files[0]) {
		t.Errorf("%s holds %s (%v)", files[0], content, err)
	}
	r.process.until("the log has the script's output", func() bool { return strings.Contains(r.text("log"), "user.deleted: "+id+" of account ") })
}

// TestRecipeChat: a harmful name is shown safely to people.
func TestRecipeChat(t *testing.T) {
	t.Parallel()
	bodies := make(chan []byte, 100)
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.URL.Path == "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX" && r.Header.Get("Content-Type") == "application/json" {
			bodies <- body
		}
		_, _ = io.WriteString(w, "ok") // as Slack answers
	}))
	t.Cleanup(chat.Close)
	r := newRecipe(t, "chat.md", "https://hooks.slack.com", chat.URL)
	r.deleteUser(r.start(`Ann "<!channel>"`, `Lee\`)[0])
	type text struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	for {
		select {
		case body := <-bodies:
			var message struct {
				Text   string `json:"text"`
				Blocks []struct {
					Type string `json:"type"`
					Text text   `json:"text"`
				} `json:"blocks"`
			}
			if err := json.Unmarshal(body, &message); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if !strings.HasPrefix(message.Text, "user.deleted: ") {
				continue // an event of the receiver's own
			}
			if len(message.Blocks) != 1 || message.Blocks[0].Text != (text{"plain_text", message.Text}) || !strings.HasPrefix(message.Text, `user.deleted: Ann "<!channel>" Lee\ (account `) {
				t.Errorf("the message is %s", body)
			}
			return
		case <-time.After(3 * time.Minute):
			t.Fatal("no message came")
		}
	}
}
