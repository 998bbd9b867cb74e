package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"kazoohook/handlers"
)

// clusterCmd shows the cluster, and changes it.
type clusterCmd struct {
	Action string `arg:"" optional:"" enum:",remove,rebuild" default:"" help:"remove: forget a lost node for good, so that another can take its place. rebuild: make a new log of the most advanced journal, after the log itself was lost. Nothing: show the cluster."`
	Node   string `arg:"" optional:"" help:"With remove: the node's name."`
	Format string `enum:"table,json" default:"table" help:"table or json."`
	settings
}

// Run shows or changes the cluster through one of its nodes.
func (c *clusterCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	switch {
	case c.Action == "remove" && c.Node == "":
		return exit(codeUsage, errors.New("cluster remove needs the name of a node; kazoohook cluster lists them"))
	case c.Action != "remove" && c.Node != "":
		return exit(codeUsage, fmt.Errorf("%q is one argument too many; only remove takes the name of a node", c.Node))
	}
	return withService(cfg, strings.TrimSpace("cluster "+c.Action), func(a *admin) error {
		var s handlers.ClusterStatus
		switch c.Action {
		case "remove":
			if err := a.post(ctx, "/api/cluster/remove", map[string]string{"node": c.Node}, &s); err != nil {
				return err
			}
			_, err := fmt.Fprintf(e.stderr, "%s is no longer a node of this cluster; start an empty one in its place\n", printable(c.Node))
			if err != nil {
				return err
			}
		case "rebuild":
			if err := a.post(ctx, "/api/cluster/rebuild", struct{}{}, &s); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(e.stderr, "the log is made anew of the most advanced journal; the nodes begin anew by themselves"); err != nil {
				return err
			}
		default:
			if err := a.get(ctx, "/api/cluster", nil, &s); err != nil {
				return err
			}
		}
		if c.Format == "json" {
			return indented(e.jsonOut(), s)
		}
		return clusterTable(e.stdout, s, time.Now())
	})
}

// clusterTable prints the cluster for people.
func clusterTable(out io.Writer, s handlers.ClusterStatus, now time.Time) error {
	quorum, leader := "quorum", "no leader"
	if !s.Quorum {
		quorum = "NO QUORUM: events can't be kept"
	}
	if s.Leader != "" {
		leader = fmt.Sprintf("leader %s since term %d", printable(s.Leader), s.Term)
	}
	if _, err := fmt.Fprintf(out, "%d of %d nodes connected, %s, %s; journal %s at %d; asked: %s\n", alive(s), s.Size, quorum, leader, printable(s.Journal), s.Position, printable(s.Node)); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "NODE\tSTATE\tROLE\tAPPLIED\tLAG\tVERSION\tSEEN\tPROBLEM"); err != nil {
		return err
	}
	for _, n := range s.Nodes {
		state, role, seen := n.State, "", "now"
		switch {
		case !n.Alive && n.Seen.IsZero():
			state, seen = "away", "-"
		case !n.Alive:
			state, seen = "away", age(max(0, now.Sub(n.Seen).Seconds()))+" ago"
		}
		switch {
		case n.Leader:
			role = "leader"
		case !n.Member:
			role = "joining"
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", printable(n.Name), printable(state), role, n.Applied, n.Lag,
			printable(n.Version), seen, printable(n.Problem)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Settings) > 0 {
		_, err := fmt.Fprintf(out, "settings of this node that differ from the cluster's: %s\n", printable(strings.Join(s.Settings, ", ")))
		return err
	}
	return nil
}
