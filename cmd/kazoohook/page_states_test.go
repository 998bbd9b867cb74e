//go:build real

package main

import (
	_ "embed"
	"fmt"
	"os"
	"time"

	"kazoohook/handlers"
)

// pageState is one state of the page: how the receiver gets there, what the page must
// say, and what a person then does.
type pageState struct {
	set   func(*stageState)
	title string // of the verdict
	tab   string // the page's title, up to " · kazoohook"
	says  []string
	not   []string
	do    func(*tab)
	then  func(*stageState) // changes the receiver after that; title and says then describe this state
}

func manyHooks(n int, name string) (list []handlers.HookStatus) {
	for i := range n {
		list = append(list, handlers.HookStatus{Name: fmt.Sprintf("kazoohook %s %d", name, i), Hook: "object", CustomData: "type=" + name + ",action=doc_deleted", ID: fmt.Sprintf("%032x", i), Enabled: true, LastGood: time.Now().UTC()})
	}
	return list
}

// ordinary sets up a receiver without problems.
func ordinary(s *stageState, now time.Time) {
	s.overview = handlers.Overview{
		Registration: handlers.Registration{AccountID: "c0ffee00aa11bb22cc33dd44ee55ff66", AccountName: "Acme", CheckedAt: now, OKAt: now, Hooks: manyHooks(8, "user"), Runs: 3},
		Failures:     map[string]int{}, FailureLimit: 6, LastDelivery: now.Add(-20 * time.Second), Resync: handlers.ResyncStats{LastOK: now.Add(-time.Hour), Runs: 1},
	}
	s.consumers = []handlers.Consumer{{Name: "log", Cursor: 21}}
	s.about = handlers.About{Version: "v1.4.0", Go: "go1.26", StartedAt: now.Add(-77 * time.Hour).UTC(), Uptime: 77 * 3600, Journal: "a1b2c3d4", First: 1, Last: 21, Bytes: 734003200, Disk: &handlers.Disk{Free: 34e9, Total: 64e9}}
	s.checks = []handlers.Check{{Name: "journal", OK: true}, {Name: "hooks", OK: true}}
	s.records = everyFamily(1, now)
}

func pageStates(now time.Time) map[string]pageState {
	open := func(b *tab) {
		b.run(row("channel.create") + ".click()")
		b.until("an event is open", `document.querySelector("#detail pre")`)
		b.run(`document.querySelectorAll("#detail details").forEach(d => d.open = true)`)
	}
	return map[string]pageState{
		"ordinary": {title: "Connected to Kazoo", tab: "● Connected to Kazoo", says: []string{"8 of 8", "as they should be", "31.7 GiB free", "3 days", "version v1.4.0"}},
		"empty": {
			set: func(s *stageState) {
				s.records, s.consumers = nil, nil
				s.overview.Registration.Hooks, s.overview.Registration.Runs, s.overview.LastDelivery = nil, 0, time.Time{}
				s.overview.Resync.LastOK = time.Time{}
				s.checks = []handlers.Check{{Name: "hooks", Reason: "no successful pass yet"}}
			},
			title: "Not ready: no successful pass yet", says: []string{"none", "since the start", "No events yet", "not yet"}, not: []string{"0 of 0", "below"},
		},
		"no hooks": {
			set:   func(s *stageState) { s.overview.Registration.Hooks = nil },
			title: "Connected to Kazoo, without hooks", says: []string{"none is wanted"}, not: []string{"0 of 0", "as they should be", "0 hooks"},
		},
		"opened": {title: "Connected to Kazoo", do: open, says: []string{"Duplicate", "200 in 3.21 ms", "X-Forwarded-Proto", "Copy as curl"}},
		"electing": {
			set:   func(s *stageState) { s.leaderless = true },
			title: "A leader is being elected", says: []string{"Requests are still taken"}, not: []string{"The receiver can't answer"},
			do: func(b *tab) { b.until("it is said", `document.title.startsWith("A leader is being elected")`) },
		},
		"elected": {
			set:   func(s *stageState) { s.leaderless = true },
			do:    func(b *tab) { b.until("it is said", `document.title.startsWith("A leader is being elected")`) },
			then:  func(s *stageState) { s.leaderless = false },
			title: "Connected to Kazoo", tab: "● Connected to Kazoo",
		},
		"no quorum": {
			set: func(s *stageState) {
				s.leaderless = true
				s.checks = []handlers.Check{{Name: "cluster", Reason: "the cluster has no quorum: events can't be kept", Detail: "1 of 3 nodes are connected, which is no quorum.", Since: now.Add(-2 * time.Second)}}
			},
			title: "Not ready: the cluster has no quorum: events can't be kept", says: []string{"1 of 3 nodes are connected", "tries again by itself"},
		},
		"opened, a node is away": {
			set:   func(s *stageState) { s.silent = []string{"node2", "node3"} },
			title: "Connected to Kazoo", do: open, says: []string{"What node2 and node3 took isn't shown"},
		},
		"failures without a record": {
			set:   func(s *stageState) { s.overview.Failures = map[string]int{"00000000000000000000000000000001": 4} },
			title: "Connected to Kazoo, with failures", tab: "⚠ Connected to Kazoo, with failures", not: []string{"See below"},
		},
		"failures on record": {
			set: func(s *stageState) {
				s.overview.Failures = map[string]int{"00000000000000000000000000000001": 4}
				s.attempts = []handlers.FailureGroup{{HookID: "00000000000000000000000000000001", Hook: "object", Why: "the connection was refused: is the port open? Kazoo says \"failed_connect " + longID + longID + "\"", Attempts: 41234567, First: now, Last: now.Add(-time.Minute)}}
				s.overview.LastDelivery = now
			},
			title: "Connected to Kazoo, with failures", says: []string{"See below what could not be delivered", "41,234,567 tries"},
		},
		"off": {
			set: func(s *stageState) {
				for i := range s.overview.Registration.Hooks {
					h := &s.overview.Registration.Hooks[i]
					h.Enabled, h.DisableReason = false, "too many failed attempts"
				}
				s.overview.Registration.Hooks[0].ID = ""
				s.overview.Registration.Repairs = 123456
				s.checks = []handlers.Check{{Name: "hooks", Reason: "8 hooks are off", Detail: "Kazoo switched them off after 6 failures within a minute. " + longName + longName, Since: now.Add(-time.Hour)}}
			},
			title: "Not ready: 8 hooks are off", tab: "⚠ Not ready: 8 hooks are off", says: []string{"not registered", "too many failed attempts"},
		},
		"unknown": {
			set: func(s *stageState) {
				s.checks = []handlers.Check{{Name: "kazoo", Reason: "nobody knows whether the hooks fire", Detail: "Kazoo's API doesn't answer.", Since: now.Add(-9 * time.Minute)}}
				s.overview.Registration.Error = "dial tcp: i/o timeout"
			},
			title: "Not ready: nobody knows whether the hooks fire", says: []string{"as of"},
		},
		"held back": {
			set: func(s *stageState) {
				s.held = heldList(now, 1234)
				s.overview.Resync.AwaitingConfirm = 1234
			},
			title: "1,234 deletions held back", tab: "⚠ 1,234 deletions held back", says: []string{"Person 0", "no name known", "confirm them", "Confirm…"},
		},
		"confirming": {
			set: func(s *stageState) {
				s.held = heldList(now, 1234)
				s.overview.Resync.AwaitingConfirm = 1234
			},
			title: "1,234 deletions held back",
			do:    func(b *tab) { b.run(`document.querySelector("#held-open").click()`) },
			says:  []string{"Type 1234 to confirm", "Report 1,234 deletions", "It can't be undone"},
		},
		"replaying": {title: "Connected to Kazoo", do: func(b *tab) { b.run(`document.querySelector("#consumers button").click()`) }, says: []string{"Replay to log"}},
		"down": {
			then: func(s *stageState) { s.down = true }, title: "No answer from the receiver", tab: "⚠ No answer from the receiver",
			says: []string{"Connection lost, trying again", "Look whether kazoohook runs"},
		},
		"logged out": {
			then: func(s *stageState) { s.token = "another-token-of-the-page" }, title: "Connected to Kazoo", says: []string{"This receiver asks for its ADMIN_TOKEN"},
		},
		"stopping": {
			set:   func(s *stageState) { s.checks = []handlers.Check{{Name: "running", Reason: "stopping"}} },
			title: "Stopping", tab: "⚠ Stopping",
		},
		"registering": {
			set: func(s *stageState) {
				s.overview.Registration = handlers.Registration{}
				s.checks = []handlers.Check{{Name: "hooks", Reason: "no pass yet"}}
			},
			title: "Not ready: no pass yet", says: []string{"Registering with Kazoo", "not looked at yet"}, not: []string{"not as they should be", "0 of 0"},
		},
		"days ago": {
			set: func(s *stageState) { s.records = everyFamily(1, now.Add(-50*24*time.Hour)) }, title: "Connected to Kazoo",
		},
		"every colour": {
			set: func(s *stageState) {
				for i := range 4 { // with the others, as many as there are colours
					s.records = append(s.records, happened(int64(22+i), now, fmt.Sprintf("application_%d_queue", i), "queue_id", "1"))
				}
			},
			title: "Connected to Kazoo",
			do: func(b *tab) {
				if !b.is(`(rows => rows.length > 20 && new Set(rows.map(r => getComputedStyle(r.querySelector(".dot")).backgroundColor)).size === new Set(rows.map(r => r.querySelector(".name").textContent.split(".")[0])).size)([...document.querySelectorAll(".row:not([hidden])")])`) {
					b.t.Error("two families have one colour in the list")
				}
			},
		},
		"destinations": {
			set: func(s *stageState) { s.destinations = manyDestinations(now) }, title: "Connected to Kazoo",
			do: func(b *tab) {
				b.until("they are there", `document.querySelectorAll("[data-destination]").length === 3`)
				b.run(`document.querySelector("[data-destination] details").open = true`)
				b.until("dead letters are there", `document.querySelectorAll(".onward .lines li").length === 3`)
				b.run(`document.querySelector("#destinations").scrollIntoView()`)
			},
			says: []string{"9,007,199,254,740,000", "body no longer kept", "Paused after too many failures", "nothing was sent yet"},
		},
		"deliveries": {
			set: func(s *stageState) {
				s.destinations = manyDestinations(now)
				s.deliveries = []handlers.Delivery{
					{Destination: longName[:40], State: "dead", Attempts: 1234567, LastError: longName + longName, Redelivered: true, History: []handlers.Attempt{{N: 1234567, At: now, TookMS: 123456.7, Status: "503 " + longName, Error: longName + longName}}},
					{Destination: "crm", State: "waiting", Attempts: 2, Due: now.Add(time.Hour), LastError: "HTTP 500", History: []handlers.Attempt{{N: 1, At: now, TookMS: 0.4, Status: "200 OK"}}},
					{Destination: "audit", State: "delivered", Attempts: 1},
					{Destination: "archive", State: "discarded", Attempts: 3},
				}
			},
			title: "Connected to Kazoo",
			do: func(b *tab) {
				open(b)
				b.until("its deliveries are there", `document.querySelectorAll(".deliveries .exchange").length === 4 && document.querySelector(".redeliver")`)
				b.run(`document.querySelector(".redeliver > button").click()`)
			},
			says: []string{"dead letter", "waiting", "delivered", "discarded", "Redeliver to"},
		},
		"paused":     {title: "Connected to Kazoo", do: func(b *tab) { b.run(`document.querySelector("#pause").click()`) }, says: []string{"Resume", "Paused"}},
		"many hooks": {set: func(s *stageState) { s.overview.Registration.Hooks = manyHooks(80, "mailbox_message") }, title: "Connected to Kazoo", says: []string{"80 of 80"}},
		"long names": {
			set: func(s *stageState) {
				s.overview.Registration.AccountName = longName
				s.overview.Registration.Hooks = manyHooks(9, longName)
				s.about.Version = "v0.0.0-20261128190000-" + longID[:40] + "+dirty"
				s.consumers = []handlers.Consumer{{Name: longName, Cursor: 1, Lag: 3, LagSeconds: 10, Error: longName + longName, StuckSince: now}, {Name: "log"}}
				s.overview.Registration.Error = longName + longName
			},
			title: "Connected to Kazoo, but its API has trouble", says: []string{"API has trouble"},
		},
		"huge numbers": {
			set: func(s *stageState) {
				const huge = 9_007_199_254_740_000
				s.records = everyFamily(huge, now)
				s.overview.Gaps, s.overview.Registration.Repairs, s.overview.FailureLimit = 12345678, 98765432, 6
				s.overview.Recover.Recovered, s.overview.Resync.Deleted = 123456789, 987654321
				s.consumers = []handlers.Consumer{{Name: "log", Cursor: huge, Lag: huge, LagSeconds: 9e8}}
				s.about.Bytes, s.about.Disk, s.about.Uptime = 1<<60, &handlers.Disk{Free: 1 << 62, Total: 1 << 63}, 3e9
				s.overview.LastDelivery, s.overview.Resync.LastOK = now.Add(-900*24*time.Hour), now.Add(-900*24*time.Hour)
			},
			title: "Connected to Kazoo, but log is behind", says: []string{"12,345,678 found", "98,765,432 repairs", "4.0 EiB free", "34,722 days"},
		},
		"a full disk": {
			set:   func(s *stageState) { s.about.Disk = &handlers.Disk{Free: 12 << 20, Total: 1 << 30} },
			title: "Connected to Kazoo", says: []string{"12.0 MiB free"},
		},
		"nothing matches": {title: "Connected to Kazoo", do: func(b *tab) {
			b.write("[name=event]", "nothing.like.it")
			b.until("it says so", `document.querySelector("#blank").textContent.includes("No event matches")`)
		}},
		"no duplicates": {title: "Connected to Kazoo", do: func(b *tab) {
			choose(b, "only", "duplicate")
			b.until("the one is shown", row("channel.create"))
		}, says: []string{"Looked at every 5 s"}},
		"a wrong time": {title: "Connected to Kazoo", do: func(b *tab) {
			b.write("#jump-to", "whenever")
			b.run(`document.querySelector("#jump").requestSubmit()`)
		}, says: []string{"Write how long ago"}},
		"the past": {title: "Connected to Kazoo", do: func(b *tab) {
			b.write("#jump-to", "12m")
			b.run(`document.querySelector("#jump").requestSubmit()`)
			b.until("it says so", `document.querySelector("#mode").textContent.includes("Events up to") || document.querySelector("#link").dataset.state === "live"`)
		}},
		"as a table": {title: "Connected to Kazoo", do: func(b *tab) {
			b.run(`document.querySelector(".as-table").open = true`)
			b.until("it is there", `document.querySelector("#chart-table td")`)
		}},
		"events can't be read": {set: func(s *stageState) { s.fail = os.ErrPermission }, title: "The receiver can't answer", says: []string{"The events could not be read"}},
	}
}

func manyDestinations(now time.Time) []handlers.Destination {
	return []handlers.Destination{
		{Name: longName[:40], Type: "http", State: "paused", Waiting: 9_007_199_254_740_000, Dead: 1234567, OldestWaitingSeconds: 9e8, LastError: longName + longName, PausedBy: "failures",
			Address: "https://" + longID + ".example.com/" + longID, Delivered: 9_007_199_254_740_000, PerMinute: 123456.5, LastAt: now, LastStatus: "503 Service Unavailable", LastExcerpt: longName + "\n" + longName + longName},
		{Name: "crm", Type: "postgres", State: "retrying", Waiting: 1, LastError: "HTTP 500", LastAt: now, LastStatus: "500"},
		{Name: "audit", Type: "exec", State: "ok"},
	}
}

func heldList(now time.Time, n int) handlers.HeldDeletions {
	h := handlers.HeldDeletions{ID: "0123456789abcdef", Since: now.Add(-time.Minute).UTC(), Count: n, Limit: 20}
	for i := range n {
		o := handlers.ResyncObject{Type: []string{"user", "mailbox_message"}[i%2], ID: fmt.Sprintf("%032x", i), AccountID: "c0ffee00aa11bb22cc33dd44ee55ff66", Name: fmt.Sprintf("Person %d", i)}
		switch i {
		case 1:
			o.Name = ""
		case 2:
			o.Name = longName
		}
		h.Objects = append(h.Objects, o)
	}
	return h
}

// choose selects an option of a filter.
func choose(b *tab, name, value string) {
	b.t.Helper()
	b.run(fmt.Sprintf(`const s = document.querySelector("[name=%s]"); s.value = %q; s.dispatchEvent(new Event("input", { bubbles: true }))`, name, value))
}
