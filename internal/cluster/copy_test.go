package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// TestDonor: a request for the copy's state gets the sum of the whole copy, and a
// request for a part gets that part's sum.
func TestDonor(t *testing.T) {
	t.Parallel()
	whole := bytes.Repeat([]byte("journal!"), partSize/8*5/2)
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDonor(nil)
	c := &journalCopy{id: "id", path: path}
	d.copies["n2"] = c
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	wait := copyRequest{Server: "n2", ID: "id", Offset: -1}
	if a, part, err := d.ask(t.Context(), wait); err != nil || a.Ready || len(part) > 0 {
		t.Fatalf("a copy that is being made: %+v, %d bytes, %v", a, len(part), err)
	}
	c.ready, c.size, c.sum = true, int64(len(whole)), sum(whole)
	a, part, err := d.ask(t.Context(), wait)
	if err != nil || !a.Ready || a.Sum != sum(whole) || a.Size != int64(len(whole)) || len(part) > 0 {
		t.Fatalf("a copy that is ready: %+v, %d bytes, %v", a, len(part), err)
	}
	var got []byte
	for len(got) < len(whole) {
		head, part, err := d.ask(t.Context(), copyRequest{Server: "n2", ID: "id", Offset: int64(len(got))})
		if err != nil || len(part) == 0 || len(part) > partSize || head.Sum != sum(part) {
			t.Fatalf("the part at %d: %+v, %d bytes, %v", len(got), head, len(part), err)
		}
		got = append(got, part...)
	}
	if !bytes.Equal(got, whole) {
		t.Error("the parts are not the whole")
	}
	if _, _, err := d.ask(t.Context(), copyRequest{Server: "n2", ID: "another"}); err == nil {
		t.Error("a part of no copy was given")
	}
}
