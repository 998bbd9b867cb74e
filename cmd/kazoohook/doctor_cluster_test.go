package main

import (
	"context"
	"net"
	"strings"
	"testing"

	"kazoohook/config"
	"kazoohook/handlers"
)

// TestDoctorLooksAtTheCluster: doctor tries the other nodes' ports, and the running
// service says how it sees the cluster.
func TestDoctorLooksAtTheCluster(t *testing.T) {
	t.Parallel()
	node := func() string {
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln.Addr().String()
	}
	one, two, three := node(), node(), node()
	_, port, _ := strings.Cut(three, ":")
	for name, tc := range map[string]struct {
		peers  []string
		status *handlers.ClusterStatus // of the service; nil: none runs
		want   map[string]string       // parts of findings by status; "": anything
	}{
		"whole": {[]string{one, two, three}, new(whole(nil)), map[string]string{"ok": "node1 at 120, node2 at 118, node3 at 120, leader node2, term 4"}},
		"a port is closed": {[]string{one, two, closed}, new(whole(nil)),
			map[string]string{"ok": "leader node2", "warn": "nothing can be reached at " + closed}},
		"a name stands for too few": {[]string{"localhost:" + port}, new(whole(nil)), map[string]string{"ok": "leader node2", "warn": "localhost resolves to"}},
		"no such name":              {[]string{one, two, "nobody.invalid:6222"}, new(whole(nil)), map[string]string{"fail": "nobody.invalid can't be resolved", "ok": "leader node2"}},
		"no service":                {[]string{one, two, three}, nil, map[string]string{"skip": "the service here can't be asked how the cluster is"}},
		"a node is away": {[]string{one, two, three}, new(whole(func(s *handlers.ClusterStatus) { s.Nodes[2].Alive = false })),
			map[string]string{"fail": "not connected: node3"}},
		"other settings": {[]string{one, two, three}, new(whole(func(s *handlers.ClusterStatus) { s.State, s.Problem = "settings", "HOOKS differs" })),
			map[string]string{"fail": "node1 has other settings than the cluster: HOOKS differs"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"CLUSTER_PEERS=" + strings.Join(tc.peers, ","), "CLUSTER_SIZE=3", "CLUSTER_NODE=node1", "CLUSTER_SECRET=" + marked + " cluster secret", "ADMIN_ADDR=" + closed,
				"KAZOO_API_URL=http://" + closed, "KAZOO_API_KEY=" + strings.Repeat(marked+"12", 8), "PUBLIC_URL=http://" + closed}
			if tc.status != nil {
				admin := serve(t, handlers.Admin(handlers.AdminDeps{Cluster: handlers.Cluster{Status: func(context.Context) handlers.ClusterStatus { return *tc.status }}}))
				environ[4] = "ADMIN_ADDR=" + strings.TrimPrefix(admin, "http://")
			}
			cfg, err := config.Load(config.Options{Need: config.All, Environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			found, _ := (&doctor{partly: partly{cfg: cfg}}).checkCluster(t.Context())
			got := map[string]string{}
			for _, f := range found {
				got[string(f.Status)] += f.Found + "; "
				if strings.Contains(f.Found+f.Advice, marked) {
					t.Errorf("a secret: %+v", f)
				}
			}
			for status, part := range tc.want {
				if !strings.Contains(got[status], part) {
					t.Errorf("%s: %q lacks %q", status, got[status], part)
				}
			}
			if len(got) != len(tc.want) {
				t.Errorf("%v", got)
			}
		})
	}
}
