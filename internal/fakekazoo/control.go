package fakekazoo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Control is the handler that makes things happen and go wrong. It belongs on
// a listener of its own: it asks for no login.
//
//	GET    /state                     accounts, hooks, faults, what is under way
//	GET    /truth                     what really happened: Truth
//	GET    /idle?timeout=10s          answers when no firing is under way; 504 if that takes longer
//	POST   /users                     User -> User with its id (events fire)
//	POST   /users/seed                {"account":"acme","count":100} without events
//	DELETE /users/random?account=acme a random user
//	PATCH  /objects/{id}              fields to merge (users and all other kinds)
//	DELETE /objects/{id}              also /users/{id}
//	POST   /objects/{id}/save         save a deleted one again
//	POST   /objects/{id}/undelete
//	POST   /objects                   {"kind":"devices","account":"acme","fields":{...}} -> {"id":...}
//	POST   /accounts                  Account -> {"id":...}
//	DELETE /accounts/{id}             ?descendants=true: with those below
//	POST   /calls                     Call -> {"id":...}
//	POST   /events/{what}             voicemail, missed_call, fax, password_recovery, sms, mms, parking, abandoned, stream, bill_reminder, service_added, topup, transaction, port_request; {"account":"acme","text":"..."}
//	POST   /notifications             {"account":"acme","name":"low_balance","fields":{...}}
//	POST   /happen                    {"count":10} random things
//	PUT    /traffic                   {"rate":5} a second from now on; 0 stops
//	GET    /faults                    those that may still strike
//	POST   /faults                    Fault -> {"id":...}
//	DELETE /faults, /faults/{id}
//	POST   /hooks                     {"account":"acme","fields":{...}} past the API's checks -> {"id":...}
//	PATCH  /hooks/{id}                {"fields":{...},"for":"2s"} somebody changes it, and with for undoes that
//	DELETE /hooks/{id}                somebody deletes it
//	POST   /hooks/{id}/disable        {"reason":"too many failed attempts"}
//	PUT    /hook-delay                {"delay":"50ms"} until the webhooks application fires by a change
//	PUT    /view-lag                  {"lag":"90s","listings":["users"]} listings lag behind the documents
//	PUT    /offer                     {"state":"partial","missing":["object:user"],"for":"30s"}; empty, failed, or "" for whole
//	POST   /restart                   Crossbar and the webhooks application start again
//	PUT    /clock                     {"offset":"-1h"}
//	PUT    /password                  {"username":"admin","password":"..."}
//	DELETE /tokens                    end all sessions
//
// Answers are JSON; an error is {"error":"..."} with 400 or 404.
func (k *Kazoo) Control() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, do func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { writeControl(w, r, do) })
	}
	on("GET /state", func(*http.Request) (any, error) { return k.State(), nil })
	on("GET /truth", func(*http.Request) (any, error) { return k.Truth(), nil })
	on("GET /idle", k.controlIdle)
	k.controlObjects(on)
	k.controlEvents(on)
	k.controlHooks(on)
	k.controlFaults(on)
	return mux
}

type controlFunc = func(pattern string, do func(*http.Request) (any, error))

// controlBody holds the fields of small requests.
type controlBody struct {
	Account  string         `json:"account"`
	Kind     string         `json:"kind"`
	Count    int            `json:"count"`
	Name     string         `json:"name"`
	Text     string         `json:"text"`
	Rate     float64        `json:"rate"`
	Reason   string         `json:"reason"`
	Offset   string         `json:"offset"`
	For      string         `json:"for"`
	Lag      string         `json:"lag"`
	Delay    string         `json:"delay"`
	State    string         `json:"state"`
	Missing  []string       `json:"missing"`
	Listings []string       `json:"listings"`
	Username string         `json:"username"`
	Password string         `json:"password"`
	Fields   map[string]any `json:"fields"`
}

func (k *Kazoo) controlObjects(on controlFunc) {
	on("POST /users", func(r *http.Request) (any, error) {
		u, err := readControl[User](r)
		if err != nil {
			return nil, err
		}
		return k.CreateUser(u)
	})
	on("POST /users/seed", func(r *http.Request) (any, error) {
		b, err := readControl[controlBody](r)
		if err != nil {
			return nil, err
		}
		return k.SeedUsers(b.Account, b.Count)
	})
	on("DELETE /users/random", func(r *http.Request) (any, error) {
		return withID(k.DeleteRandomUser(r.FormValue("account")))
	})
	remove := func(r *http.Request) (any, error) { return nil, k.DeleteObject(r.PathValue("id")) }
	on("DELETE /users/{id}", remove)
	on("DELETE /objects/{id}", remove)
	on("PATCH /objects/{id}", func(r *http.Request) (any, error) {
		fields, err := readControl[map[string]any](r)
		if err != nil {
			return nil, err
		}
		return nil, k.EditObject(r.PathValue("id"), fields)
	})
	on("POST /objects/{id}/save", func(r *http.Request) (any, error) { return nil, k.SaveDeleted(r.PathValue("id")) })
	on("POST /objects/{id}/undelete", func(r *http.Request) (any, error) { return nil, k.Undelete(r.PathValue("id")) })
	on("POST /objects", func(r *http.Request) (any, error) {
		b, err := readControl[controlBody](r)
		if err != nil {
			return nil, err
		}
		return withID(k.CreateObject(b.Kind, b.Account, b.Fields))
	})
	on("POST /accounts", func(r *http.Request) (any, error) {
		a, err := readControl[Account](r)
		if err != nil {
			return nil, err
		}
		return withID(k.CreateAccount(a))
	})
	on("DELETE /accounts/{id}", func(r *http.Request) (any, error) {
		if r.FormValue("descendants") == "true" {
			return nil, k.DeleteAccountTree(r.PathValue("id"))
		}
		return nil, k.DeleteAccount(r.PathValue("id"))
	})
}

func (k *Kazoo) controlEvents(on controlFunc) {
	on("POST /calls", func(r *http.Request) (any, error) {
		c, err := readControl[Call](r)
		if err != nil {
			return nil, err
		}
		return withID(k.PlaceCall(c))
	})
	with := func(pattern string, do func(*http.Request, controlBody) error) {
		on(pattern, func(r *http.Request) (any, error) {
			b, err := readControl[controlBody](r)
			if err != nil {
				return nil, err
			}
			return nil, do(r, b)
		})
	}
	with("POST /events/{what}", func(r *http.Request, b controlBody) error {
		switch what := r.PathValue("what"); what {
		case "voicemail":
			return k.LeaveVoicemail(b.Account)
		case "missed_call":
			return k.MissCall(b.Account)
		case "fax":
			return k.ReceiveFax(b.Account)
		case "password_recovery":
			return k.RecoverPassword(b.Account)
		case "sms":
			return k.SendText(b.Account, b.Text)
		case "mms":
			return k.SendPicture(b.Account, b.Text)
		case "parking", "abandoned":
			return k.ParkCall(b.Account, what == "parking")
		case "stream":
			return k.Stream(b.Account)
		case "bill_reminder", "service_added", "topup", "transaction", "port_request":
			return k.within(b.Account, func(acc *account) { k.notifyLocked(acc, what, k.billing(acc, what)) })
		default:
			return fmt.Errorf("event %q: %w", what, ErrNotFound)
		}
	})
	with("POST /notifications", func(_ *http.Request, b controlBody) error { return k.Notify(b.Account, b.Name, b.Fields) })
	with("POST /happen", func(_ *http.Request, b controlBody) error { k.Happen(b.Count); return nil })
	with("PUT /traffic", func(_ *http.Request, b controlBody) error { k.SetTraffic(b.Rate); return nil })
	with("PUT /password", func(_ *http.Request, b controlBody) error { return k.SetPassword(b.Username, b.Password) })
	with("PUT /clock", func(_ *http.Request, b controlBody) error {
		d, err := time.ParseDuration(b.Offset)
		if err == nil {
			k.MoveClock(d)
		}
		return err
	})
	on("DELETE /tokens", func(*http.Request) (any, error) { k.RevokeTokens(); return nil, nil })
}

func (k *Kazoo) controlFaults(on controlFunc) {
	on("GET /faults", func(*http.Request) (any, error) { return k.Faults(), nil })
	on("POST /faults", func(r *http.Request) (any, error) {
		f, err := readControl[Fault](r)
		if err != nil {
			return nil, err
		}
		return withID(k.Inject(f))
	})
	on("DELETE /faults", func(*http.Request) (any, error) { k.ClearFaults(); return nil, nil })
	on("DELETE /faults/{id}", func(r *http.Request) (any, error) {
		if !k.ClearFault(r.PathValue("id")) {
			return nil, fmt.Errorf("fault %q: %w", r.PathValue("id"), ErrNotFound)
		}
		return nil, nil
	})
}

func (k *Kazoo) controlIdle(r *http.Request) (any, error) {
	limit := 10 * time.Second
	if s := r.FormValue("timeout"); s != "" {
		var err error
		if limit, err = time.ParseDuration(s); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	return nil, k.Idle(ctx)
}

// withID answers with the id of a new object.
func withID(id string, err error) (any, error) { return map[string]string{"id": id}, err }

// readControl reads a request's JSON strictly; no body is an empty one.
func readControl[T any](r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(io.LimitReader(r.Body, maxRequest))
	dec.DisallowUnknownFields()
	dec.UseNumber() // an integer stays one on its way into a form
	err := dec.Decode(&v)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return v, err
}

func writeControl(w http.ResponseWriter, r *http.Request, do func(*http.Request) (any, error)) {
	data, err := do(r)
	status := http.StatusOK
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	case err != nil:
		status = http.StatusBadRequest
	}
	if err != nil {
		data = map[string]string{"error": err.Error()}
	} else if data == nil {
		data = struct{}{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error means that the client has left.
	_ = json.NewEncoder(w).Encode(data)
}
