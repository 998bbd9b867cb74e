// Package requests keeps the newest of Kazoo's requests for people to read:
// headers, answer, duration, and the event that each made or duplicates. It is for
// display only. The journal keeps what must never be lost. Recording costs the
// receiver a lock and an append after its answer.
//
// Recent holds them in memory, first requests and duplicates separately, each
// bounded in number and bytes. Run is its only goroutine: it writes them to one
// small file once a minute and at the end. A crash loses the last minute. The file
// names the journal that its numbers refer to; with another journal it is ignored.
package requests
