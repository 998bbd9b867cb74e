package trial

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// operate is the person on call: it gives the confirmation whenever the receiver
// holds back a mass deletion.
func (r *run) operate(ctx context.Context) {
	for Sleep(ctx, 500*time.Millisecond) {
		if !r.receiver.Lines.takeHeld() {
			continue
		}
		if err := r.confirm(ctx); err != nil {
			r.logf("the operator could not confirm: %v", err)
			continue
		}
		r.confirms.Add(1)
		r.logf("the operator confirmed the deletions")
	}
}

func (r *run) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.anyAdmin(ctx)+"/api/resync", strings.NewReader(`{"confirm":true}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // only read from
	return err
}
