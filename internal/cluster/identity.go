package cluster

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// identity says which node a directory belongs to. It is stored beside the server's
// files, because the servers count votes by it. A directory with another node's name,
// or a name with an empty directory, could otherwise vote twice.
type identity struct {
	Node string `json:"node"` // drawn at random when the directory was made
	ID   string `json:"id"`   // drawn when the directory was made
}

// server is the name of the node's server. A node that lost its directory returns as
// another server, so that its old votes no longer count.
func (i identity) server() string { return i.Node + "." + i.ID }

// Names below the cluster's directory.
const (
	identityName = "node.json"
	natsName     = "nats"
)

// identify reads which node the directory belongs to. A new directory is given to node.
func identify(dir, node string) (identity, error) {
	path := filepath.Join(dir, identityName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		i := identity{Node: node, ID: strings.ToLower(rand.Text()[:10])}
		return i, writeFile(dir, identityName, i)
	}
	if err != nil {
		return identity{}, fmt.Errorf("read who this node is: %w", err)
	}
	var i identity
	if err := json.Unmarshal(data, &i); err != nil || i.Node == "" || i.ID == "" {
		return identity{}, fmt.Errorf("%s doesn't say which node this directory belongs to: restore it, or remove the directory %s so that the node joins anew", path, dir)
	}
	if i.Node != node {
		return identity{}, fmt.Errorf("DATA_DIR belongs to node %q, and CLUSTER_NODE is %q: use the node's own directory, or an empty one", i.Node, node)
	}
	return i, nil
}
