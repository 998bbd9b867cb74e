// Package cluster keeps one log of commands on several nodes.
//
// Each node runs a NATS server inside the process, without a port for clients. The
// servers replicate one JetStream stream (stream.go). A command is published to the
// stream before it is applied; the acknowledgement means that a quorum has it on disk.
// Every node reads the stream in order (follow.go) and gives it to its own journal. The
// stream only carries commands: the leader removes what every node has on disk
// (purge.go).
//
// Each node tells the others twice a second what it has (presence.go). From that and
// the stream every node decides by the same rules what to do (decide.go): make the
// stream, follow it, copy the journal (copy.go), or refuse. A lost stream is made anew
// only on an operator's command (rebuild.go, order.go), and so is one that lacks what a
// node has applied (cut.go).
//
// One node leads: only the leader talks to Kazoo and to destinations. Elections are
// entries of the log (election.go, run.go), so every node sees the same leader. Nodes
// compare hashes of what they have applied (chain.go) and their settings (settings.go).
// Secrets that all nodes need are in the log, encrypted (secret.go).
//
// On disk, below DATA_DIR/cluster: the node's name, the server's files, an order while
// a log is made, and the newest acknowledged position. Goroutines: the server's; from
// Start to Close, one that tells the others about this node, one that syncs, and one
// for each question of another node. In Run: one elects, one watches this node's turn,
// one checks once a second.
package cluster
