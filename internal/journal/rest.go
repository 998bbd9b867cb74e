package journal

// rest uses a quiet moment: for trying whether a failed disk works again, or
// for leaving little to be read again at the next start.
func (w *writer) rest() {
	if w.j.Health() != nil {
		_ = w.alone(func() error { return setMeta(w.c, "probe", w.j.opt.Now().UnixNano(), nil) })
		return
	}
	w.j.unacked.sweep()
	if w.j.tail.indexed < w.next-1 && w.merge == nil {
		w.startMerge()
	}
	if !w.quiet && w.noteUnacked() == nil {
		w.quiet = true
	}
}

// noteUnacked writes what is unacknowledged now; what the last row says is from
// before its own answer.
func (w *writer) noteUnacked() error {
	list := w.j.unacked.list(nil)
	return w.alone(func() error { return setMeta(w.c, metaUnacked, w.next-1, list) })
}

// finish leaves everything up to date for the next start.
func (w *writer) finish() {
	if w.merge == nil && w.j.tail.indexed < w.next-1 {
		w.startMerge()
	}
	for w.merge != nil {
		w.mergeStep(mergeStep)
	}
	if !w.quiet {
		_ = w.noteUnacked()
	}
}
