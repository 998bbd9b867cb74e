package journal

import (
	"errors"
	"testing"

	"kazoohook/internal/journal/database"
)

// TestDestinationsComeAndGo: the state of a removed destination stays until it is
// forgotten. A destination that is configured again goes on where it was.
func TestDestinationsComeAndGo(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, 5, content)
	must(t, j.Configure(ctxOf(t), []NewDestination{{"a", 2}, {"b", 0}}, nil, nil))
	judge(t, j, "a", 4, 3)
	must(t, j.Configure(ctxOf(t), nil, []string{"a", "b"}, nil))
	if state(t, j, "a").Removed.IsZero() {
		t.Error("the destination isn't removed")
	}
	must(t, j.Configure(ctxOf(t), []NewDestination{{"a", 5}}, nil, []string{"b"}))
	must(t, j.Configure(ctxOf(t), nil, nil, []string{"a"})) // no effect: it is configured again
	if d := state(t, j, "a"); !d.Removed.IsZero() || d.Cursor != 4 || d.Waiting != 1 {
		t.Errorf("configured again: %+v", d)
	}
	list, err := j.Destinations(ctxOf(t))
	if err != nil || len(list) != 1 {
		t.Errorf("forgotten: %+v, %v", list, err)
	}
	must(t, j.SetPause(ctxOf(t), "a", PausedByPerson))
	if d := state(t, j, "a"); d.Paused != PausedByPerson || d.Paused.String() != "operator" {
		t.Errorf("paused: %+v", d)
	}
	if err := j.SetPause(ctxOf(t), "b", PausedByPerson); !errors.Is(err, ErrNoDestination) {
		t.Errorf("pause of an unknown destination: %v", err)
	}
	must(t, j.Configure(ctxOf(t), nil, []string{"a"}, nil))
	must(t, j.Configure(ctxOf(t), []NewDestination{{"a", 5}}, nil, []string{"a"}))
	if d := state(t, j, "a"); d.Cursor != 5 || d.Waiting != 0 {
		t.Errorf("forgotten and new at once: %+v", d)
	}
	if err := j.Judge(ctxOf(t), "a", 1, 5, nil); !errors.Is(err, ErrCursorMoved) {
		t.Errorf("judged from a wrong cursor: %v", err)
	}
}

func TestAccountPlaces(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t)})
	must(t, j.PlaceAccounts(ctxOf(t), []AccountPlace{{"m", nil}, {"x", []string{"m", "old"}}}))
	must(t, j.PlaceAccounts(ctxOf(t), []AccountPlace{{"x", []string{"m", "r"}}}))
	list, err := j.AccountPlaces(ctxOf(t))
	must(t, err)
	same(t, "places", list, []AccountPlace{{"m", nil}, {"x", []string{"m", "r"}}})
}

// TestOlderJournalHasNoDestinations reads a journal of an earlier version offline, and
// then migrates it.
func TestOlderJournalHasNoDestinations(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	j := openTest(t, Options{Dir: dir})
	mustAppend(t, j, content(1))
	must(t, j.Close())
	c, err := database.Open(dir+"/"+FileName, "")
	must(t, err)
	must(t, c.Script(ctxOf(t), "DROP TABLE destinations; DROP TABLE deliveries; DROP TABLE attempts; DROP TABLE backlog; DROP TABLE backlog_size; "+
		"DROP TABLE accounts; DROP TABLE cluster; DROP TABLE boots; DROP TABLE members; DROP TABLE chain; DROP TABLE tries; ALTER TABLE unanswered DROP COLUMN node; PRAGMA user_version = 1;"))
	must(t, c.Close())
	old, err := OpenReadOnly(ctxOf(t), Options{Dir: dir})
	must(t, err)
	if list, err := old.Destinations(ctxOf(t)); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := old.Deliveries(ctxOf(t), 1); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if r := get(t, old, 1); r.Event != content(1).Event {
		t.Errorf("%+v", r)
	}
	must(t, old.Close())
	j = openTest(t, Options{Dir: dir})
	destination(t, j, "d")
	if d := state(t, j, "d"); d.Name != "d" {
		t.Errorf("%+v", d)
	}
}
