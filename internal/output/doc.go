// Package output writes lines to an output that may block, fail or be closed, such
// as standard output.
//
// Two kinds of lines share it. Messages of the service never wait: they go through
// a bounded queue. When the queue is full, they are dropped and counted, and a line
// reports the number once there is room. Event lines wait: the writer gets the
// result of the write, and keeps the events in the journal until a write succeeds.
//
// One goroutine at a time writes. It exists only while there is something to write.
// It owns the unwritten rest of a line that the output took in part, so lines never
// mix or tear. A write that hangs holds that goroutine and no lock. A crash loses
// the waiting messages.
package output
