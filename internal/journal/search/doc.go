// Package search finds events by a query, and objects. For events it chooses an index
// and the parts of it that the query may select, reads the numbers of events from them
// page by page, merged in the query's order, and then reads the events. If an index is
// damaged, it looks at every event. Objects that can't be read because of damage are
// left out.
//
// It reads through a connection that it is lent, owns no state and starts no
// goroutines.
package search
