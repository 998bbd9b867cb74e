// Package links is the network between the nodes of a cluster under test. Each
// node reaches each other node through a separate listener, which forwards bytes, so
// that every direction can be cut and healed separately.
//
// A cut loses nothing and closes nothing, like a cut cable: bytes and ends of
// connections wait until it heals, and a new connection gets no answer. There is one
// goroutine for each listener and two for each connection; they end with Close.
package links
