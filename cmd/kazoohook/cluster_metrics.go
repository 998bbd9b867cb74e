package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/handlers"
)

// clusterCollector exposes how this node sees its cluster. A single node counts as a
// cluster of one node, which leads.
type clusterCollector struct{ s *service }

// clusterMetric is an exposed metric and its source.
type clusterMetric struct {
	desc  *prometheus.Desc
	value func(handlers.ClusterStatus) float64
}

func (clusterCollector) metrics() []clusterMetric {
	metric := func(name, help string, value func(handlers.ClusterStatus) float64) clusterMetric {
		return clusterMetric{prometheus.NewDesc("kazoohook_cluster_"+name, help, nil, nil), value}
	}
	return []clusterMetric{
		metric("leader", "Whether this node leads its cluster: only the leader talks to Kazoo and to destinations, and prints events.",
			func(s handlers.ClusterStatus) float64 { return truth(s.Leads) }),
		metric("term", "Turn of the newest leader that this node knows of; it grows with each election.",
			func(s handlers.ClusterStatus) float64 { return float64(s.Term) }),
		metric("quorum", "Whether enough nodes are connected to keep events, as this node sees it.",
			func(s handlers.ClusterStatus) float64 { return truth(s.Quorum) }),
		metric("nodes", "Nodes that are connected to this one, itself included.", func(s handlers.ClusterStatus) float64 { return float64(alive(s)) }),
		metric("size", "Nodes of the whole cluster.", func(s handlers.ClusterStatus) float64 { return float64(s.Size) }),
		metric("node_ready", "Whether this node does all of its work: it has joined, and its journal and settings are the cluster's.",
			func(s handlers.ClusterStatus) float64 { return truth(s.State == "ready") }),
		metric("position", "Position in the cluster's log up to which this node has applied commands.",
			func(s handlers.ClusterStatus) float64 { return float64(self(s).Applied) }),
		metric("lag_commands", "Entries of the cluster's log that this node has not applied yet; each holds one command or several.",
			func(s handlers.ClusterStatus) float64 { return float64(self(s).Lag) }),
	}
}

// alive returns the number of connected nodes.
func alive(s handlers.ClusterStatus) (n int) {
	for _, o := range s.Nodes {
		if o.Alive {
			n++
		}
	}
	return n
}

// self returns the node that answered.
func self(s handlers.ClusterStatus) handlers.ClusterNode {
	for _, o := range s.Nodes {
		if o.Name == s.Node {
			return o
		}
	}
	return handlers.ClusterNode{}
}

// Describe implements prometheus.Collector.
func (c clusterCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics() {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c clusterCollector) Collect(ch chan<- prometheus.Metric) {
	s := handlers.ClusterStatus{State: "ready", Leads: true, Quorum: true, Size: 1, Nodes: []handlers.ClusterNode{{Alive: true}}}
	if c.s.cfg.Clustered() {
		s = c.s.clusterStatus(context.Background())
	}
	for _, m := range c.metrics() {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, m.value(s))
	}
}
